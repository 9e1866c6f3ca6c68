//! Hyperband: successive halving from several amounts of the resource (Li et al., "Hyperband: A
//! Novel Bandit-Based Approach to Hyperparameter Optimization", 2018).
//!
//! A bracket begins with many configurations and little of the resource; the best of a rung get
//! `eta` times as much in the next. A rung waits for the one below to end. Meanwhile the next
//! bracket begins (as in Falkner et al., "BOHB", 2018), so that any number of trials may run at a
//! time. Katib's service gives a rung at once or not at all, and never leaves its first bracket.
//!
//! The settings that are returned are those of Katib's service. They tell people where the search
//! stands; the search itself is read from the labels of the trials.

use diwan_api::AlgorithmSetting;
use diwan_api::search_space::Value;

use super::random;
use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::ladder::{self, Ladder, Place, Rung, Runs, Slot};
use crate::{Algorithm, Capability, Designer, Problem, Refusal, Suggested, Trial, UnknownSettings};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "hyperband",
    aliases: &[],
    summary: "tries many with little of a resource, and the best of them with more, in brackets",
    settings: &[
        ladder::ETA,
        ladder::R_L,
        random::RANDOM_STATE,
        ladder::RESOURCE_NAME,
    ],
    // As Katib's service does; among them are the settings that it returns.
    unknown_settings: UnknownSettings::Ignored,
    supports: &[
        Capability::Parallel,
        Capability::Distributions,
        Capability::Fidelity,
    ],
    build: |problem| Ok(Box::new(Hyperband::new(problem)?)),
};

struct Hyperband {
    problem: Problem,
    brackets: Brackets,
    axes: Vec<Axis>,
    fresh: Fresh,
    any_active: bool,
}

impl Hyperband {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let brackets = Brackets::new(problem)?;
        let axes = axes(&brackets.ladder.space);
        Ok(Self {
            problem: problem.clone(),
            brackets,
            fresh: Fresh::new(&axes),
            axes,
            any_active: false,
        })
    }
}

impl Designer for Hyperband {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.any_active = !active.is_empty();
        for trial in completed.iter().chain(active) {
            self.brackets.observe(&self.problem, trial);
            if let Some(point) = self.brackets.ladder.configuration(trial) {
                self.fresh.insert(&self.axes, &point);
            }
        }
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let slots = self.brackets.plan(count, self.fresh.left());
        let Self {
            problem,
            axes,
            fresh,
            ..
        } = self;
        let mut suggested = self.brackets.fill(&slots, problem.issued, |configuration| {
            random::draw(axes, fresh, problem.seed, configuration)
        });
        suggested.exhausted = suggested.proposals.is_empty() && !self.any_active && count > 0;
        Ok(suggested)
    }
}

/// The schedule of Hyperband: which runs come next, given those that were.
pub(super) struct Brackets {
    pub(super) ladder: Ladder,
    pub(super) runs: Runs,
    /// How many brackets there are in all.
    end: usize,
}

impl Brackets {
    /// The schedule for the resource that the settings describe. It ends after one bracket from
    /// each level, unless the experiment has a larger number of trials to make: then it begins
    /// anew with other configurations until these are made.
    pub(super) fn new(problem: &Problem) -> Result<Self, Refusal> {
        let ladder = Ladder::new(problem)?;
        let end = match problem.budget.max_trials {
            Some(_) => usize::MAX,
            None => ladder.levels.len(),
        };
        Ok(Self {
            ladder,
            runs: Runs::default(),
            end,
        })
    }

    /// Takes in a trial.
    pub(super) fn observe(&mut self, problem: &Problem, trial: &Trial) {
        self.runs.insert(&self.ladder, problem, trial);
    }

    /// The level at which a bracket begins: the lowest first.
    pub(super) fn base(&self, bracket: usize) -> usize {
        bracket % self.ladder.levels.len()
    }

    /// How many configurations a bracket begins with, so that all cost about the same.
    fn size(&self, bracket: usize) -> usize {
        let levels = self.ladder.levels.len() as f64;
        let rungs = levels - self.base(bracket) as f64;
        (levels / rungs * self.ladder.eta.powf(rungs - 1.0) - 1e-9).ceil() as usize
    }

