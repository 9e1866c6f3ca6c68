//! What the controllers share: the client, the ports, the caches and the queues.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use diwan_api::{Experiment, Suggestion, Trial, TrialStatus};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cache::{Cache, Change};
use crate::checkpoint::Spent;
use crate::event::Recorder;
use crate::experiment::ledger::{Ledger, TrialState};
use crate::key::Key;
use crate::merge_patch;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::port::{Clock, Ports};
use crate::queue::Queue;
use crate::stopping::FreshRules;
use crate::trial::kinds::Kinds;

/// What the controllers share.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) ports: Ports,
    pub(crate) options: Options,
    pub(crate) experiments: Arc<Cache<Experiment>>,
    pub(crate) suggestions: Arc<Cache<Suggestion>>,
    pub(crate) trials: Arc<Cache<Trial>>,
    pub(crate) kinds: Kinds,
    pub(crate) ledgers: Arc<Ledgers>,
    pub(crate) fresh_rules: FreshRules,
    pub(crate) spent: Spent,
    pub(crate) queues: Queues,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
}

/// The objects to look at, by kind.
#[derive(Clone, Default)]
pub(crate) struct Queues {
    pub(crate) experiments: Arc<Queue>,
    pub(crate) suggestions: Arc<Queue>,
    pub(crate) trials: Arc<Queue>,
    /// Experiments whose running trials are looked at.
    pub(crate) stopping: Arc<Queue>,
}

impl Queues {
    /// Each with the name of its controller.
    pub(crate) fn by_controller(&self) -> [(&'static str, &Arc<Queue>); 4] {
        [
            ("experiment", &self.experiments),
            ("suggestion", &self.suggestions),
            ("trial", &self.trials),
            ("stopping", &self.stopping),
        ]
    }
}

/// The ledgers of all experiments, by the experiment's uid: trials of an earlier experiment of the
/// same name that are still being collected don't count.
#[derive(Default)]
pub(crate) struct Ledgers {
    by_uid: Mutex<HashMap<String, Ledger>>,
}

impl Ledgers {
    /// Reads the ledger of an experiment; nothing may be awaited meanwhile.
    pub(crate) fn read<R>(&self, uid: &str, read: impl FnOnce(&Ledger) -> R) -> R {
        let mut ledgers = self.by_uid.lock();
        if let Some(ledger) = ledgers.get(uid) {
            return read(ledger);
        }
        read(ledgers.entry(uid.to_owned()).or_default())
    }

    /// Drops the ledger of an experiment that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.by_uid.lock().remove(uid);
    }

    fn apply(&self, change: &Change<Trial>, now: Timestamp) {
        let Some(trial) = change.new.as_ref().or(change.old.as_ref()) else {
            return;
        };
        let Some(uid) = owner_uid(&**trial, "Experiment") else {
            return;
        };
        let mut ledgers = self.by_uid.lock();
        match &change.new {
            Some(trial) => {
                ledgers
                    .entry(uid.to_owned())
                    .or_default()
                    .apply(trial.clone(), now);
            }
            None => {
                if let Some(ledger) = ledgers.get_mut(uid) {
                    ledger.remove(&change.key.name);
                }
            }
        }
    }
}

/// The reference by which an object belongs to its controller. A deletion in the foreground of the
/// controller waits for the object.
pub(crate) fn owned_by(controller: &impl Resource<DynamicType = ()>) -> Option<OwnerReference> {
    let mut reference = controller.controller_owner_ref(&())?;
    reference.block_owner_deletion = Some(true);
    Some(reference)
}

/// The uid of the controller of this kind that owns the object.
pub(crate) fn owner_uid<'a>(object: &'a impl Resource, kind: &str) -> Option<&'a str> {
    let owners = object.meta().owner_references.as_ref()?;
    let owner = owners
        .iter()
        .find(|o| o.controller == Some(true) && o.kind == kind)?;
    Some(&owner.uid)
}

/// The caches of our three kinds, connected to queues and ledgers.
pub(crate) struct Caches {
    pub(crate) experiments: Arc<Cache<Experiment>>,
    pub(crate) suggestions: Arc<Cache<Suggestion>>,
    pub(crate) trials: Arc<Cache<Trial>>,
}

