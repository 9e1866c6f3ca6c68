//! Tells good red wines from others with a support vector machine.
//!
//! Prints `fold-accuracy` of each fold of a cross-validation, then `accuracy` and `f1` of all
//! predictions together.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use diwan_examples::dataset::{self, Scaler};
use diwan_examples::report::{ReportArgs, Reporter};
use diwan_examples::{flag, metric, program, split};
use linfa::Dataset;
use linfa::prelude::{Fit as _, Predict as _};
use linfa_svm::{Svm, SvmParams};
use ndarray::Array1;

/// Trains a support vector machine on the red wines of the UCI wine quality data.
#[derive(Parser)]
#[command(name = "svm-wine")]
struct Args {
    /// How similar two wines are
    #[arg(long, value_enum, default_value_t)]
    kernel: Kernel,
    /// How much a wine on the wrong side costs
    #[arg(long, default_value = "1", value_parser = flag::positive)]
    c: f64,
    /// Squared distance at which the similarity of two wines is 1/e, of the gaussian kernel
    #[arg(long, default_value = "1", value_parser = flag::positive)]
    width: f64,
    /// Degree of the polynomial kernel
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u8).range(1..=5))]
    degree: u8,
    /// How exactly the machine is solved
    #[arg(long, default_value = "0.01", value_parser = flag::positive)]
    tolerance: f64,
    /// Number of folds
    #[arg(long, default_value = "4", value_parser = clap::value_parser!(u8).range(2..=20))]
    folds: u8,
    /// Decides the folds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

#[derive(ValueEnum, Clone, Copy, Default)]
enum Kernel {
    Linear,
    #[default]
    Gaussian,
    Polynomial,
}

fn machine(args: &Args) -> SvmParams<f64, bool> {
    let machine = Svm::<f64, bool>::params()
        .pos_neg_weights(args.c, args.c)
        .eps(args.tolerance);
    match args.kernel {
        Kernel::Linear => machine.linear_kernel(),
        Kernel::Gaussian => machine.gaussian_kernel(args.width),
        Kernel::Polynomial => machine.polynomial_kernel(1.0, f64::from(args.degree)),
    }
}

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    let wines = dataset::good_wine();
    // Divided by the root of their number, columns give products and distances near 1.
    let unit = (wines.records.ncols() as f64).sqrt();
    let mut predictions = Array1::from_elem(wines.targets.len(), false);
    let splits = split::folds(&wines.targets.to_vec(), usize::from(args.folds), args.seed);
    for (number, split) in splits.iter().enumerate() {
        let known = dataset::rows(&wines, &split.train);
        let unseen = dataset::rows(&wines, &split.validation);
        let scaler = Scaler::fit(&known.records);
        let model = machine(args)
            .fit(&Dataset::new(
                scaler.apply(&known.records) / unit,
                known.targets,
            ))
            .with_context(|| format!("cannot fit fold {}", number + 1))?;
        let predicted: Array1<bool> = model.predict(&(scaler.apply(&unseen.records) / unit));
        reporter.report(&[
            ("fold", (number + 1) as f64),
            (
                "fold-accuracy",
                metric::accuracy(&predicted, &unseen.targets),
            ),
        ])?;
        for (&row, &good) in split.validation.iter().zip(&predicted) {
            predictions[row] = good;
        }
    }
    reporter.report(&[
        ("accuracy", metric::accuracy(&predictions, &wines.targets)),
        ("f1", metric::f1(&predictions, &wines.targets)),
    ])
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