    /// Up to `count` runs, of which at most `room` with new configurations.
    pub(super) fn plan(&self, count: usize, mut room: u64) -> Vec<Slot> {
        let mut slots = Vec::new();
        for bracket in 0..self.end {
            let is_begun = self.runs.rung(bracket, 0).is_some();
            if slots.len() >= count || (room == 0 && !is_begun) {
                break;
            }
            self.plan_bracket(bracket, count, &mut room, &mut slots);
        }
        slots
    }

    fn plan_bracket(&self, bracket: usize, count: usize, room: &mut u64, slots: &mut Vec<Slot>) {
        let base = self.base(bracket);
        let issued = self.runs.rung(bracket, 0).map_or(0, Rung::len);
        let missing = self.size(bracket).saturating_sub(issued) as u64;
        let new = missing.min(*room).min((count - slots.len()) as u64);
        slots.extend((0..new).map(|_| Slot::New { bracket, base }));
        *room -= new;
        if new > 0 {
            return;
        }
        for rung in 0..self.ladder.top() - base {
            let Some(below) = self.runs.rung(bracket, rung) else {
                return;
            };
            if below.values().any(|run| run.active) {
                return;
            }
            let wanted = (below.len() as f64 / self.ladder.eta - 1e-9).ceil() as usize;
            let above = self.runs.rung(bracket, rung + 1);
            let left = wanted.saturating_sub(above.map_or(0, Rung::len));
            let is_missing = |id: &usize| above.is_none_or(|above| !above.contains_key(id));
            let next: Vec<Slot> = ladder::best(below, wanted)
                .into_iter()
                .filter(|(id, _)| is_missing(id))
                .take(left)
                .map(|(configuration, point)| Slot::Again {
                    place: Place {
                        bracket,
                        base,
                        rung: rung + 1,
                        configuration,
                    },
                    point: point.to_vec(),
                })
                .collect();
            if !next.is_empty() {
                let free = count - slots.len();
                slots.extend(next.into_iter().take(free));
                return;
            }
        }
    }

    /// The answer that the slots make, with new configurations from `draw`.
    pub(super) fn fill(
        &self,
        slots: &[Slot],
        issued: usize,
        mut draw: impl FnMut(usize) -> Option<Vec<Value>>,
    ) -> Suggested {
        let proposal = |(index, slot): (usize, &Slot)| match slot {
            Slot::Again { place, point } => Some(self.ladder.proposal(*place, point)),
            Slot::New { bracket, base } => {
                let place = Place {
                    bracket: *bracket,
                    base: *base,
                    rung: 0,
                    configuration: issued + index,
                };
                Some(self.ladder.proposal(place, &draw(issued + index)?))
            }
        };
        Suggested {
            proposals: slots.iter().enumerate().filter_map(proposal).collect(),
            settings: slots
                .last()
                .map(|slot| self.state(slot))
                .unwrap_or_default(),
            ..Suggested::default()
        }
    }

    /// What Katib's service returns of its state, for the place of one slot.
    fn state(&self, slot: &Slot) -> Vec<AlgorithmSetting> {
        let (bracket, base, rung) = match slot {
            Slot::New { bracket, base } => (*bracket, *base, 0),
            Slot::Again { place, .. } => (place.bracket, place.base, place.rung),
        };
        let Ladder {
            eta, most, name, ..
        } = &self.ladder;
        let s_max = self.ladder.top();
        let size = self.size(bracket);
        let in_rung = (0..rung).fold(size, |n, _| (n as f64 / eta - 1e-9).ceil() as usize);
        [
            ("eta", eta.to_string()),
            ("s_max", s_max.to_string()),
            ("r_l", most.to_string()),
            ("b_l", ((s_max + 1) as f64 * most).to_string()),
            (
                "r",
                (most * eta.powi(base as i32 - s_max as i32)).to_string(),
            ),
            ("n", size.to_string()),
            ("current_s", (s_max - base).to_string()),
            ("current_i", rung.to_string()),
            ("resource_name", name.clone()),
            ("evaluating_trials", in_rung.to_string()),
        ]
        .map(|(name, value)| AlgorithmSetting {
            name: name.to_owned(),
            value,
        })
        .to_vec()
    }
}
