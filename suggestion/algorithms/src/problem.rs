//! What an algorithm is asked to solve.

use diwan_api::{NasConfig, SearchSpace};

use crate::{Settings, State, Trial};

/// One request, without its history.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The search space.
    pub space: SearchSpace,
    /// Whether smaller or larger is better.
    pub goal: Goal,
    /// The settings of the algorithm, checked.
    pub settings: Settings,
    /// Where every draw comes from.
    pub seed: u64,
    /// How many assignments were given before this request. The place in a random stream or a
    /// sequence follows from it, so that it doesn't matter in which portions a run was asked for.
    pub issued: usize,
    /// How many trials there may be.
    pub budget: Budget,
    /// The space of a neural architecture search.
    pub nas: Option<NasConfig>,
}

/// Whether smaller or larger is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

/// How many trials there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In all; `None` is unlimited.
    pub max_trials: Option<usize>,
    /// At a time.
    pub parallel: usize,
}

impl Problem {
    /// The objective of a trial as a number to be minimized; `None` unless it is finite and the
    /// trial ended in a way that makes it count.
    pub fn loss(&self, trial: &Trial) -> Option<f64> {
        if !matches!(trial.state, State::Succeeded | State::EarlyStopped) {
            return None;
        }
        let value = trial.objective.filter(|v| v.is_finite())?;
        Some(match self.goal {
            Goal::Minimize => value,
            Goal::Maximize => -value,
        })
    }
}

/// The seed of an experiment that sets no `random_state`: FNV-1a of its name, so that two
/// experiments differ and the same one is the same after a restart.
pub fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
