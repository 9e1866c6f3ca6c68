//! Goes on with a training whose best learning rate changes on the way, and leaves a checkpoint.
//!
//! Prints `epoch`, `lr` and `Validation-accuracy` after every epoch, of all trials that were continued
//! together. It takes the flags of Katib's image `simple-pbt`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use diwan_examples::changing_rate::Training;
use diwan_examples::report::{ReportArgs, Reporter};
use diwan_examples::{flag, program};

/// Goes on with a training whose best learning rate changes on the way.
#[derive(Parser)]
#[command(name = "pbt-toy")]
struct Args {
    /// Learning rate
    #[arg(long, default_value = "0.0001", value_parser = flag::positive)]
    lr: f64,
    /// Number of epochs
    #[arg(long, default_value = "20", value_parser = flag::count)]
    epochs: usize,
    /// Folder of the checkpoint: what it holds is continued, and replaced at the end
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/log/katib/checkpoints/"
    )]
    checkpoint: PathBuf,
    /// Decides what is left to chance: a number or any text
    #[arg(long, default_value = "1", value_parser = flag::seed)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    let mut training = Training::load(&args.checkpoint)?;
    for _ in 0..args.epochs {
        training.learn(args.lr, args.seed);
        reporter.report(&[
            ("epoch", training.step as f64),
            ("lr", args.lr),
            ("Validation-accuracy", training.accuracy / 100.0),
        ])?;
    }
    training.save(&args.checkpoint)
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
