//! What makes a point worth trying, from what a model expects there.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use statrs::function::erf::erfc;

/// How many deviations below the mean the lower confidence bound lies.
const CONFIDENCE: f64 = 1.96;

/// A function of the mean and the deviation at a point; larger is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Acquisition {
    /// The logarithm of the expected improvement on a loss (Ament et al., "Unexpected
    /// Improvements to Expected Improvement for Bayesian Optimization", 2023).
    ExpectedImprovement(f64),
    /// The logarithm of the probability of an improvement on a loss.
    ProbabilityOfImprovement(f64),
    /// The negative lower confidence bound.
    ConfidenceBound,
}

/// A value and its derivatives.
pub(super) struct Worth {
    pub(super) value: f64,
    pub(super) by_mean: f64,
    pub(super) by_deviation: f64,
}

impl Acquisition {
    /// What a point with this mean and deviation is worth.
    pub(super) fn worth(self, (mean, deviation): (f64, f64)) -> Worth {
        let standard = |best: f64| (best - mean) / deviation;
        match self {
            Self::ExpectedImprovement(best) => {
                let z = standard(best);
                let (log, cdf, density) = log_improvement(z);
                Worth {
                    value: deviation.ln() + log,
                    by_mean: -cdf / deviation,
                    by_deviation: density / deviation,
                }
            }
            Self::ProbabilityOfImprovement(best) => {
                let z = standard(best);
                let (log, ratio) = log_cdf(z);
                Worth {
                    value: log,
                    by_mean: -ratio / deviation,
                    by_deviation: -ratio * z / deviation,
                }
            }
            Self::ConfidenceBound => Worth {
                value: CONFIDENCE * deviation - mean,
                by_mean: -1.0,
                by_deviation: CONFIDENCE,
            },
        }
    }
}

fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / TAU.sqrt()
}

fn cdf(z: f64) -> f64 {
    0.5 * erfc(-z * FRAC_1_SQRT_2)
}

/// The logarithm of `h(z) = φ(z) + z Φ(z)`, and `Φ(z) / h(z)` and `φ(z) / h(z)`.
fn log_improvement(z: f64) -> (f64, f64, f64) {
    if z > -8.0 {
        let (density, cdf) = (density(z), cdf(z));
        let h = (density + z * cdf).max(1e-300);
        return (h.ln(), cdf / h, density / h);
    }
    // By the asymptotic series of Φ.
    let square = 1.0 / (z * z);
    let h = square * (1.0 - 3.0 * square * (1.0 - 5.0 * square));
    let cdf = -(1.0 - square * (1.0 - 3.0 * square)) / z;
    (-0.5 * z * z - 0.5 * TAU.ln() + h.ln(), cdf / h, 1.0 / h)
}

/// The logarithm of `Φ(z)`, and `φ(z) / Φ(z)`.
fn log_cdf(z: f64) -> (f64, f64) {
    if z > -8.0 {
        let cdf = cdf(z);
        return (cdf.ln(), density(z) / cdf);
    }
    let square = 1.0 / (z * z);
    let cdf = -(1.0 - square * (1.0 - 3.0 * square)) / z;
    (-0.5 * z * z - 0.5 * TAU.ln() + cdf.ln(), 1.0 / cdf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_differences() {
        let functions = [
            Acquisition::ExpectedImprovement(-0.5),
            Acquisition::ProbabilityOfImprovement(-0.5),
            Acquisition::ConfidenceBound,
        ];
        for acquisition in functions {
            for mean in [-2.0, -0.5, 0.0, 3.0] {
                for deviation in [0.03, 0.3, 1.0] {
                    let worth = acquisition.worth((mean, deviation));
                    let value = |m, d| acquisition.worth((m, d)).value;
                    let by_mean =
                        (value(mean + 1e-6, deviation) - value(mean - 1e-6, deviation)) / 2e-6;
                    let by_deviation =
                        (value(mean, deviation + 1e-7) - value(mean, deviation - 1e-7)) / 2e-7;
                    let near = |a: f64, b: f64| (a - b).abs() < 1e-3 * (1.0 + b.abs());
                    assert!(
                        near(worth.by_mean, by_mean),
                        "{acquisition:?} {mean} {deviation}"
                    );
                    assert!(
                        near(worth.by_deviation, by_deviation),
                        "{acquisition:?} {mean} {deviation}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_far_tail_joins_the_near_one() {
        let (near, far) = (log_improvement(-8.0 + 1e-9), log_improvement(-8.0 - 1e-9));
        assert!((near.0 - far.0).abs() < 1e-3 && (near.1 / far.1 - 1.0).abs() < 1e-2);
        let (near, far) = (log_cdf(-8.0 + 1e-9), log_cdf(-8.0 - 1e-9));
        assert!((near.0 - far.0).abs() < 1e-3 && (near.1 / far.1 - 1.0).abs() < 1e-2);
    }
}
