//! All trials of one experiment, counted as they change, so that no pass has to walk them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use diwan_api::metadata::{ANNOTATION_SUGGESTION, UNAVAILABLE};
use diwan_api::observation::objective_value;
use diwan_api::trial::condition_type;
use diwan_api::{Conditions, ObjectiveType, Trial};
use jiff::Timestamp;

/// How many recent ends of trials are remembered.
const RECENT: usize = 512;

/// The state that a trial is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrialState {
    /// It does not run yet.
    Pending,
    /// It runs.
    Running,
    /// It ended with its objective.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped by somebody.
    Killed,
    /// It was stopped by a rule.
    EarlyStopped,
    /// It ended without its objective.
    MetricsUnavailable,
}

const STATES: usize = 7;

impl TrialState {
    /// The state of a trial: of the conditions that are True, the first in upstream's order; only
    /// MetricsUnavailable goes before Running, as it is an end.
    pub fn of(trial: &Trial) -> Self {
        let Some(status) = &trial.status else {
            return Self::Pending;
        };
        let order = [
            (condition_type::KILLED, Self::Killed),
            (condition_type::FAILED, Self::Failed),
            (condition_type::SUCCEEDED, Self::Succeeded),
            (condition_type::EARLY_STOPPED, Self::EarlyStopped),
            (
                condition_type::METRICS_UNAVAILABLE,
                Self::MetricsUnavailable,
            ),
            (condition_type::RUNNING, Self::Running),
        ];
        let first = order.into_iter().find(|(type_, _)| status.is(type_));
        first.map_or(Self::Pending, |(_, state)| state)
    }

    /// Whether the trial has ended.
    pub fn is_finished(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// Where a trial stands among the others: older ones first.
type Order = (Option<Timestamp>, u64);

struct Entry {
    trial: Arc<Trial>,
    state: TrialState,
    order: Order,
    place: Option<u64>,
    score: Option<Score>,
}

/// The objective's value, negated when larger is better: the least score is the best.
#[derive(Clone, Copy, PartialEq)]
struct Score(f64);

impl Eq for Score {}
impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// All trials of one experiment.
#[derive(Default)]
pub struct Ledger {
    entries: HashMap<String, Entry>,
    by_state: [BTreeSet<(Order, String)>; STATES],
    scores: BTreeSet<(Score, Order, String)>,
    leaving: usize,
    ended: VecDeque<Timestamp>,
    arrivals: u64,
    version: u64,
    changed_at: Option<Timestamp>,
}

impl Ledger {
    /// Takes in a trial as it is now.
    pub fn apply(&mut self, trial: Arc<Trial>, now: Timestamp) {
        let name = trial.metadata.name.clone().unwrap_or_default();
        let was = self.take(&name);
        let state = TrialState::of(&trial);
        let arrival = was.as_ref().map_or(self.arrivals, |entry| entry.order.1);
        let order = (
            trial.metadata.creation_timestamp.as_ref().map(|t| t.0),
            arrival,
        );
        let score = score(&trial, state);
        let place = place(&trial);
        self.arrivals += 1;
        self.version += 1;
        self.changed_at = Some(now);
        if state.is_finished() && was.is_some_and(|entry| !entry.state.is_finished()) {
            self.ended.push_back(now);
            if self.ended.len() > RECENT {
                self.ended.pop_front();
            }
        }
        if !state.is_finished() && trial.metadata.deletion_timestamp.is_some() {
            self.leaving += 1;
        }
        self.by_state[state as usize].insert((order, name.clone()));
        if let Some(score) = score {
            self.scores.insert((score, order, name.clone()));
        }
        self.entries.insert(
            name,
            Entry {
                trial,
                state,
                order,
                place,
                score,
            },
        );
    }

    /// Takes in that a trial is gone.
    pub fn remove(&mut self, name: &str) {
        if self.take(name).is_some() {
            self.version += 1;
        }
    }

    fn take(&mut self, name: &str) -> Option<Entry> {
        let (name, entry) = self.entries.remove_entry(name)?;
        if let Some(score) = entry.score {
            self.scores.remove(&(score, entry.order, name.clone()));
        }
        if !entry.state.is_finished() && entry.trial.metadata.deletion_timestamp.is_some() {
            self.leaving -= 1;
        }
        self.by_state[entry.state as usize].remove(&(entry.order, name));
        Some(entry)
    }

    /// Changes whenever the ledger does.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When a trial came or changed last.
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.changed_at
    }

    /// How many trials there are.
    pub fn total(&self) -> usize {
        self.entries.len()
    }

    /// How many trials are in this state.
    pub fn count(&self, state: TrialState) -> usize {
        self.by_state[state as usize].len()
    }

    /// How many trials have not ended, those being deleted included.
    pub fn active(&self) -> usize {
        self.count(TrialState::Pending) + self.count(TrialState::Running)
    }

    /// How many of the active trials are being deleted.
    pub fn leaving(&self) -> usize {
        self.leaving
    }

    /// How many trials have ended, in whichever way.
    pub fn finished(&self) -> usize {
        self.total() - self.active()
    }

    /// Whether there is a trial of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The trial of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Trial>> {
        self.entries.get(name).map(|entry| &entry.trial)
    }

