//! Trains a network of given cells, or of cells that chance has chosen, from the beginning: what the
//! result of a search is compared with.
//!
//! Prints `Training-Accuracy` and `Validation-Accuracy` after each epoch.

use std::process::ExitCode;

use clap::Parser;
use diwan_architectures::darts::{self, Genotype, Primitive, Settings};
use diwan_architectures::{digits, flag, use_one_thread};
use diwan_examples::flag::count;
use diwan_examples::program;
use diwan_examples::report::{ReportArgs, Reporter};

/// Trains a network of cells to tell handwritten digits apart.
#[derive(Parser)]
#[command(name = "darts-retrain")]
struct Args {
    /// The cells, as `darts-supernet` prints them
    #[arg(long, value_parser = genotype, required_unless_present = "random", conflicts_with = "random")]
    genotype: Option<Genotype>,
    /// Cells that this number chooses
    #[arg(long, value_name = "SEED")]
    random: Option<u64>,
    /// Settings of the search, as `darts-supernet` takes them; num_epochs is how long is trained
    #[arg(long, default_value = "{}", value_parser = Settings::parse)]
    algorithm_settings: Settings,
    /// Operations that chance chooses from, separated by commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "separable_convolution_3x3,separable_convolution_5x5,dilated_convolution_3x3,\
                         max_pooling_3x3,avg_pooling_3x3,skip_connection"
    )]
    operations: Vec<Primitive>,
    /// Cells
    #[arg(long, default_value = "3", value_parser = count)]
    num_layers: usize,
    /// Decides the first weights and the order of images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

fn genotype(text: &str) -> Result<Genotype, String> {
    flag::unquoted(text).parse()
}

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    use_one_thread();
    let (settings, layers) = (&args.algorithm_settings, args.num_layers);
    let random = |seed| Genotype::random(&args.operations, settings.num_nodes, layers > 1, seed);
    let genotype = args.random.map(random).or_else(|| args.genotype.clone());
    let genotype = genotype.ok_or_else(|| anyhow::anyhow!("no cells were given"))?;
    reporter.report_text("Genotype", &genotype.to_string())?;
    darts::retrain(
        &genotype,
        layers,
        settings,
        &digits::load()?,
        args.seed,
        |learned, judged| {
            reporter.report(&[
                ("Training-Accuracy", learned.accuracy),
                ("Validation-Accuracy", judged.accuracy),
            ])
        },
    )
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
