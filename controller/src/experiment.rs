//! The experiment controller: keeps as many trials going as the budget and the parallelism allow,
//! and tells how the experiment stands.

pub mod completion;
pub mod ledger;
pub mod plan;

mod launch;
mod status;

use std::collections::HashMap;
use std::sync::Arc;

use diwan_api::metadata::{FINALIZER_EXPERIMENT, LABEL_EXPERIMENT};
use diwan_api::trial::{condition_reason, condition_type};
use diwan_api::{ConditionStatus, Conditions, Experiment, Suggestion, Trial};
use futures::future::join_all;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use serde_json::json;

use self::completion::Transition;
use self::plan::{Plan, Recorded, Snapshot, plan};
use crate::event::Severity;
use crate::key::Key;
use crate::patience::Patience;
use crate::queue::Outcome;
use crate::world::{World, is_conflict, is_not_found, owned_by, owner_uid, text};

/// The experiment controller.
pub(crate) struct Controller {
    world: Arc<World>,
    recorded: Mutex<HashMap<Key, (String, Recorded)>>,
    troubles: Mutex<HashMap<Key, String>>,
    patience: Patience,
}

impl Controller {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            recorded: Mutex::default(),
            troubles: Mutex::default(),
            patience: Patience::default(),
        }
    }

    /// Looks at one experiment: observes, plans, applies.
    pub(crate) async fn reconcile(&self, key: Key) -> Outcome {
        let Some(experiment) = self.world.experiments.get(&key) else {
            self.forget(&key);
            return Outcome::Done;
        };
        let (plan, version) = self.observe(&key, &experiment);
        match self.apply(&key, &experiment, &plan, version).await {
            Ok(()) => plan.again.map_or(Outcome::Done, Outcome::Again),
            Err(error) if is_conflict(&error) || is_not_found(&error) => {
                tracing::debug!(experiment.name = %key, %error, "planned on an old picture");
                Outcome::Failed
            }
            Err(error) => {
                tracing::warn!(experiment.name = %key, %error, "experiment was not reconciled");
                Outcome::Failed
            }
        }
    }

    fn forget(&self, key: &Key) {
        if let Some((uid, _)) = self.recorded.lock().remove(key) {
            self.world.ledgers.forget(&uid);
            self.world.fresh_rules.forget(&uid);
            self.world.spent.forget(&uid);
        }
        self.troubles.lock().remove(key);
        self.patience.forget(key);
    }

    fn observe(&self, key: &Key, experiment: &Experiment) -> (Plan, u64) {
        let uid = experiment.uid().unwrap_or_default();
        let suggestion = self.world.suggestions.get(key);
        let suggestion = suggestion.filter(|s| {
            owner_uid(&**s, "Experiment") == Some(&uid) && s.metadata.deletion_timestamp.is_none()
        });
        let recorded = self
            .recorded
            .lock()
            .get(key)
            .filter(|(of, _)| *of == uid)
            .map(|(_, r)| *r);
        let trouble = self.troubles.lock().get(key).cloned();
        let now = self.world.now();
        self.world.ledgers.read(&uid, |ledger| {
            let snapshot = Snapshot {
                experiment,
                suggestion: suggestion.as_deref(),
                ledger,
                recorded,
                status_interval: self.world.options.status_interval,
                status_quiet: self.world.options.status_quiet,
                trouble: trouble.as_deref(),
            };
            (plan(&snapshot, now), ledger.version())
        })
    }

    async fn apply(
        &self,
        key: &Key,
        experiment: &Arc<Experiment>,
        plan: &Plan,
        version: u64,
    ) -> Result<(), kube::Error> {
        if plan.release {
            return self
                .world
                .release(&**experiment, FINALIZER_EXPERIMENT)
                .await;
        }
        let (status, trials, requests) = tokio::join!(
            self.record(key, experiment, plan, version),
            self.apply_trials(key, experiment, plan),
            self.request(key, experiment, plan.requests),
        );
        status.and(trials).and(requests)
    }

    async fn record(
        &self,
        key: &Key,
        experiment: &Experiment,
        plan: &Plan,
        version: u64,
    ) -> Result<(), kube::Error> {
        if let Some(status) = &plan.status {
            let cache = &self.world.experiments;
            self.world
                .write_status(cache, key, &experiment.status, status, None)
                .await?;
        }
        if plan.again.is_none() {
            let recorded = Recorded {
                at: self.world.now(),
                version,
            };
            let uid = experiment.uid().unwrap_or_default();
            let mut all = self.recorded.lock();
            let is_known = all
                .get(key)
                .is_some_and(|(of, r)| *of == uid && r.version == version);
            if plan.status.is_some() || !is_known {
                all.insert(key.clone(), (uid, recorded));
            }
        }
        if let Some(transition) = &plan.transition {
            let (_, reason, message) = transition.condition();
            let is_bad = matches!(transition, Transition::Fail { .. });
            let severity = if is_bad {
                Severity::Warning
            } else {
                Severity::Normal
            };
            self.world
                .recorder
                .publish(experiment, severity, reason, &message);
            tracing::info!(experiment.name = %key, reason, "{message}");
        }
        Ok(())
    }

    async fn apply_trials(
        &self,
        key: &Key,
        experiment: &Arc<Experiment>,
        plan: &Plan,
    ) -> Result<(), kube::Error> {
        let (created, deleted, killed) = tokio::join!(
            self.create(key, experiment, plan),
            join_all(
                plan.delete
                    .iter()
                    .map(|name| self.delete(experiment, key, name))
            ),
            join_all(plan.kill.iter().map(|name| self.kill(key, name))),
        );
        deleted
            .into_iter()
            .chain(killed)
            .collect::<Result<(), _>>()
            .and(created)
    }

    async fn create(
        &self,
        key: &Key,
        experiment: &Arc<Experiment>,
        plan: &Plan,
    ) -> Result<(), kube::Error> {
        if plan.create.is_empty() {
            return Ok(());
        }
        let places = self.places(key);
        match launch::launch(&self.world, key, experiment, &plan.create, &places).await {
            Ok(()) => {
                self.patience.forget(key);
                Ok(())
            }
            Err(error) => {
                self.despair(key, experiment, &error);
                Err(error.into_api_error())
            }
        }
    }

    /// The places of the listed assignments among all that were given, by name.
    fn places(&self, key: &Key) -> HashMap<String, usize> {
        let suggestion = self.world.suggestions.get(key);
        let status = suggestion.as_ref().and_then(|s| s.status.as_ref());
        let listed = status.into_iter().flat_map(|status| {
            let names = status.suggestions.iter().map(|given| given.name.clone());
            names.zip(status.first_place()..)
        });
        listed.collect()
    }

    /// Says that trials can't be made, and gives up when that can't change or lasts too long.
    fn despair(&self, key: &Key, experiment: &Experiment, error: &launch::Error) {
        if error.is_outage() {
            return;
        }
        let message = error.to_string();
        self.world
            .recorder
            .publish(experiment, Severity::Warning, "TrialNotCreated", &message);
        let waited = self.patience.waited(key, self.world.now());
        if error.is_final() || waited >= self.world.options.patience {
            self.troubles.lock().insert(key.clone(), message);
        }
    }

    async fn delete(
        &self,
        experiment: &Experiment,
        key: &Key,
        name: &str,
    ) -> Result<(), kube::Error> {
        let api = self.world.api::<Trial>(&key.namespace);
        let message = format!("Trial {name} is deleted because parallelTrialCount was lowered");
        self.world
            .recorder
            .publish(experiment, Severity::Normal, "TrialDeleted", &message);
        match api.delete(name, &DeleteParams::background()).await {
            Ok(answer) => {
                if let Some(trial) = answer.left() {
                    self.world.trials.written(trial);
                }
                Ok(())
            }
            Err(error) if is_not_found(&error) => {
                self.world.trials.removed(&Key::new(&key.namespace, name));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn kill(&self, key: &Key, name: &str) -> Result<(), kube::Error> {
        let key = Key::new(&key.namespace, name);
        let Some(trial) = self.world.trials.get(&key) else {
            return Ok(());
        };
        let mut status = trial.status.clone().unwrap_or_default();
        let now = self.world.now();
        if let Some(running) = status.condition(condition_type::RUNNING).cloned() {
            let not = ConditionStatus::False;
            status.set(
                condition_type::RUNNING,
                not,
                &running.reason,
                &running.message,
                now,
            );
        }
        let text = "Trial is killed because the experiment is completed";
        let (type_, reason) = (condition_type::KILLED, condition_reason::KILLED);
        status.set(type_, ConditionStatus::True, reason, text, now);
        let version = trial.resource_version();
        let cache = &self.world.trials;
        self.world
            .write_status(cache, &key, &trial.status, &status, version.as_deref())
            .await
    }

    /// Asks for `requests` assignments in all.
    async fn request(
        &self,
        key: &Key,
        experiment: &Experiment,
        requests: Option<i32>,
    ) -> Result<(), kube::Error> {
        let Some(requests) = requests else {
            return Ok(());
        };
        let api = self.world.api::<Suggestion>(&key.namespace);
        let suggestion = if self.world.suggestions.get(key).is_some() {
            let patch = Patch::Merge(json!({ "spec": { "requests": requests } }));
            api.patch(&key.name, &PatchParams::default(), &patch)
                .await?
        } else {
            let suggestion = suggestion_of(experiment, requests);
            match api.create(&PostParams::default(), &suggestion).await {
                Err(error) if is_conflict(&error) => api.get(&key.name).await?,
                answer => answer?,
            }
        };
        self.world.suggestions.written(suggestion);
        Ok(())
    }
}

/// The suggestion of an experiment.
fn suggestion_of(experiment: &Experiment, requests: i32) -> Suggestion {
    let name = experiment.name_any();
    let mut suggestion = Suggestion::default();
    suggestion.metadata.name = Some(name.clone());
    suggestion.metadata.namespace = experiment.namespace();
    suggestion.metadata.owner_references = owned_by(experiment).map(|owner| vec![owner]);
    let mut labels = experiment.metadata.labels.clone().unwrap_or_default();
    labels.insert(LABEL_EXPERIMENT.to_owned(), name);
    suggestion.metadata.labels = Some(labels);
    let mut annotations = experiment.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| key != "kubectl.kubernetes.io/last-applied-configuration");
    suggestion.metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    suggestion
        .spec
        .algorithm
        .clone_from(&experiment.spec.algorithm);
    suggestion
        .spec
        .early_stopping
        .clone_from(&experiment.spec.early_stopping);
    suggestion
        .spec
        .resume_policy
        .clone_from(&experiment.spec.resume_policy);
    suggestion.spec.requests = requests;
    suggestion
}

impl launch::Error {
    /// The error as the queue sees it.
    fn into_api_error(self) -> kube::Error {
        match self {
            Self::Api { source, .. } => source,
            other => kube::Error::Service(text_error(&other).into()),
        }
    }
}

fn text_error(error: &launch::Error) -> String {
    match error {
        launch::Error::Api { source, .. } => text(source),
        other => other.to_string(),
    }
}
