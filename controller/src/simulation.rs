//! The three planners played against a model of the API in memory, with everything that can go
//! wrong on the way: events that come late or twice, requests that fail, answers that are lost,
//! an algorithm that gives less than asked for, and restarts at any moment.
//!
//! The model applies what the planners return as the steps around them do; caches, ledgers and
//! planners are the real ones.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use diwan_api::experiment::condition_type;
use diwan_api::{
    Conditions, Experiment, ExperimentStatus, MetricLog, Suggestion, SuggestionStatus, Trial,
    TrialAssignment, TrialStatus,
};
use jiff::{SignedDuration, Timestamp};
use kube::Resource;
use kube::runtime::watcher::Event;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::experiment::ledger::TrialState;
use crate::experiment::plan as experiment_plan;
use crate::key::Key;
use crate::metrics::Metrics;
use crate::port::SuggestReply;
use crate::suggestion::{plan as suggestion_plan, reply};
use crate::trial::simulated::{self, Ended};
use crate::world::{Caches, Ledgers, Queues};

const UID: &str = "e-1";
const STEPS: usize = 60_000;

/// How an experiment is played.
#[derive(Clone, Copy)]
struct Rules {
    parallel: usize,
    max: usize,
    /// After how many assignments the search space is exhausted.
    space: usize,
    /// Of a hundred requests to the API, how many fail or lose their answer.
    faults: u32,
}

/// What happens to a request.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Works,
    Fails,
    /// It works, but nobody learns of it.
    IsLost,
}

/// The API: what is true.
#[derive(Default)]
struct Truth {
    version: u64,
    experiment: Experiment,
    suggestion: Option<Suggestion>,
    trials: BTreeMap<String, Trial>,
    runs: BTreeMap<String, Value>,
    logs: BTreeMap<String, Vec<MetricLog>>,
    starts: BTreeMap<String, usize>,
    values: Vec<f64>,
}

/// What the controllers see of it, and what is on its way to them.
struct View {
    caches: Caches,
    ledgers: Arc<Ledgers>,
    experiments: VecDeque<Event<Experiment>>,
    suggestions: VecDeque<Event<Suggestion>>,
    trials: VecDeque<Event<Trial>>,
}

struct Simulation {
    rules: Rules,
    rng: Pcg64Mcg,
    now: Timestamp,
    truth: Truth,
    view: View,
    recorded: Option<experiment_plan::Recorded>,
}

fn key(name: &str) -> Key {
    Key::new("n", name)
}

impl View {
    /// A view after a restart: everything is listed anew.
    fn of(truth: &Truth) -> Self {
        let ledgers = Arc::new(Ledgers::default());
        let clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        let metrics = Arc::new(Metrics::new(Vec::new()));
        let caches = Caches::new(&Queues::default(), ledgers.clone(), &metrics, clock);
        caches.experiments.written(truth.experiment.clone());
        if let Some(suggestion) = &truth.suggestion {
            caches.suggestions.written(suggestion.clone());
        }
        for trial in truth.trials.values() {
            caches.trials.written(trial.clone());
        }
        let (experiments, suggestions, trials) = Default::default();
        Self {
            caches,
            ledgers,
            experiments,
            suggestions,
            trials,
        }
    }
}

