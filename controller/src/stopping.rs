//! The stopping controller: gives running trials the rules of early stopping as they change, and
//! ends those that meet them.
//!
//! It looks at observation logs, not at trials, so it makes no difference how metrics arrive:
//! collected on this machine, by a sidecar, or pushed by the trial itself.

pub mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diwan_api::trial::{condition_reason, condition_type};
use diwan_api::{
    ConditionStatus, Conditions, EarlyStoppingRule, Experiment, MetricLog, ObjectiveSpec, Trial,
    TrialStatus,
};
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use parking_lot::Mutex;
use serde_json::json;

use crate::event::Severity;
use crate::experiment::ledger::TrialState;
use crate::key::Key;
use crate::port::{Curve, EarlyStopperError, RulesRequest};
use crate::queue::Outcome;
use crate::world::{World, is_conflict, is_not_found};

/// How often running trials are looked at.
const INTERVAL: Duration = Duration::from_millis(250);
/// Looking may take this part of the time at most.
const SHARE: u32 = 10;
/// How often a write is tried while others write.
const CONFLICTS: usize = 10;
/// From so many trials of each kind, the newest, rules are made.
const REMEMBERED: usize = 1_000;

/// The stopping controller.
pub(crate) struct Controller {
    world: Arc<World>,
    /// What trials that have ended had reported, by the experiment and the trial's name.
    ended: Mutex<HashMap<Key, HashMap<String, Curve>>>,
}

/// The rules that trials get which are made now, by the experiment's uid.
#[derive(Default)]
pub(crate) struct FreshRules {
    by_uid: Mutex<HashMap<String, Vec<EarlyStoppingRule>>>,
}

impl FreshRules {
    /// The rules for the next trials of an experiment.
    pub(crate) fn get(&self, uid: &str) -> Vec<EarlyStoppingRule> {
        self.by_uid.lock().get(uid).cloned().unwrap_or_default()
    }

    fn set(&self, uid: String, rules: Vec<EarlyStoppingRule>) {
        self.by_uid.lock().insert(uid, rules);
    }

    /// Drops the rules of an experiment that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.by_uid.lock().remove(uid);
    }
}

/// Why a pass ended without a result.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Observations(#[from] crate::port::ObservationsError),
    #[error("early stopping: {0}")]
    EarlyStopper(#[from] EarlyStopperError),
}

/// A trial that runs, and what it has reported.
struct Running {
    trial: Arc<Trial>,
    logs: Vec<MetricLog>,
    curve: Curve,
}