    /// All trials, in no order, each with its place among the assignments, if it says so.
    pub fn trials(&self) -> impl Iterator<Item = (Option<u64>, &Arc<Trial>)> {
        self.entries
            .values()
            .map(|entry| (entry.place, &entry.trial))
    }

    /// The newest `limit` names in this state, oldest first.
    pub fn names(&self, state: TrialState, limit: usize) -> Vec<String> {
        let newest = self.by_state[state as usize].iter().rev().take(limit);
        let mut names: Vec<String> = newest.map(|(_, name)| name.clone()).collect();
        names.reverse();
        names
    }

    /// The active trials that are not being deleted, those that don't run yet first, then the
    /// newest first.
    pub fn unfinished(&self) -> impl Iterator<Item = &str> {
        [TrialState::Pending, TrialState::Running]
            .into_iter()
            .flat_map(|state| self.by_state[state as usize].iter().rev())
            .map(|(_, name)| name.as_str())
            .filter(|name| {
                self.get(name)
                    .is_some_and(|t| t.metadata.deletion_timestamp.is_none())
            })
    }

    /// The best trial, of equal ones the oldest, and the value of its objective.
    pub fn best(&self) -> Option<(&Arc<Trial>, f64)> {
        let (_, _, name) = self.scores.first()?;
        let trial = self.get(name)?;
        let value = objective_value(
            trial.status.as_ref()?.observation.as_ref()?,
            trial.spec.objective.as_ref()?,
        )?;
        Some((trial, value))
    }

    /// The best trial; where the objective is a text, which has no order, the newest that has it.
    pub fn optimal(&self) -> Option<&Arc<Trial>> {
        if let Some((best, _)) = self.best() {
            return Some(best);
        }
        let (_, newest) = self.by_state[TrialState::Succeeded as usize].last()?;
        self.get(newest).filter(|trial| has_text(trial))
    }

    /// How many trials ended within this time before `now`.
    pub fn ended_within(&self, window: Duration, now: Timestamp) -> usize {
        let is_recent = |at: &&Timestamp| {
            Duration::try_from(now.duration_since(**at)).is_ok_and(|ago| ago < window)
        };
        self.ended.iter().rev().take_while(is_recent).count()
    }
}

/// The place of the trial's assignment among all that were given.
fn place(trial: &Trial) -> Option<u64> {
    let annotations = trial.metadata.annotations.as_ref()?;
    annotations.get(ANNOTATION_SUGGESTION)?.parse().ok()
}

fn score(trial: &Trial, state: TrialState) -> Option<Score> {
    if !matches!(state, TrialState::Succeeded | TrialState::EarlyStopped) {
        return None;
    }
    let objective = trial.spec.objective.as_ref()?;
    let value = objective_value(trial.status.as_ref()?.observation.as_ref()?, objective)?;
    let sign = if objective.type_ == Some(ObjectiveType::Maximize) {
        -1.0
    } else {
        1.0
    };
    value.is_finite().then_some(Score(sign * value))
}