impl Simulation {
    fn new(rules: Rules, seed: u64) -> Self {
        let experiment: Experiment = serde_json::from_value(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": {"name": "e", "namespace": "n", "uid": UID, "resourceVersion": "1"},
            "spec": {
                "parallelTrialCount": rules.parallel, "maxTrialCount": rules.max,
                "objective": {
                    "type": "minimize", "objectiveMetricName": "loss",
                    "metricStrategies": [{"name": "loss", "value": "min"}]
                }
            }
        }))
        .unwrap();
        let truth = Truth {
            version: 1,
            experiment,
            ..Truth::default()
        };
        let view = View::of(&truth);
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        Self {
            rules,
            rng: Pcg64Mcg::seed_from_u64(seed),
            now,
            truth,
            view,
            recorded: None,
        }
    }

    fn fate(&mut self) -> Fate {
        match self.rng.random_range(0..200) {
            n if n < self.rules.faults => Fate::Fails,
            n if n < 2 * self.rules.faults => Fate::IsLost,
            _ => Fate::Works,
        }
    }

    /// Gives an object the next version.
    fn stamp(&mut self, object: &mut impl Resource) {
        self.truth.version += 1;
        object.meta_mut().resource_version = Some(self.truth.version.to_string());
    }

    fn store_trial(&mut self, mut trial: Trial, fate: Fate) {
        self.stamp(&mut trial);
        let name = trial.metadata.name.clone().unwrap();
        self.truth.trials.insert(name, trial.clone());
        self.view.trials.push_back(Event::Apply(trial.clone()));
        if fate == Fate::Works {
            self.view.caches.trials.written(trial);
        }
    }

    fn store_suggestion(&mut self, mut suggestion: Suggestion, fate: Fate) {
        self.stamp(&mut suggestion);
        self.truth.suggestion = Some(suggestion.clone());
        self.view
            .suggestions
            .push_back(Event::Apply(suggestion.clone()));
        if fate == Fate::Works {
            self.view.caches.suggestions.written(suggestion);
        }
    }

    fn step(&mut self) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_millis(5))
            .unwrap();
        match self.rng.random_range(0..100) {
            0..30 => self.deliver(),
            30..50 => self.experiment(),
            50..60 => self.suggestion(),
            60..85 => self.trial(),
            85..99 => self.progress(),
            _ => {
                self.view = View::of(&self.truth);
                self.recorded = None;
            }
        }
    }

    /// Delivers an event of some kind, sometimes without forgetting it.
    fn deliver(&mut self) {
        let twice = self.rng.random_bool(0.1);
        let View {
            caches,
            experiments,
            suggestions,
            trials,
            ..
        } = &mut self.view;
        fn next<K: Clone>(queue: &mut VecDeque<Event<K>>, twice: bool) -> Option<Event<K>> {
            if twice {
                queue.front().cloned()
            } else {
                queue.pop_front()
            }
        }
        match self.rng.random_range(0..3) {
            0 => next(experiments, twice)
                .into_iter()
                .for_each(|e| caches.experiments.event(e)),
            1 => next(suggestions, twice)
                .into_iter()
                .for_each(|e| caches.suggestions.event(e)),
            _ => next(trials, twice)
                .into_iter()
                .for_each(|e| caches.trials.event(e)),
        }
    }

    fn experiment(&mut self) {
        let experiment = self.view.caches.experiments.get(&key("e")).unwrap();
        let suggestion = self.view.caches.suggestions.get(&key("e"));
        let (plan, version) = self.view.ledgers.read(UID, |ledger| {
            let snapshot = experiment_plan::Snapshot {
                experiment: &experiment,
                suggestion: suggestion.as_deref(),
                ledger,
                recorded: self.recorded,
                status_interval: std::time::Duration::from_millis(250),
                status_quiet: std::time::Duration::ZERO,
                trouble: None,
            };
            (experiment_plan::plan(&snapshot, self.now), ledger.version())
        });
        for assignment in plan.create {
            self.create(&assignment);
        }
        if let Some(requests) = plan.requests {
            self.request(requests, suggestion.as_deref());
        }
        if let Some(status) = plan.status {
            self.record(status, version);
        }
    }

    fn create(&mut self, assignment: &TrialAssignment) {
        let fate = self.fate();
        let name = &assignment.name;
        if fate == Fate::Fails {
            return;
        }
        if let Some(found) = self.truth.trials.get(name) {
            self.view.caches.trials.written(found.clone());
            return;
        }
        let trial: Trial = serde_json::from_value(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
            "metadata": {
                "name": name, "namespace": "n", "uid": format!("uid-{name}"),
                "ownerReferences": [{
                    "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "name": "e",
                    "uid": UID, "controller": true
                }]
            },
            "spec": {
                "objective": self.truth.experiment.spec.objective,
                "successCondition": simulated::SUCCESS, "failureCondition": simulated::FAILURE
            }
        }))
        .unwrap();
        self.store_trial(trial, fate);
        assert!(
            self.truth.trials.len() <= self.rules.max,
            "more trials than the budget"
        );
        let is_active = |trial: &&Trial| !TrialState::of(trial).is_finished();
        let active = self.truth.trials.values().filter(is_active).count();
        assert!(
            active <= self.rules.parallel,
            "more trials than may run at a time"
        );
    }

    fn request(&mut self, requests: i32, seen: Option<&Suggestion>) {
        let fate = self.fate();
        if fate == Fate::Fails {
            return;
        }
        let mut suggestion = match (&self.truth.suggestion, seen) {
            (Some(found), None) => return self.view.caches.suggestions.written(found.clone()),
            (Some(found), Some(_)) => found.clone(),
            (None, _) => {
                let mut new = Suggestion::default();
                new.metadata.name = Some("e".to_owned());
                new.metadata.namespace = Some("n".to_owned());
                new
            }
        };
        suggestion.spec.requests = requests;
        self.store_suggestion(suggestion, fate);
    }

    fn record(&mut self, status: ExperimentStatus, version: u64) {
        let fate = self.fate();
        if fate == Fate::Fails {
            return;
        }
        let mut experiment = self.truth.experiment.clone();
        experiment.status = Some(status);
        self.stamp(&mut experiment);
        self.truth.experiment = experiment.clone();
        self.view
            .experiments
            .push_back(Event::Apply(experiment.clone()));
        if fate == Fate::Works {
            self.view.caches.experiments.written(experiment);
            self.recorded = Some(experiment_plan::Recorded {
                at: self.now,
                version,
            });
        }
    }

    fn suggestion(&mut self) {
        let Some(suggestion) = self.view.caches.suggestions.get(&key("e")) else {
            return;
        };
        let experiment = self.view.caches.experiments.get(&key("e")).unwrap();
        let snapshot = suggestion_plan::Snapshot {
            suggestion: &suggestion,
            experiment: &experiment,
        };
        let status = match suggestion_plan::plan(&snapshot, self.now) {
            suggestion_plan::Plan::Rest => return,
            suggestion_plan::Plan::Record(status) => *status,
            suggestion_plan::Plan::Ask { count, .. } => {
                let status = suggestion.status.clone().unwrap_or_default();
                let mut status = reply::accepted(status, self.now);
                let left = self.rules.space - status.given();
                let given = self.rng.random_range(0..=count).min(left);
                let answer = SuggestReply {
                    assignments: vec![TrialAssignment::default(); given],
                    exhausted: given == left,
                    ..SuggestReply::default()
                };
                let rng = &mut self.rng;
                self.view.ledgers.read(UID, |ledger| {
                    let is_used = |name: &str| ledger.contains(name);
                    reply::shortened(&mut status, is_used);
                    let draw = || rng.random();
                    reply::taken_in(&mut status, answer, count, "e", is_used, draw, self.now);
                });
                status
            }
        };
        let fate = self.fate();
        // A status is written over the one that was seen: what was given must not be taken back.
        let is_stale = self.truth.suggestion.as_ref().is_some_and(|truth| {
            truth.status.as_ref().map(SuggestionStatus::given)
                != suggestion.status.as_ref().map(SuggestionStatus::given)
        });
        if fate == Fate::Fails || is_stale {
            return;
        }
        let mut suggestion = self.truth.suggestion.clone().unwrap();
        suggestion.status = Some(status);
        self.store_suggestion(suggestion, fate);
    }

    fn trial(&mut self) {
        let names: Vec<&String> = self.truth.trials.keys().collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.rng.random_range(0..names.len())].clone();
        let Some(trial) = self.view.caches.trials.get(&key(&name)) else {
            return;
        };
        let run = self.truth.runs.get(&name).cloned();
        let logs = self.truth.logs.get(&name).cloned().unwrap_or_default();
        let fate = self.fate();
        let is_stale =
            self.truth.trials[&name].metadata.resource_version != trial.metadata.resource_version;
        match simulated::pass(&trial, run.as_ref(), &logs, self.now) {
            Ended::Nothing => {}
            Ended::Start(status) => {
                if fate != Fate::Fails {
                    self.truth.runs.insert(name.clone(), json!({}));
                    *self.truth.starts.entry(name.clone()).or_default() += 1;
                }
                // Two requests: the one may fail without the other.
                let fate = self.fate();
                self.write(&name, status, is_stale, fate);
            }
            Ended::Write(status) => self.write(&name, status, is_stale, fate),
            Ended::Remove => {
                if fate != Fate::Fails {
                    self.truth.runs.remove(&name);
                }
            }
        }
    }

    /// Writes a trial's status, which fails when somebody else wrote meanwhile.
    fn write(&mut self, name: &str, status: TrialStatus, is_stale: bool, fate: Fate) {
        if fate == Fate::Fails || is_stale {
            return;
        }
        let mut trial = self.truth.trials[name].clone();
        trial.status = Some(status);
        self.store_trial(trial, fate);
    }

    /// Some run ends, well or not.
    fn progress(&mut self) {
        let names: Vec<&String> = self.truth.runs.keys().collect();
        if names.is_empty() {
            return;
        }
        let name = names[self.rng.random_range(0..names.len())].clone();
        if self.truth.runs[&name] != json!({}) {
            return;
        }
        let end = self.rng.random_range(0..10);
        self.truth
            .runs
            .insert(name.clone(), simulated::ended(end > 0));
        let value = match end {
            0 | 1 => return,
            2 => f64::NAN,
            _ => self.rng.random_range(0.0..1.0),
        };
        let row = MetricLog {
            time_stamp: self.now.to_string(),
            name: "loss".to_owned(),
            value: value.to_string(),
        };
        self.truth.logs.insert(name, vec![row]);
        if value.is_finite() {
            self.truth.values.push(value);
        }
    }

    fn is_over(&self) -> bool {
        let experiment = self.truth.experiment.status.as_ref();
        let shown = experiment.map(|s| s.trials_succeeded).unwrap_or_default();
        let succeeded = self.count(TrialState::Succeeded);
        experiment.is_some_and(ExperimentStatus::is_completed)
            && self.truth.runs.is_empty()
            && usize::try_from(shown) == Ok(succeeded)
    }

    fn count(&self, state: TrialState) -> usize {
        self.truth
            .trials
            .values()
            .filter(|trial| TrialState::of(trial) == state)
            .count()
    }

    /// Plays until the experiment has ended and nothing is left running.
    fn play(mut self) -> Self {
        let mut steps = 0;
        while !self.is_over() {
            self.step();
            steps += 1;
            assert!(
                steps < STEPS,
                "the experiment does not end: {:?}",
                self.truth.experiment
            );
        }
        self
    }
}

