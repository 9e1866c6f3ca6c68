//! Asynchronous successive halving (Li et al., "A System for Massively Parallel Hyperparameter
//! Tuning", 2020).
//!
//! Whenever a trial is wanted, the highest rung from which a configuration can go on gives one:
//! any that is among the best `1/eta` of what has ended in its rung. Where none can, a new
//! configuration begins at the bottom. Nothing ever waits, so that workers are never idle.
//!
//! Departure from the paper: new configurations come from a Sobol sequence instead of chance.

use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::ladder::{self, Ladder, Place, Runs};
use crate::{Algorithm, Capability, Designer, Problem, Refusal, Suggested, Trial, UnknownSettings};

use super::{random, sobol};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "asha",
    aliases: &[],
    summary: "tries many with little of a resource, and the best of them with more, without waiting",
    settings: &[
        ladder::ETA,
        ladder::R_L,
        random::RANDOM_STATE,
        ladder::RESOURCE_NAME,
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::Parallel,
        Capability::Distributions,
        Capability::Fidelity,
    ],
    build: |problem| Ok(Box::new(Asha::new(problem)?)),
};

struct Asha {
    problem: Problem,
    ladder: Ladder,
    runs: Runs,
    axes: Vec<Axis>,
    fresh: Fresh,
    any_active: bool,
}

impl Asha {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let ladder = Ladder::new(problem)?;
        let axes = axes(&ladder.space);
        Ok(Self {
            problem: problem.clone(),
            ladder,
            runs: Runs::default(),
            fresh: Fresh::new(&axes),
            axes,
            any_active: false,
        })
    }

    /// The configurations that can go on, those on the highest rungs first.
    fn promotions(&self) -> Vec<(Place, Vec<diwan_api::search_space::Value>)> {
        let mut promotions = Vec::new();
        for rung in (0..self.ladder.top()).rev() {
            let Some(runs) = self.runs.rung(0, rung) else {
                continue;
            };
            let above = self.runs.rung(0, rung + 1);
            let ended = runs.values().filter(|run| !run.active).count();
            let count = (ended as f64 / self.ladder.eta) as usize;
            for (configuration, point) in ladder::best(runs, count) {
                if above.is_none_or(|above| !above.contains_key(&configuration)) {
                    let place = Place {
                        bracket: 0,
                        base: 0,
                        rung: rung + 1,
                        configuration,
                    };
                    promotions.push((place, point.to_vec()));
                }
            }
        }
        promotions
    }
}

impl Designer for Asha {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.any_active = !active.is_empty();
        for trial in completed.iter().chain(active) {
            self.runs.insert(&self.ladder, &self.problem, trial);
            if let Some(point) = self.ladder.configuration(trial) {
                self.fresh.insert(&self.axes, &point);
            }
        }
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let mut proposals: Vec<_> = self
            .promotions()
            .into_iter()
            .take(count)
            .map(|(place, point)| self.ladder.proposal(place, &point))
            .collect();
        while proposals.len() < count {
            let configuration = self.problem.issued + proposals.len();
            let seed = self.problem.seed;
            let Some(point) = sobol::draw(&self.axes, &mut self.fresh, seed, configuration) else {
                break;
            };
            let place = Place {
                bracket: 0,
                base: 0,
                rung: 0,
                configuration,
            };
            proposals.push(self.ladder.proposal(place, &point));
        }
        Ok(Suggested {
            exhausted: proposals.is_empty() && !self.any_active && count > 0,
            proposals,
            ..Suggested::default()
        })
    }
}
