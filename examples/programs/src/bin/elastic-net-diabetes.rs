//! Predicts the progress of diabetes with a linear model under an elastic net penalty.
//!
//! Prints `fold-rmse` of each fold of a cross-validation, then `rmse` and `r2` of all
//! predictions together.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use diwan_examples::dataset::{self, Scaler};
use diwan_examples::report::{ReportArgs, Reporter};
use diwan_examples::{flag, metric, program, split};
use linfa::Dataset;
use linfa::prelude::{Fit as _, Predict as _};
use linfa_elasticnet::ElasticNet;
use ndarray::{Array1, Array2};

/// Trains a linear model with an elastic net penalty on the diabetes data.
#[derive(Parser)]
#[command(name = "elastic-net-diabetes")]
struct Args {
    /// How much large coefficients cost
    #[arg(long, default_value = "1", value_parser = flag::not_negative)]
    penalty: f64,
    /// Share of the penalty on absolute values (lasso); the rest is on squares (ridge)
    #[arg(long, default_value = "0.5", value_parser = flag::share)]
    l1_ratio: f64,
    /// 1 for the measurements alone, 2 for their squares and products as well
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u8).range(1..=2))]
    degree: u8,
    /// Most passes over the coefficients
    #[arg(long, default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    max_iterations: u32,
    /// Number of folds
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(2..=50))]
    folds: u8,
    /// Decides the folds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    let patients = dataset::diabetes();
    let records = columns(&patients.records, args.degree);
    let patients = Dataset::new(records, patients.targets);
    let mut predictions = Array1::zeros(patients.targets.len());
    let splits = split::folds(
        &vec![(); patients.targets.len()],
        usize::from(args.folds),
        args.seed,
    );
    for (number, split) in splits.iter().enumerate() {
        let known = dataset::rows(&patients, &split.train);
        let unseen = dataset::rows(&patients, &split.validation);
        let scaler = Scaler::fit(&known.records);
        let model = ElasticNet::params()
            .penalty(args.penalty)
            .l1_ratio(args.l1_ratio)
            .max_iterations(args.max_iterations)
            .fit(&Dataset::new(scaler.apply(&known.records), known.targets))
            .with_context(|| format!("cannot fit fold {}", number + 1))?;
        let predicted = model.predict(&scaler.apply(&unseen.records));
        reporter.report(&[
            ("fold", (number + 1) as f64),
            ("fold-rmse", metric::rmse(&predicted, &unseen.targets)),
        ])?;
        for (&row, &value) in split.validation.iter().zip(&predicted) {
            predictions[row] = value;
        }
    }
    reporter.report(&[
        ("rmse", metric::rmse(&predictions, &patients.targets)),
        ("r2", metric::r2(&predictions, &patients.targets)),
    ])
}

fn columns(records: &Array2<f64>, degree: u8) -> Array2<f64> {
    if degree == 1 {
        records.clone()
    } else {
        dataset::with_products(records)
    }
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