impl Caches {
    pub(crate) fn new(
        queues: &Queues,
        ledgers: Arc<Ledgers>,
        metrics: &Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let (on, counted) = (queues.clone(), metrics.clone());
        let experiments = Cache::new(drop_managed_fields, move |change: &Change<Experiment>| {
            counted.experiment_changed(change);
            on.experiments.add(change.key.clone());
            on.suggestions.add(change.key.clone());
            let makes_rules = |e: &Arc<Experiment>| e.spec.early_stopping.is_some();
            if change.new.as_ref().is_none_or(makes_rules) {
                on.stopping.add(change.key.clone());
            }
        });
        let on = queues.clone();
        let suggestions = Cache::new(drop_managed_fields, move |change: &Change<Suggestion>| {
            on.suggestions.add(change.key.clone());
            on.experiments.add(change.key.clone());
        });
        let (on, counted) = (queues.clone(), metrics.clone());
        let trials = Cache::new(drop_spent_run, move |change: &Change<Trial>| {
            counted.trial_changed(change);
            ledgers.apply(change, clock());
            on.trials.add(change.key.clone());
            let trial = change.new.as_ref().or(change.old.as_ref());
            let Some(owner) = trial.and_then(|t| Key::of_owner(&t.metadata, "Experiment")) else {
                return;
            };
            let is_over = |trial: &Arc<Trial>| TrialState::of(trial).is_finished();
            if change.new.as_ref().is_none_or(is_over) {
                on.suggestions.add(owner.clone());
            } else if trial.is_some_and(|t| !t.spec.early_stopping_rules.is_empty()) {
                // Where the experiment makes rules, it is itself what brings it here.
                on.stopping.add(owner.clone());
            }
            on.experiments.add(owner);
        });
        Self {
            experiments: Arc::new(experiments),
            suggestions: Arc::new(suggestions),
            trials: Arc::new(trials),
        }
    }
}

fn drop_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Of a trial that has ended only the kind of its run is still needed.
fn drop_spent_run(trial: &mut Trial) {
    trial.metadata.managed_fields = None;
    let is_over = trial.status.as_ref().is_some_and(TrialStatus::is_completed);
    if let (true, Some(run)) = (is_over, &mut trial.spec.run_spec) {
        run.retain(|key, _| key == "apiVersion" || key == "kind");
    }
}

impl World {
    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        (self.ports.clock)()
    }

    /// The API of one kind in one namespace.
    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Writes the difference of two statuses. With `version` the write fails with a conflict when
    /// somebody else wrote meanwhile.
    pub(crate) async fn write_status<K>(
        &self,
        cache: &Cache<K>,
        key: &Key,
        old: &impl Serialize,
        new: &impl Serialize,
        version: Option<&str>,
    ) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let value = |status: &dyn Fn() -> serde_json::Result<Value>| {
            status().map_err(kube::Error::SerdeError)
        };
        let old = value(&|| serde_json::to_value(old))?;
        let new = value(&|| serde_json::to_value(new))?;
        let Some(difference) = merge_patch::difference(&old, &new) else {
            return Ok(());
        };
        let mut body = json!({ "status": difference });
        if let Some(version) = version {
            body["metadata"] = json!({ "resourceVersion": version });
        }
        let api: Api<K> = self.api(&key.namespace);
        let patch = Patch::Merge(body);
        cache.written(
            api.patch_status(&key.name, &PatchParams::default(), &patch)
                .await?,
        );
        Ok(())
    }

    /// Removes our finalizer, so that the object can go.
    pub(crate) async fn release<K>(&self, object: &K, finalizer: &str) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let meta = object.meta();
        let Some(finalizers) = &meta.finalizers else {
            return Ok(());
        };
        if !finalizers.iter().any(|f| f == finalizer) {
            return Ok(());
        }
        let kept: Vec<&String> = finalizers.iter().filter(|f| *f != finalizer).collect();
        let body = json!({ "metadata": {
            "finalizers": kept,
            "resourceVersion": meta.resource_version,
        }});
        let key = Key::of(meta);
        let api: Api<K> = self.api(&key.namespace);
        match api
            .patch(&key.name, &PatchParams::default(), &Patch::Merge(body))
            .await
        {
            Err(error) if !is_not_found(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The HTTP code of an answer of the API.
pub(crate) fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Whether the object does not exist.
pub(crate) fn is_not_found(error: &kube::Error) -> bool {
    code(error) == Some(404)
}

/// Whether the object exists, or was changed by somebody else meanwhile.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    code(error) == Some(409)
}

/// Whether the API did not get to judge the request: it can't be reached, is overloaded or fails
/// itself. This passes, however long it takes.
pub(crate) fn is_outage(error: &kube::Error) -> bool {
    code(error).is_none_or(|code| code >= 500 || code == 429)
}

/// Whether the same request will fail again.
pub(crate) fn is_refused(error: &kube::Error) -> bool {
    matches!(code(error), Some(400 | 422))
}

/// What the API says, without the wrapping.
pub(crate) fn text(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        _ => error.to_string(),
    }
}
