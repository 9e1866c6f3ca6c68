//! Which trial continues which, and which checkpoints nobody needs any more.

use std::collections::{HashMap, HashSet};

use super::population::{GENERATION, MEMBER, PARENT};
use crate::{State, Trial};

/// The name of the trial whose checkpoint a trial continues.
pub fn parent(trial: &Trial) -> Option<&str> {
    trial.labels.get(PARENT).map(String::as_str)
}

/// The trials of a population whose checkpoints can be removed, by name, in their order. Kept are
/// those of running trials, of the latest trial of every member that ended well, which it or another
/// may continue, and what a running or failed trial continues, for it may be tried again.
pub fn spent_checkpoints(trials: &[Trial]) -> Vec<&str> {
    let number = |trial: &Trial, key: &str| trial.labels.get(key)?.parse::<usize>().ok();
    let mut newest: HashMap<usize, usize> = HashMap::new();
    let mut best: HashMap<usize, usize> = HashMap::new();
    let place = |trial| number(trial, MEMBER).zip(number(trial, GENERATION));
    let raise = |map: &mut HashMap<usize, usize>, (member, generation)| {
        let known = map.entry(member).or_insert(generation);
        *known = generation.max(*known);
    };
    for trial in trials {
        let Some(place) = place(trial) else { continue };
        raise(&mut newest, place);
        if has_ended_well(trial) {
            raise(&mut best, place);
        }
    }
    let mut needed: HashSet<&str> = HashSet::new();
    for trial in trials {
        let Some((member, generation)) = place(trial) else {
            needed.insert(&trial.name);
            continue;
        };
        let is_last = newest.get(&member) == Some(&generation);
        if trial.state == State::Active
            || (has_ended_well(trial) && best.get(&member) == Some(&generation))
        {
            needed.insert(&trial.name);
        }
        if trial.state == State::Active || (is_last && !has_ended_well(trial)) {
            needed.extend(parent(trial));
        }
    }
    let names = trials.iter().map(|trial| trial.name.as_str());
    names.filter(|name| !needed.contains(name)).collect()
}

fn has_ended_well(trial: &Trial) -> bool {
    matches!(trial.state, State::Succeeded | State::EarlyStopped)
        && trial.objective.is_some_and(f64::is_finite)
}