/// Whether the objective of a trial is a text, as the architecture that a search derived.
fn has_text(trial: &Trial) -> bool {
    let observation = trial.status.as_ref().and_then(|s| s.observation.as_ref());
    let value =
        observation
            .zip(trial.spec.objective.as_ref())
            .and_then(|(observation, objective)| {
                let name = &objective.objective_metric_name;
                Some(observation.metric(name)?.value(objective.strategy(name)?))
            });
    value.is_some_and(|text| {
        !text.is_empty() && text != UNAVAILABLE && text.trim().parse::<f64>().is_err()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop, proptest};
    use serde_json::json;

    use super::*;

    fn trial(name: u8, state: u8, value: i8) -> Arc<Trial> {
        let types = [
            "Created",
            "Running",
            "Succeeded",
            "Failed",
            "Killed",
            "MetricsUnavailable",
        ];
        let metric = json!({
            "name": "loss", "min": value.to_string(), "max": "9", "latest": value.to_string()
        });
        let trial = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
            "metadata": {"name": name.to_string()},
            "spec": {"objective": {
                "type": "minimize", "objectiveMetricName": "loss",
                "metricStrategies": [{"name": "loss", "value": "min"}]
            }},
            "status": {
                "conditions": [{"type": types[usize::from(state) % types.len()], "status": "True"}],
                "observation": {"metrics": [metric]}
            }
        });
        Arc::new(serde_json::from_value(trial).unwrap())
    }

    fn changes() -> impl Strategy<Value = Vec<(u8, u8, i8, bool)>> {
        let names = 0..12_u8;
        prop::collection::vec((names, 0..6_u8, -5..5_i8, prop::bool::weighted(0.8)), 0..60)
    }

    proptest! {
        #[test]
        fn counts_sum_and_the_best_is_the_least(changes in changes()) {
            let mut ledger = Ledger::default();
            let mut trials = HashMap::new();
            for (name, state, value, exists) in changes {
                let text = name.to_string();
                if exists {
                    ledger.apply(trial(name, state, value), Timestamp::UNIX_EPOCH);
                    trials.insert(text, (state % 6 == 2).then_some(f64::from(value)));
                } else {
                    ledger.remove(&text);
                    trials.remove(&text);
                }
            }
            assert_eq!(ledger.total(), trials.len());
            let states = ledger.by_state.iter().map(BTreeSet::len).sum::<usize>();
            assert_eq!(states, trials.len());
            assert_eq!(ledger.active() + ledger.finished(), trials.len());
            let least = trials.values().flatten().copied().min_by(f64::total_cmp);
            assert_eq!(ledger.best().map(|(_, value)| value), least);
        }
    }

    #[test]
    fn a_trial_without_a_finite_value_is_never_the_best() {
        let mut ledger = Ledger::default();
        for (name, value) in ["NaN", "-inf", "unavailable", ""].into_iter().enumerate() {
            let mut trial = (*trial(u8::try_from(name).unwrap(), 2, 0)).clone();
            let observation = trial.status.as_mut().unwrap().observation.as_mut().unwrap();
            observation.metrics[0].min = value.to_owned();
            observation.metrics[0].latest = value.to_owned();
            ledger.apply(Arc::new(trial), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(ledger.count(TrialState::Succeeded), 4);
        assert!(ledger.best().is_none() && ledger.optimal().is_none());
    }

    #[test]
    fn the_newest_text_is_the_optimal_one() {
        let mut ledger = Ledger::default();
        for name in 0..3 {
            let mut trial = (*trial(name, 2, 0)).clone();
            let observation = trial.status.as_mut().unwrap().observation.as_mut().unwrap();
            observation.metrics[0].min = UNAVAILABLE.to_owned();
            observation.metrics[0].latest = format!("Genotype({name})");
            ledger.apply(Arc::new(trial), Timestamp::UNIX_EPOCH);
        }
        assert!(ledger.best().is_none());
        let optimal = ledger.optimal().unwrap();
        assert_eq!(optimal.metadata.name.as_deref(), Some("2"));
    }
}
