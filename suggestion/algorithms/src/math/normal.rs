//! The normal distribution, whole and truncated to the unit interval.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use statrs::function::erf::{erf, erfc, erfc_inv};

/// The probability of a standard normal value below `x`.
pub(crate) fn cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// The value below which a standard normal value lies with probability `p`.
pub(crate) fn quantile(p: f64) -> f64 {
    -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p)
}

/// The probability of a standard normal value between `a` and `b`, exact in both tails.
pub(crate) fn between(a: f64, b: f64) -> f64 {
    if a > 0.0 {
        return between(-b, -a);
    }
    if b > 0.0 {
        0.5 * (erf(b * FRAC_1_SQRT_2) - erf(a * FRAC_1_SQRT_2))
    } else {
        cdf(b) - cdf(a)
    }
}

/// A normal distribution truncated to [0, 1]. Its mean lies inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitNormal {
    mean: f64,
    deviation: f64,
    mass: f64,
}

impl UnitNormal {
    /// With this mean, in [0, 1], and this deviation, above 0, before truncation.
    pub(crate) fn new(mean: f64, deviation: f64) -> Self {
        let mass = between(-mean / deviation, (1.0 - mean) / deviation);
        Self {
            mean,
            deviation,
            mass,
        }
    }

    /// The value below which the fraction `u` lies.
    pub(crate) fn quantile(&self, u: f64) -> f64 {
        let low = cdf(-self.mean / self.deviation);
        // The upper tail is reached through the lower one of the mirror image, where floating
        // point is dense.
        let z = if low + u * self.mass <= 0.5 {
            quantile(low + u * self.mass)
        } else {
            -quantile(cdf((self.mean - 1.0) / self.deviation) + (1.0 - u) * self.mass)
        };
        (self.mean + self.deviation * z).clamp(0.0, 1.0)
    }

    /// The probability of a value between `a` and `b`.
    pub(crate) fn between(&self, a: f64, b: f64) -> f64 {
        between(
            (a - self.mean) / self.deviation,
            (b - self.mean) / self.deviation,
        ) / self.mass
    }

    /// The logarithm of the factor before the exponential of the density.
    pub(crate) fn log_factor(&self) -> f64 {
        -(0.5 * TAU.ln() + self.deviation.ln() + self.mass.ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_inverts_between() {
        for mean in [0.0, 0.3, 0.5, 1.0] {
            for deviation in [0.01, 1.0 / 6.0, 1.0, 30.0] {
                let normal = UnitNormal::new(mean, deviation);
                for u in [0.0, 1e-6, 0.2, 0.5, 0.9, 1.0 - 1e-6] {
                    let x = normal.quantile(u);
                    assert!(
                        (normal.between(0.0, x) - u).abs() < 1e-7,
                        "{mean} {deviation} {u}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_density_sums_to_one() {
        let normal = UnitNormal::new(0.2, 0.3);
        let n = 10_000;
        let sum: f64 = (0..n)
            .map(|i| (f64::from(i) + 0.5) / f64::from(n))
            .map(|x| (normal.log_factor() - 0.5 * ((x - 0.2) / 0.3f64).powi(2)).exp())
            .sum();
        assert!((sum / f64::from(n) - 1.0).abs() < 1e-6);
    }
}
