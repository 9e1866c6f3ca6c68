//! Search over several levels of a resource: what is common to the algorithms that give most
//! configurations little and the best of them more.
//!
//! The resource (epochs, samples, rounds) is one of the experiment's parameters; the other
//! parameters are a *configuration*. A *run* is one trial of a configuration at one *level* of the
//! resource. Bracket, rung and configuration of a run travel in the labels of its trial, so that
//! the state of a search is read from its history and from nothing else.

use std::collections::BTreeMap;

use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Value};
use indexmap::IndexMap;

use crate::{Kind, Problem, Proposal, Refusal, Setting, State, Trial};

/// The label with the number of the bracket, counted from 0 over the whole search.
pub(crate) const BRACKET: &str = "diwan.dev/bracket";
/// The label with the number of the rung in its bracket.
pub(crate) const RUNG: &str = "diwan.dev/rung";
/// The label with the number of the configuration: that of the first assignment made of it.
pub(crate) const CONFIGURATION: &str = "diwan.dev/configuration";

pub(crate) const ETA: Setting = Setting {
    name: "eta",
    kind: Kind::Float {
        above: f64::NEG_INFINITY,
        below: f64::INFINITY,
        refusal: "eta must be a number.",
    },
    default: "3",
    doc: "one in so many goes on with so many times the resource; whole, 3 when it is 1 or less",
};

pub(crate) const R_L: Setting = Setting {
    name: "r_l",
    kind: Kind::Positive {
        refusal: "r_l must be a positive float number.",
    },
    default: "",
    doc: "the most of the resource that one trial gets; required",
};

pub(crate) const RESOURCE_NAME: Setting = Setting {
    name: "resource_name",
    kind: Kind::Text,
    default: "",
    doc: "the parameter that is the resource; required",
};

/// More levels than this double a resource beyond what 64 bits count.
const MAX_LEVELS: usize = 64;

/// The levels of the resource, and the space of configurations.
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    /// Place of the resource among the parameters.
    resource: usize,
    /// Its name.
    pub(crate) name: String,
    /// The setting `r_l` as it was given.
    pub(crate) most: f64,
    /// Values of the resource, rising. The last is all that a trial can get.
    pub(crate) levels: Vec<Value>,
    /// One in so many configurations goes on to the next level.
    pub(crate) eta: f64,
    /// The parameters without the resource.
    pub(crate) space: SearchSpace,
}

impl Ladder {
    /// The levels that the settings `r_l`, `eta` and `resource_name` describe. The lowest is the
    /// least that the parameter can be, but 1 where that is no positive number.
    pub(crate) fn new(problem: &Problem) -> Result<Self, Refusal> {
        let settings = &problem.settings;
        let (Some(most), Some(name)) = (settings.float("r_l"), settings.text("resource_name"))
        else {
            return refuse("r_l and resource_name must be set.");
        };
        let mut space = problem.space.clone();
        let Some(resource) = space.parameters.iter().position(|p| p.name == name) else {
            return refuse("value of resource_name setting must be in parameters.");
        };
        let domain = space.parameters.remove(resource).domain;
        if space.parameters.is_empty() {
            return refuse("there is no parameter besides the one that resource_name names");
        }
        let Some((min, max)) = bounds(&domain) else {
            return refuse("resource_name must name a parameter whose values are numbers");
        };
        // As upstream reads it: whole, and 3 where it makes no sense.
        let eta = settings.float("eta").unwrap_or(3.0).trunc();
        let eta = if eta > 1.0 { eta } else { 3.0 };
        let reachable = most.min(max);
        let least = if min > 0.0 { min } else { 1.0 };
        Ok(Self {
            resource,
            name: name.to_owned(),
            most,
            levels: levels(&domain, least, reachable, eta),
            eta,
            space,
        })
    }

    /// The highest level.
    pub(crate) fn top(&self) -> usize {
        self.levels.len() - 1
    }

