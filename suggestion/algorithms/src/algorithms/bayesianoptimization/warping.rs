//! Output warping: losses are made to look normal before a model sees them, so that neither a few
//! terrible trials nor a heap of equal ones decide what the model learns.

use crate::math::normal;

/// How losses are warped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warp {
    /// By the power transform under which they are most likely normal (Yeo and Johnson, "A New
    /// Family of Power Transformations", 2000).
    Power,
    /// The better half stays as it is and the worse half gets the numbers that normal values of
    /// its ranks have (Song et al., "The Vizier Gaussian Process Bandit Algorithm", 2024).
    HalfRank,
}

/// Losses that are above the median by more than this many times the distance from the best to
/// the median are bounded there.
const CAP: f64 = 10.0;

/// The powers that are tried: from the first to the last in so many steps.
const POWERS: (f64, f64, u32) = (-3.0, 2.0, 40);

/// No more losses than this decide about the power.
const DECIDING: usize = 400;

/// Maps losses, the smallest first, to numbers of mean 0 and deviation 1 in the same order.
pub(super) fn warp(sorted: &[f64], warp: Warp) -> Vec<f64> {
    let bounded = bound(sorted);
    standard(&match warp {
        Warp::Power => power(&standard(&bounded)),
        Warp::HalfRank => half_rank(&bounded),
    })
}

fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    match n {
        0 => 0.0,
        _ => f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
    }
}

/// Bounds what is far above the median, and scales to at most 1, where squares are finite.
fn bound(sorted: &[f64]) -> Vec<f64> {
    let median = median(sorted);
    // Halves, since the difference of the largest numbers is infinite.
    let half = 0.5 * median - 0.5 * sorted.first().copied().unwrap_or_default();
    let high = if half > 0.0 {
        median + 2.0 * CAP * half
    } else {
        f64::INFINITY
    };
    let bounded: Vec<f64> = sorted.iter().map(|loss| loss.min(high)).collect();
    let largest = bounded
        .iter()
        .fold(f64::MIN_POSITIVE, |m, b| m.max(b.abs()));
    bounded.into_iter().map(|b| b / largest).collect()
}

/// Scales to mean 0 and deviation 1; to 0 where all are equal.
fn standard(values: &[f64]) -> Vec<f64> {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let scale = if deviation > 1e-14 {
        1.0 / deviation
    } else {
        0.0
    };
    values.iter().map(|v| (v - mean) * scale).collect()
}

fn yeo_johnson(x: f64, power: f64) -> f64 {
    let raise = |base: f64, power: f64| {
        if power.abs() < 1e-9 {
            base.ln()
        } else {
            (base.powf(power) - 1.0) / power
        }
    };
    if x >= 0.0 {
        raise(1.0 + x, power)
    } else {
        -raise(1.0 - x, 2.0 - power)
    }
}

fn power(values: &[f64]) -> Vec<f64> {
    let deciding: Vec<f64> = values
        .iter()
        .step_by(values.len().div_ceil(DECIDING).max(1))
        .copied()
        .collect();
    let n = deciding.len().max(1) as f64;
    let stretch: f64 = deciding.iter().map(|v| v.signum() * v.abs().ln_1p()).sum();
    let likelihood = |power: f64| {
        let raised: Vec<f64> = deciding.iter().map(|v| yeo_johnson(*v, power)).collect();
        let mean = raised.iter().sum::<f64>() / n;
        let variance = raised.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        -0.5 * n * variance.max(1e-300).ln() + (power - 1.0) * stretch
    };
    let (from, to, steps) = POWERS;
    let likeliest = (0..=steps)
        .map(|i| from + (to - from) * f64::from(i) / f64::from(steps))
        .map(|power| (likelihood(power), power))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(1.0, |(_, power)| power);
    values.iter().map(|v| yeo_johnson(*v, likeliest)).collect()
}

fn half_rank(sorted: &[f64]) -> Vec<f64> {
    let n = sorted.len() as f64;
    let median = median(sorted);
    let better: Vec<f64> = sorted.iter().copied().filter(|v| *v <= median).collect();
    let squares: f64 = better.iter().map(|v| (v - median).powi(2)).sum();
    let spread = (squares / better.len().max(1) as f64).sqrt();
    let mut warped = Vec::with_capacity(sorted.len());
    for equal in sorted.chunk_by(|a, b| a == b) {
        let middle = warped.len() as f64 + 0.5 * equal.len() as f64;
        let x = if equal[0] <= median {
            equal[0]
        } else {
            let share = (middle / n).clamp(0.5, 1.0 - 0.25 / n);
            median + spread * normal::quantile(share)
        };
        warped.extend(equal.iter().map(|_| x));
    }
    warped
}

#[cfg(test)]
mod tests {
    use super::*;

    const WARPS: [Warp; 2] = [Warp::Power, Warp::HalfRank];

    #[test]
    fn the_order_stays() {
        let mut losses: Vec<f64> = (0..50).map(|i| (f64::from(i) / 7.0).exp()).collect();
        losses.push(1e300);
        for kind in WARPS {
            let warped = warp(&losses, kind);
            assert!(warped.is_sorted(), "{kind:?} {warped:?}");
            assert!(warped[0] < warped[1] && warped[20] < warped[21]);
        }
    }

    #[test]
    fn any_losses_give_numbers() {
        let largest = f64::MAX;
        for losses in [
            vec![],
            vec![3.0],
            vec![2.0; 9],
            vec![-largest, -1.0, 0.0, largest, largest],
            vec![0.0, 1e-320, 1e-310],
        ] {
            for kind in WARPS {
                let warped = warp(&losses, kind);
                assert_eq!(warped.len(), losses.len());
                assert!(
                    warped.iter().all(|w| w.is_finite()),
                    "{losses:?} {warped:?}"
                );
            }
        }
    }

    #[test]
    fn skewed_losses_become_even() {
        let losses: Vec<f64> = (0..101).map(|i| (f64::from(i) / 20.0).exp()).collect();
        for kind in WARPS {
            let warped = warp(&losses, kind);
            let skew = (warped[100] + warped[0]).abs();
            assert!(skew < 1.2, "{kind:?} {skew}");
        }
    }
}
