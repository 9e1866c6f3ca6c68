//! Tells good red wines from others with a random forest.
//!
//! Prints `accuracy` and `log-loss` on held-out wines after every few trees.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use diwan_examples::forest::{Ballot, ForestParams, grow};
use diwan_examples::report::{ReportArgs, Reporter};
use diwan_examples::{dataset, flag, metric, program, split};
use linfa_trees::SplitQuality;

/// Trains a random forest on the red wines of the UCI wine quality data.
#[derive(Parser)]
#[command(name = "forest-wine")]
struct Args {
    /// Number of trees
    #[arg(long, default_value = "40", value_parser = flag::count)]
    trees: usize,
    /// Most splits between root and leaf
    #[arg(long, default_value = "3", value_parser = flag::count)]
    max_depth: usize,
    /// Fewest wines in a leaf
    #[arg(long, default_value = "1", value_parser = flag::count)]
    min_leaf: usize,
    /// Number of the 11 measurements that each tree sees
    #[arg(long, default_value = "3", value_parser = flag::count)]
    max_features: usize,
    /// Share of the wines that each tree sees
    #[arg(long, default_value = "1", value_parser = flag::positive_share)]
    sample: f64,
    /// Least gain of a split
    #[arg(long, default_value = "0.00001", value_parser = flag::positive)]
    min_gain: f64,
    /// How good a split is
    #[arg(long, value_enum, default_value_t)]
    criterion: Criterion,
    /// Decides the split of the data and the forest
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(ValueEnum, Clone, Copy, Default)]
enum Criterion {
    #[default]
    Gini,
    Entropy,
}

/// Trees between two lines of metrics.
const STRIDE: usize = 2;

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    let wines = dataset::good_wine();
    let split = split::hold_out(&wines.targets.to_vec(), 4, args.seed);
    let (known, unseen) = (
        dataset::rows(&wines, &split.train),
        dataset::rows(&wines, &split.validation),
    );
    let truth = unseen.targets.map(|&good| usize::from(good));
    let params = ForestParams {
        quality: match args.criterion {
            Criterion::Gini => SplitQuality::Gini,
            Criterion::Entropy => SplitQuality::Entropy,
        },
        max_depth: args.max_depth,
        min_leaf: args.min_leaf,
        max_features: args.max_features,
        sample: args.sample,
        min_gain: args.min_gain,
    };
    let mut ballot = Ballot::new(truth.len());
    for index in 0..args.trees {
        ballot.cast(
            &grow(&params, &known, args.seed, index as u64)?,
            &unseen.records,
        );
        let trees = index + 1;
        if trees % STRIDE == 0 || trees == args.trees {
            reporter.report(&[
                ("trees", trees as f64),
                (
                    "accuracy",
                    metric::accuracy(&ballot.decision(), &unseen.targets),
                ),
                (
                    "log-loss",
                    metric::log_loss(&ballot.probabilities(), &truth),
                ),
            ])?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