#[track_caller]
fn check(rules: Rules) {
    for seed in 0..20 {
        let played = Simulation::new(rules, seed).play();
        let truth = &played.truth;
        let status = truth.experiment.status.as_ref().unwrap();
        let expected = rules.max.min(rules.space);
        assert_eq!(truth.trials.len(), expected, "seed {seed}");
        assert_eq!(usize::try_from(status.trials), Ok(expected), "seed {seed}");
        assert!(
            truth.starts.values().all(|starts| *starts == 1),
            "seed {seed}: started twice"
        );
        let succeeded = status.condition(condition_type::SUCCEEDED).unwrap();
        let reason = if rules.max <= rules.space {
            "ExperimentMaxTrialsReached"
        } else {
            "ExperimentSuggestionEndReached"
        };
        assert_eq!(succeeded.reason, reason, "seed {seed}");
        let best = truth
            .values
            .iter()
            .copied()
            .min_by(f64::total_cmp)
            .map(|v| v.to_string());
        let shown = status.current_optimal_trial.observation.metrics.first();
        assert_eq!(shown.map(|metric| metric.min.clone()), best, "seed {seed}");
    }
}

#[test]
fn experiments_end_when_all_goes_well() {
    check(Rules {
        parallel: 3,
        max: 12,
        space: 1_000,
        faults: 0,
    });
    check(Rules {
        parallel: 1,
        max: 5,
        space: 1_000,
        faults: 0,
    });
}

#[test]
fn experiments_end_whatever_goes_wrong() {
    check(Rules {
        parallel: 3,
        max: 12,
        space: 1_000,
        faults: 30,
    });
    check(Rules {
        parallel: 8,
        max: 40,
        space: 1_000,
        faults: 10,
    });
    // More than stay listed.
    check(Rules {
        parallel: 20,
        max: 150,
        space: 1_000,
        faults: 10,
    });
}

#[test]
fn an_exhausted_search_space_ends_them_too() {
    check(Rules {
        parallel: 3,
        max: 50,
        space: 10,
        faults: 20,
    });
}