    /// The configuration of a trial.
    pub(crate) fn configuration(&self, trial: &Trial) -> Option<Vec<Value>> {
        if trial.values.len() != self.space.parameters.len() + 1 {
            return None;
        }
        let others = trial.values.iter().enumerate();
        others
            .filter(|(i, _)| *i != self.resource)
            .map(|(_, value)| *value)
            .collect()
    }

    /// A run of a configuration.
    pub(crate) fn proposal(&self, place: Place, configuration: &[Value]) -> Proposal {
        let mut values = configuration.to_vec();
        values.insert(self.resource, self.levels[place.base + place.rung]);
        let labels: IndexMap<String, String> = [
            (BRACKET, place.bracket),
            (RUNG, place.rung),
            (CONFIGURATION, place.configuration),
        ]
        .map(|(key, number)| (key.to_owned(), number.to_string()))
        .into_iter()
        .collect();
        Proposal {
            values,
            labels,
            ..Proposal::default()
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The bracket.
    pub(crate) bracket: usize,
    /// The level of the bracket's first rung.
    pub(crate) base: usize,
    /// The rung.
    pub(crate) rung: usize,
    /// The configuration.
    pub(crate) configuration: usize,
}

/// What is to be run next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Slot {
    /// A new configuration in the first rung of a bracket that begins at the level `base`.
    New {
        /// The bracket.
        bracket: usize,
        /// Its lowest level.
        base: usize,
    },
    /// A known configuration.
    Again {
        /// Where it is run.
        place: Place,
        /// The configuration.
        point: Vec<Value>,
    },
}

/// One run of the history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// Its configuration; `None` when it is not in the history or outside of the space.
    pub(crate) point: Option<Vec<Value>>,
    /// Whether it has not ended.
    pub(crate) active: bool,
    /// What it achieved; `None` unless it succeeded. A run that was stopped early has shown that
    /// it deserves no more.
    pub(crate) loss: Option<f64>,
}

/// The runs of one rung, by configuration.
pub(crate) type Rung = BTreeMap<usize, Run>;

/// All runs of a history, by bracket and rung. Trials of others, without labels, are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs(BTreeMap<(usize, usize), Rung>);

impl Runs {
    /// Takes in a trial.
    pub(crate) fn insert(&mut self, ladder: &Ladder, problem: &Problem, trial: &Trial) {
        let number = |key: &str| trial.labels.get(key)?.parse::<usize>().ok();
        let (Some(bracket), Some(rung), Some(configuration)) =
            (number(BRACKET), number(RUNG), number(CONFIGURATION))
        else {
            return;
        };
        let succeeded = trial.state == State::Succeeded;
        let run = Run {
            point: ladder.configuration(trial),
            active: trial.state == State::Active,
            loss: problem.loss(trial).filter(|_| succeeded),
        };
        let rung = self.0.entry((bracket, rung)).or_default();
        match rung.get(&configuration) {
            // Of two trials of one run the better counts, in whichever order they come.
            Some(other) if worth(other) <= worth(&run) => {}
            _ => {
                rung.insert(configuration, run);
            }
        }
    }

    /// The runs of one rung.
    pub(crate) fn rung(&self, bracket: usize, rung: usize) -> Option<&Rung> {
        self.0.get(&(bracket, rung))
    }

    /// All rungs with their bracket and number.
    pub(crate) fn rungs(&self) -> impl Iterator<Item = ((usize, usize), &Rung)> {
        self.0.iter().map(|(place, rung)| (*place, rung))
    }
}

/// Orders runs of the same configuration at the same place, the one that counts first.
fn worth(run: &Run) -> (bool, bool, bool, i64) {
    let loss = run.loss.unwrap_or(f64::INFINITY);
    // The order of the bits of a number, negative ones turned round, is that of the numbers.
    let bits = loss.to_bits() as i64;
    let order = if bits < 0 { bits ^ i64::MAX } else { bits };
    (run.loss.is_none(), run.active, run.point.is_none(), order)
}

