//! A training whose best learning rate changes on the way: it rises with the accuracy until that is
//! half way, and falls again. The arithmetic is that of Katib's `simple-pbt`, which has it from Ray's
//! example of population based training.

use std::path::Path;

use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::json;

use crate::checkpoint;

/// The accuracy, in percent, at which the best rate is highest.
const MIDDLE: f64 = 50.0;
/// The lowest and the highest best rate.
const BEST: (f64, f64) = (0.001, 0.01);
/// How many times too high or low a rate may be and still teach something.
const TOLERANCE: f64 = 3.0;
/// The standard deviation of what chance adds in each step.
const NOISE: f64 = 2.0;

/// How far a training has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Training {
    /// Steps that were made.
    pub step: u64,
    /// In percent.
    pub accuracy: f64,
}

impl Training {
    /// The best learning rate of the next step.
    pub fn best_rate(&self) -> f64 {
        let share = self.accuracy / MIDDLE;
        let rate = BEST.1 * share.min(2.0 - share);
        rate.clamp(BEST.0, BEST.1)
    }

    /// Makes a step. Chance is decided by `seed`, the step and the rate.
    pub fn learn(&mut self, rate: f64, seed: u64) {
        let place = self.step.rotate_left(32) ^ rate.to_bits();
        let mut rng = Pcg64Mcg::seed_from_u64(seed ^ place);
        let best = self.best_rate();
        let error = rate.max(best) / rate.min(best);
        if error < TOLERANCE {
            self.accuracy += rng.random::<f64>() / error;
        } else if rate > best {
            self.accuracy -= (error - TOLERANCE) * rng.random::<f64>();
        }
        self.accuracy += NOISE * normal(&mut rng);
        self.accuracy = self.accuracy.clamp(0.0, 100.0);
        self.step += 1;
    }

    /// The training that a folder holds, or a new one where it holds none.
    pub fn load(folder: &Path) -> anyhow::Result<Self> {
        let Some(value) = checkpoint::load(folder)? else {
            return Ok(Self::default());
        };
        let read = value["step"].as_u64().zip(value["accuracy"].as_f64());
        let (step, accuracy) = read.context("the checkpoint is of another program")?;
        Ok(Self { step, accuracy })
    }

    /// Leaves the training in a folder.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let value = json!({"step": self.step, "accuracy": self.accuracy});
        checkpoint::save(folder, &value)
    }
}

/// A draw of the standard normal distribution.
fn normal(rng: &mut Pcg64Mcg) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained(accuracy: f64) -> Training {
        Training { step: 7, accuracy }
    }

    #[test]
    fn the_best_rate_rises_and_falls() {
        for (accuracy, rate) in [
            (0.0, 0.001),
            (25.0, 0.005),
            (50.0, 0.01),
            (75.0, 0.005),
            (100.0, 0.001),
        ] {
            assert!(
                (trained(accuracy).best_rate() - rate).abs() < 1e-12,
                "{accuracy}"
            );
        }
    }

    #[test]
    fn the_best_rate_teaches_and_a_wrong_one_does_not() {
        let mean = |rate: f64| {
            let each = (0..2_000).map(|seed| {
                let mut training = trained(50.0);
                training.learn(rate, seed);
                training.accuracy
            });
            each.sum::<f64>() / 2_000.0 - 50.0
        };
        assert!((mean(0.01) - 0.5).abs() < 0.15, "{}", mean(0.01));
        assert!(mean(0.001).abs() < 0.15, "{}", mean(0.001));
        assert!(mean(0.06) < -1.0, "{}", mean(0.06));
    }

    #[test]
    fn a_checkpoint_is_what_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Training::load(folder.path());
        assert_eq!(load().unwrap(), Training::default());
        trained(12.345_678_9).save(folder.path()).unwrap();
        assert_eq!(load().unwrap(), trained(12.345_678_9));
        checkpoint::save(folder.path(), &json!({"step": 1})).unwrap();
        assert!(load().is_err());
    }
}
