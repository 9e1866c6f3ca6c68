//! Builds the network that `enas`, or another algorithm over a graph of layers, has drawn, and trains
//! it to tell handwritten digits apart.
//!
//! Takes the flags of Katib's trial image for `enas`, and prints `Training-Accuracy`, `Training-Loss`,
//! `Validation-Accuracy` and `Validation-Loss` after each epoch.

use std::process::ExitCode;

use clap::Parser;
use diwan_architectures::enas::{self, Architecture, NnConfig, Training};
use diwan_architectures::{digits, flag, use_one_thread};
use diwan_examples::flag::{count, positive};
use diwan_examples::program;
use diwan_examples::report::{ReportArgs, Reporter};

/// Trains the network of an architecture on handwritten digits.
#[derive(Parser)]
#[command(name = "enas-child")]
struct Args {
    /// One row for each layer: the number of its operation, and a bit for each layer before
    #[arg(long, value_parser = rows)]
    architecture: Rows,
    /// What the numbers of operations stand for
    #[arg(long = "nn_config", value_name = "CONFIG", value_parser = flag::json::<NnConfig>)]
    nn_config: NnConfig,
    /// How often all images are learned from
    #[arg(long = "num_epochs", value_name = "COUNT", default_value = "10", value_parser = count)]
    num_epochs: usize,
    /// Images of a step
    #[arg(long = "batch_size", value_name = "COUNT", default_value = "64", value_parser = count)]
    batch_size: usize,
    /// Step size of Adam
    #[arg(long = "learning_rate", value_name = "RATE", default_value = "0.003", value_parser = positive)]
    learning_rate: f64,
    /// Taken and ignored: there is one thread, and no GPU
    #[arg(long = "num_gpus", value_name = "COUNT", default_value_t = 1)]
    num_gpus: usize,
    /// Decides the first weights and the order of images
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

/// As a type of its own, for clap takes a `Vec` for a flag that may be repeated.
#[derive(Clone)]
struct Rows(Vec<Vec<usize>>);

fn rows(text: &str) -> Result<Rows, String> {
    flag::json(text).map(Rows)
}

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    let architecture =
        Architecture::new(&args.architecture.0, &args.nn_config).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(
        architecture.classes >= digits::CLASSES,
        "output_sizes of nn_config: must end with {} or more, for there are as many digits",
        digits::CLASSES
    );
    use_one_thread();
    let training = Training {
        epochs: args.num_epochs,
        batch_size: args.batch_size,
        learning_rate: args.learning_rate,
        seed: args.seed,
    };
    let data = digits::load()?;
    enas::train(&architecture, &data, &training, |learned, judged| {
        reporter.report(&[
            ("Training-Accuracy", learned.accuracy),
            ("Training-Loss", learned.loss),
            ("Validation-Accuracy", judged.accuracy),
            ("Validation-Loss", judged.loss),
        ])
    })
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
