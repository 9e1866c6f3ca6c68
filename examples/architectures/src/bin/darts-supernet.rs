//! Searches a cell by gradients, to tell handwritten digits apart, and trains it if it is asked to.
//!
//! Takes the flags of Katib's trial image for `darts`. Prints `Search-Accuracy` after each epoch,
//! at the end `Best-Genotype=Genotype(…)`; with `--retrain-epochs` then `Validation-Accuracy` after
//! each epoch of the cell that was found, which is trained from the beginning.

use std::process::ExitCode;

use clap::Parser;
use diwan_architectures::darts::{self, Primitive, Settings};
use diwan_architectures::{digits, flag, use_one_thread};
use diwan_examples::program;
use diwan_examples::report::{ReportArgs, Reporter};

/// Searches a cell for networks that tell handwritten digits apart.
#[derive(Parser)]
#[command(name = "darts-supernet")]
struct Args {
    /// Settings of the search
    #[arg(long, value_parser = Settings::parse)]
    algorithm_settings: Settings,
    /// Operations that an edge may have
    #[arg(long, value_parser = primitives)]
    search_space: Primitives,
    /// Cells
    #[arg(long, value_parser = layers)]
    num_layers: usize,
    /// How long the cell that was found is trained
    #[arg(long, default_value_t = 0)]
    retrain_epochs: usize,
    /// Decides the first weights and the order of images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

/// As a type of its own, for clap takes a `Vec` for a flag that may be repeated.
#[derive(Clone)]
struct Primitives(Vec<Primitive>);

fn layers(text: &str) -> Result<usize, String> {
    diwan_examples::flag::count(flag::unquoted(text))
}

fn primitives(text: &str) -> Result<Primitives, String> {
    let names: Vec<String> = flag::json(text)?;
    let primitives: Vec<Primitive> = names
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()?;
    if primitives.is_empty() {
        return Err("must name an operation".to_owned());
    }
    Ok(Primitives(primitives))
}

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    use_one_thread();
    let data = digits::load()?;
    let Primitives(primitives) = &args.search_space;
    let mut settings = args.algorithm_settings.clone();
    let genotype = darts::search(
        primitives,
        args.num_layers,
        &settings,
        &data.training,
        args.seed,
        |learned, judged, _| {
            reporter.report(&[
                ("Training-Loss", learned.loss),
                ("Search-Accuracy", judged.accuracy),
            ])
        },
    )?;
    reporter.report_text("Best-Genotype", &genotype.to_string())?;
    if args.retrain_epochs == 0 {
        return Ok(());
    }
    settings.num_epochs = args.retrain_epochs;
    darts::retrain(
        &genotype,
        args.num_layers,
        &settings,
        &data,
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
