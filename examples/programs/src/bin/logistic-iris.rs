//! Tells three species of iris apart with multinomial logistic regression.
//!
//! Prints `log-loss` and `accuracy` of a cross-validation after every pass of the optimizer.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use diwan_examples::dataset::{self, Scaler};
use diwan_examples::report::{ReportArgs, Reporter};
use diwan_examples::split::{self, Split};
use diwan_examples::{flag, metric, program};
use linfa::Dataset;
use linfa::prelude::Fit as _;
use linfa_logistic::{MultiFittedLogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2, ArrayView1, Axis, Ix1, ShapeError, concatenate};

/// Trains multinomial logistic regression on the iris data.
#[derive(Parser)]
#[command(name = "logistic-iris")]
struct Args {
    /// How much large coefficients cost
    #[arg(long, default_value = "1", value_parser = flag::not_negative)]
    alpha: f64,
    /// 1 for the measurements alone, 2 for their squares and products as well
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u8).range(1..=2))]
    degree: u8,
    /// Number of passes of the optimizer
    #[arg(long, default_value = "20", value_parser = flag::count)]
    epochs: usize,
    /// Number of folds
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u8).range(2..=20))]
    folds: u8,
    /// Decides the folds
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportArgs,
}

/// A model in training, and the fold that it is judged by.
struct Fold {
    known: Dataset<f64, usize, Ix1>,
    unseen: Dataset<f64, usize, Ix1>,
    model: Option<MultiFittedLogisticRegression<f64, usize>>,
}

impl Fold {
    fn new(flowers: &Dataset<f64, usize, Ix1>, split: &Split) -> Self {
        let mut known = dataset::rows(flowers, &split.train);
        let mut unseen = dataset::rows(flowers, &split.validation);
        let scaler = Scaler::fit(&known.records);
        known.records = scaler.apply(&known.records);
        unseen.records = scaler.apply(&unseen.records);
        Self {
            known,
            unseen,
            model: None,
        }
    }

    /// Makes one more step, from where the last one ended.
    fn step(&mut self, alpha: f64) -> Result<(), linfa_logistic::error::Error> {
        let regression = MultiLogisticRegression::default()
            .alpha(alpha)
            .max_iterations(1);
        let regression = match &self.model {
            None => regression,
            Some(model) => {
                // linfa wants the intercepts as the last row of the coefficients.
                let mut weights = model.params().clone();
                weights
                    .push_row(model.intercept().view())
                    .expect("both have a column per class");
                regression.initial_params(weights)
            }
        };
        self.model = Some(regression.fit(&self.known)?);
        Ok(())
    }

    /// The fold's probabilities of each class; even ones before the first step.
    fn probabilities(&self) -> Array2<f64> {
        match &self.model {
            Some(model) => model.predict_probabilities(&self.unseen.records),
            None => Array2::from_elem((self.unseen.targets.len(), CLASSES), 1.0 / CLASSES as f64),
        }
    }
}

const CLASSES: usize = 3;

fn train(args: &Args, reporter: &mut Reporter) -> anyhow::Result<()> {
    let mut flowers = dataset::iris();
    if args.degree == 2 {
        flowers.records = dataset::with_products(&flowers.records);
    }
    let splits = split::folds(
        &flowers.targets.to_vec(),
        usize::from(args.folds),
        args.seed,
    );
    let mut folds: Vec<Fold> = splits
        .iter()
        .map(|split| Fold::new(&flowers, split))
        .collect();
    let truth = joined(folds.iter().map(|fold| fold.unseen.targets.view()))?;
    for epoch in 1..=args.epochs {
        for (number, fold) in folds.iter_mut().enumerate() {
            fold.step(args.alpha)
                .with_context(|| format!("cannot fit fold {}", number + 1))?;
        }
        let each: Vec<Array2<f64>> = folds.iter().map(Fold::probabilities).collect();
        let probabilities =
            concatenate(Axis(0), &each.iter().map(Array2::view).collect::<Vec<_>>())?;
        reporter.report(&[
            ("epoch", epoch as f64),
            ("log-loss", metric::log_loss(&probabilities, &truth)),
            (
                "accuracy",
                metric::accuracy(&likeliest(&probabilities), &truth),
            ),
        ])?;
    }
    Ok(())
}

fn joined<'a>(
    parts: impl Iterator<Item = ArrayView1<'a, usize>>,
) -> Result<Array1<usize>, ShapeError> {
    concatenate(Axis(0), &parts.collect::<Vec<_>>())
}

/// The class with the largest probability in each row; the first of several.
fn likeliest(probabilities: &Array2<f64>) -> Array1<usize> {
    probabilities.map_axis(Axis(1), |row| {
        (0..row.len())
            .rev()
            .max_by(|&a, &b| row[a].total_cmp(&row[b]))
            .unwrap_or(0)
    })
}

fn main() -> ExitCode {
    program::run(|args: &Args| &args.report, train)
}