impl Controller {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            ended: Mutex::default(),
        }
    }

    /// Looks at the running trials of one experiment.
    pub(crate) async fn reconcile(&self, key: Key) -> Outcome {
        let Some(experiment) = self.world.experiments.get(&key) else {
            self.ended.lock().remove(&key);
            return Outcome::Done;
        };
        let running = self.running(&experiment);
        if running.is_empty() {
            return Outcome::Done;
        }
        let begin = Instant::now();
        match self.look(&key, &experiment, running).await {
            Ok(()) => Outcome::Again(INTERVAL.max(begin.elapsed() * SHARE)),
            Err(Error::Api(error)) if is_conflict(&error) || is_not_found(&error) => {
                Outcome::Again(INTERVAL)
            }
            Err(error) => {
                tracing::warn!(experiment.name = %key, %error, "early stopping failed");
                if let Error::EarlyStopper(_) = error {
                    let (recorder, text) = (&self.world.recorder, error.to_string());
                    recorder.publish(&*experiment, Severity::Warning, "EarlyStoppingError", &text);
                }
                Outcome::Failed
            }
        }
    }

    /// The trials that could be stopped: those that have rules, or may get some.
    fn running(&self, experiment: &Experiment) -> Vec<Arc<Trial>> {
        let makes_rules = experiment.spec.early_stopping.is_some();
        let uid = experiment.uid().unwrap_or_default();
        self.world.ledgers.read(&uid, |ledger| {
            let names = ledger.names(TrialState::Running, usize::MAX);
            let trials = names.iter().filter_map(|name| ledger.get(name));
            trials
                .filter(|trial| makes_rules || !trial.spec.early_stopping_rules.is_empty())
                .filter(|trial| trial.metadata.deletion_timestamp.is_none())
                .cloned()
                .collect()
        })
    }

    async fn look(
        &self,
        key: &Key,
        experiment: &Arc<Experiment>,
        trials: Vec<Arc<Trial>>,
    ) -> Result<(), Error> {
        let Some(objective) = &experiment.spec.objective else {
            return Ok(());
        };
        let mut running = Vec::with_capacity(trials.len());
        for trial in trials {
            let name = trial.name_any();
            let logs = self.logs(&key.namespace, &name, objective).await?;
            let curve = verdict::curve(&logs, &objective.objective_metric_name);
            running.push(Running { trial, logs, curve });
        }
        let rules = if experiment.spec.early_stopping.is_some() {
            Some(self.rules(key, experiment, objective, &running).await?)
        } else {
            None
        };
        for (i, Running { trial, logs, .. }) in running.iter().enumerate() {
            let rules = match &rules {
                Some(rules) => &rules[i],
                None => &trial.spec.early_stopping_rules,
            };
            match verdict::verdict(rules, logs, objective) {
                Some(why) => self.stop(trial, &why).await?,
                None if *rules != trial.spec.early_stopping_rules => {
                    self.hand_out(trial, rules).await?;
                }
                None => {}
            }
        }
        Ok(())
    }

    async fn logs(
        &self,
        namespace: &str,
        trial: &str,
        objective: &ObjectiveSpec,
    ) -> Result<Vec<MetricLog>, Error> {
        let observations = &self.world.ports.observations;
        Ok(observations.get(namespace, trial, objective).await?)
    }

    /// The rules for each running trial; those for the next ones are laid down for them.
    async fn rules(
        &self,
        key: &Key,
        experiment: &Arc<Experiment>,
        objective: &ObjectiveSpec,
        running: &[Running],
    ) -> Result<Vec<Vec<EarlyStoppingRule>>, Error> {
        let ended = |state| self.ended(key, experiment, objective, state);
        let succeeded = ended(TrialState::Succeeded).await?;
        let stopped = ended(TrialState::EarlyStopped).await?;
        let request = RulesRequest {
            experiment: experiment.clone(),
            trials: self.trials(experiment),
            succeeded,
            stopped,
            running: running.iter().map(|r| r.curve.clone()).collect(),
        };
        let rules = self.world.ports.early_stopper.rules(request).await?;
        let uid = experiment.uid().unwrap_or_default();
        self.world.fresh_rules.set(uid, rules.fresh);
        let mut by_trial = rules.running;
        by_trial.resize(running.len(), Vec::new());
        Ok(by_trial)
    }

    /// The newest trials whose curves count.
    fn trials(&self, experiment: &Experiment) -> Vec<Arc<Trial>> {
        use TrialState::{EarlyStopped, Running, Succeeded};
        let uid = experiment.uid().unwrap_or_default();
        self.world.ledgers.read(&uid, |ledger| {
            let names = [Succeeded, EarlyStopped, Running]
                .into_iter()
                .flat_map(|state| ledger.names(state, REMEMBERED));
            names
                .filter_map(|name| ledger.get(&name).cloned())
                .collect()
        })
    }

    /// The curves of the newest trials that ended so. They don't change any more, so each log is
    /// read once.
    async fn ended(
        &self,
        key: &Key,
        experiment: &Experiment,
        objective: &ObjectiveSpec,
        state: TrialState,
    ) -> Result<Vec<Curve>, Error> {
        let uid = experiment.uid().unwrap_or_default();
        let names = self
            .world
            .ledgers
            .read(&uid, |ledger| ledger.names(state, REMEMBERED));
        let mut curves = Vec::with_capacity(names.len());
        for name in names {
            let known = self
                .ended
                .lock()
                .get(key)
                .and_then(|known| known.get(&name).cloned());
            let curve = if let Some(curve) = known {
                curve
            } else {
                let logs = self.logs(&key.namespace, &name, objective).await?;
                let curve = verdict::curve(&logs, &objective.objective_metric_name);
                let mut ended = self.ended.lock();
                let known = ended.entry(key.clone()).or_default();
                known.insert(name, curve.clone());
                curve
            };
            curves.push(curve);
        }
        Ok(curves)
    }

    /// Writes the rules into a trial, where people and collectors see them.
    async fn hand_out(&self, trial: &Trial, rules: &[EarlyStoppingRule]) -> Result<(), Error> {
        let key = Key::of(&trial.metadata);
        let body = json!({
            "metadata": { "resourceVersion": trial.metadata.resource_version },
            "spec": { "earlyStoppingRules": rules },
        });
        let api = self.world.api::<Trial>(&key.namespace);
        let patch = Patch::Merge(body);
        let written = api
            .patch(&key.name, &PatchParams::default(), &patch)
            .await?;
        self.world.trials.written(written);
        Ok(())
    }

    /// Says that a trial is stopped; the trial controller takes down what was observed and ends
    /// its run.
    async fn stop(&self, trial: &Trial, why: &str) -> Result<(), Error> {
        let key = Key::of(&trial.metadata);
        let message = format!("Trial is early stopped: {why}");
        let status = stopped(trial, &message, self.world.now());
        let (world, cache) = (&self.world, &self.world.trials);
        let version = trial.metadata.resource_version.as_deref();
        world
            .write_status(cache, &key, &trial.status, &status, version)
            .await?;
        let reason = condition_reason::EARLY_STOPPED;
        let recorder = &self.world.recorder;
        recorder.publish(trial, Severity::Normal, reason, &message);
        Ok(())
    }
}

/// The status of a trial that is stopped.
fn stopped(trial: &Trial, message: &str, now: Timestamp) -> TrialStatus {
    let mut status = trial.status.clone().unwrap_or_default();
    status.set(
        condition_type::EARLY_STOPPED,
        ConditionStatus::True,
        condition_reason::EARLY_STOPPED,
        message,
        now,
    );
    status
}

/// Says that a trial is stopped early, for collectors that found it out by themselves. One that has
/// ended stays as it is.
///
/// # Errors
/// The API refuses; a conflict is tried again.
pub async fn stop_trial(
    client: &Client,
    namespace: &str,
    name: &str,
    now: Timestamp,
) -> kube::Result<()> {
    let api = Api::<Trial>::namespaced(client.clone(), namespace);
    let mut attempt = 1;
    loop {
        let trial = api.get(name).await?;
        if trial.status.as_ref().is_some_and(TrialStatus::is_completed) {
            return Ok(());
        }
        let body = json!({
            "metadata": { "resourceVersion": trial.metadata.resource_version },
            "status": stopped(&trial, "Trial is early stopped", now),
        });
        let patch = Patch::Merge(body);
        match api
            .patch_status(name, &PatchParams::default(), &patch)
            .await
        {
            Err(error) if is_conflict(&error) && attempt < CONFLICTS => {}
            other => return other.map(drop),
        }
        attempt += 1;
    }
}