/// The `count` best configurations of a rung, the best first.
pub(crate) fn best(rung: &Rung, count: usize) -> Vec<(usize, &[Value])> {
    let mut ranked: Vec<(f64, usize, &[Value])> = rung
        .iter()
        .filter_map(|(id, run)| Some((run.loss?, *id, run.point.as_deref()?)))
        .collect();
    ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let ranked = ranked.into_iter().take(count);
    ranked.map(|(_, id, point)| (id, point)).collect()
}

fn refuse<T>(why: &str) -> Result<T, Refusal> {
    Err(Refusal(why.to_owned()))
}

/// The smallest and the largest number of a domain.
fn bounds(domain: &Domain) -> Option<(f64, f64)> {
    match domain {
        Domain::Double { min, max, .. } => Some((*min, *max)),
        Domain::Int { min, max, .. } => Some((*min as f64, *max as f64)),
        Domain::Discrete(list) => {
            let numbers = list.iter().map(|(number, _)| *number);
            Some((
                numbers.clone().fold(f64::INFINITY, f64::min),
                numbers.fold(f64::NEG_INFINITY, f64::max),
            ))
        }
        Domain::Categorical(_) => None,
    }
}

/// The values of the resource from `least` to `most`, each about `eta` times the one before.
fn levels(domain: &Domain, least: f64, most: f64, eta: f64) -> Vec<Value> {
    // The quotient of the logarithms of 27 and 3 may be a hair below 3.
    let steps = ((most / least).ln() / eta.ln() + 1e-9).floor().max(0.0);
    let steps = (steps as usize).min(MAX_LEVELS - 1);
    let mut levels: Vec<Value> = (0..=steps)
        .map(|k| value_near(domain, most * eta.powi(k as i32 - steps as i32)))
        .collect();
    // A coarse parameter may have one value for two levels.
    levels.dedup();
    levels
}

/// The value of a domain that stands for an amount of the resource.
fn value_near(domain: &Domain, amount: f64) -> Value {
    match domain {
        Domain::Int { .. } => domain.snap(Value::Int((amount + 1e-9).floor() as i64)),
        Domain::Discrete(list) => {
            let distance = |i: &usize| (list[*i].0 - amount).abs();
            let nearest = (0..list.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
            Value::Index(nearest.unwrap_or_default())
        }
        // Whole where that makes sense, as upstream has it.
        _ if amount >= 1.0 => domain.snap(Value::Double((amount + 1e-9).floor())),
        _ => domain.snap(Value::Double(amount)),
    }
}

#[cfg(test)]
mod tests {
    use diwan_api::search_space::Scale;

    use super::*;

    fn int(min: i64, max: i64) -> Domain {
        Domain::Int {
            min,
            max,
            step: 1,
            scale: Scale::Uniform,
        }
    }

    #[test]
    fn levels_rise_by_eta_up_to_the_most() {
        let ints = |list: &[i64]| list.iter().map(|n| Value::Int(*n)).collect::<Vec<_>>();
        assert_eq!(levels(&int(1, 27), 1.0, 27.0, 3.0), ints(&[1, 3, 9, 27]));
        assert_eq!(
            levels(&int(1, 100), 1.0, 100.0, 3.0),
            ints(&[1, 3, 11, 33, 100])
        );
        assert_eq!(levels(&int(5, 27), 5.0, 27.0, 3.0), ints(&[9, 27]));
        assert_eq!(levels(&int(1, 3), 1.0, 3.0, 4.0), ints(&[3]));
    }

    #[test]
    fn two_trials_of_one_run_count_as_the_better_in_any_order() {
        let run = |loss: Option<f64>, active| Run {
            point: Some(Vec::new()),
            active,
            loss,
        };
        assert!(worth(&run(Some(-2.0), false)) < worth(&run(Some(-1.0), false)));
        assert!(worth(&run(Some(-1.0), false)) < worth(&run(Some(1.0), false)));
        assert!(worth(&run(Some(9.0), false)) < worth(&run(None, false)));
        assert!(worth(&run(None, false)) < worth(&run(None, true)));
    }
}
