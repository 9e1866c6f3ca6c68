//! The trial controller: creates the object that runs a trial, tells how it goes, and concludes
//! from what was observed.

pub mod plan;

mod conclusion;
pub(crate) mod diagnosis;
mod ending;
pub(crate) mod kinds;
mod launch;
mod removal;
mod retries;
mod run_object;
mod status;

#[cfg(test)]
pub(crate) mod simulated;

use std::sync::Arc;

use diwan_api::trial::condition_type;
use diwan_api::{ConditionStatus, Conditions, Trial, TrialStatus};
use kube::api::{DeleteParams, DynamicObject};
use kube::{Api, ResourceExt};
use serde_json::Value;

use self::kinds::Kind;
use self::plan::{Plan, Run, Snapshot, plan};
use self::status::{End, Epitaph};
use crate::event::Severity;
use crate::key::Key;
use crate::patience::Patience;
use crate::port::ObservationsError;
use crate::queue::Outcome;
use crate::world::{World, is_conflict, is_not_found, is_outage, owner_uid, text};

/// Why a pass over a trial ended without a result.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Observations(#[from] ObservationsError),
    /// The run can't be created or watched as yet.
    #[error("{0}")]
    NotYet(String),
    /// The API does not serve the run's kind as yet.
    #[error("{0}")]
    NotServed(String),
    /// The run can never be created.
    #[error("{0}")]
    Never(String),
}

/// The trial controller.
pub(crate) struct Controller {
    world: Arc<World>,
    patience: Patience,
    graces: Patience,
    /// Since when runs are without a ready pod: before the first, or after the last.
    unready: Patience,
}

/// One pass over one trial.
struct Pass<'a> {
    key: &'a Key,
    trial: &'a Trial,
    kind: Option<&'a Kind>,
    /// The object that runs the trial, as JSON; null where nobody needs it.
    run: &'a Value,
}

impl Controller {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            patience: Patience::default(),
            graces: Patience::default(),
            unready: Patience::default(),
        }
    }

    /// Looks at one trial: observes, plans, applies.
    pub(crate) async fn reconcile(&self, key: Key) -> Outcome {
        let Some(trial) = self.world.trials.get(&key) else {
            self.patience.forget(&key);
            self.graces.forget(&key);
            self.unready.forget(&key);
            return Outcome::Done;
        };
        match self.observe(&key, &trial).await {
            Ok(outcome) => {
                if outcome == Outcome::Done {
                    self.patience.forget(&key);
                }
                outcome
            }
            Err(error) => self.react(&key, &trial, error).await,
        }
    }

    async fn observe(&self, key: &Key, trial: &Trial) -> Result<Outcome, Error> {
        let is_over = is_over(trial);
        if is_over {
            self.unready.forget(key);
        }
        let kind = match self.kind(trial).await {
            Ok(kind) => Some(kind),
            // What is not served does not run.
            Err(Error::NotServed(_) | Error::Never(_)) if is_over => None,
            Err(error) => return Err(error),
        };
        let object = kind.as_ref().and_then(|kind| kind.cache.get(key));
        let object = object.filter(|o| owner_uid_of(o) == trial.metadata.uid.as_deref());
        let json = match &object {
            Some(object) if !is_over || trial.spec.retain_run => {
                serde_json::to_value(&**object).map_err(kube::Error::SerdeError)?
            }
            _ => Value::Null,
        };
        let run = match &object {
            Some(object) => Run::Present {
                object: &json,
                leaving: object.metadata.deletion_timestamp.is_some(),
            },
            None => Run::Absent,
        };
        let plan = plan(&Snapshot { trial, run });
        let pass = Pass {
            key,
            trial,
            kind: kind.as_deref(),
            run: &json,
        };
        self.apply(&pass, plan, object.is_some()).await
    }

    async fn apply(&self, pass: &Pass<'_>, plan: Plan, has_run: bool) -> Result<Outcome, Error> {
        match plan {
            Plan::Rest if has_run && pass.trial.metadata.deletion_timestamp.is_some() => {
                self.await_stop(pass).await
            }
            Plan::Rest => Ok(Outcome::Done),
            Plan::Start => self.start(pass).await,
            Plan::ConfirmRunning => {
                self.write(pass, status::running).await?;
                Ok(Outcome::Again(self.world.options.start_grace))
            }
            Plan::Oversee => self.oversee(pass).await,
            Plan::Conclude(reason) => self.conclude(pass, reason).await,
            Plan::Fail(job) => self.fail(pass, job).await,
            Plan::CompleteStopped => self.complete_stopped(pass).await,
            Plan::RemoveRun => self.delete_run(pass, &DeleteParams::background()).await,
            Plan::StopRun => self.delete_run(pass, &DeleteParams::foreground()).await,
            Plan::Release => self.release(pass).await,
        }
    }

    /// Says what keeps a trial from going on; gives up when that can't change or lasts too long.
    async fn react(&self, key: &Key, trial: &Trial, error: Error) -> Outcome {
        tracing::debug!(trial.name = %key, %error, "trial was not reconciled");
        if let Error::Api(source) = &error
            && (is_conflict(source) || is_not_found(source) || is_outage(source))
        {
            return Outcome::Failed;
        }
        // This pass may have written the status.
        let trial = self
            .world
            .trials
            .get(key)
            .unwrap_or_else(|| Arc::new(trial.clone()));
        if is_over(&trial) {
            return Outcome::Failed;
        }
        let waited = self.patience.waited(key, self.world.now());
        let gives_up = waited >= self.world.options.patience;
        let message = match &error {
            Error::Api(source) => text(source),
            other => other.to_string(),
        };
        let pass = Pass {
            key,
            trial: &trial,
            kind: None,
            run: &Value::Null,
        };
        let result = match error {
            Error::Observations(_) if gives_up => {
                let epitaph = Epitaph {
                    note: Some(message),
                    ..Epitaph::default()
                };
                self.end(&pass, End::MetricsUnavailable, epitaph).await
            }
            Error::Never(_) => self.fail_to_run(&pass, message).await,
            _ if gives_up => self.fail_to_run(&pass, message).await,
            _ => self
                .say(&pass, ConditionStatus::False, "TrialWaiting", &message)
                .await
                .map(|()| Outcome::Failed),
        };
        result.unwrap_or(Outcome::Failed)
    }

    /// Says in the trial's condition and in an event what it waits for, unless that is said; and
    /// whether it runs meanwhile.
    async fn say(
        &self,
        pass: &Pass<'_>,
        runs: ConditionStatus,
        reason: &str,
        message: &str,
    ) -> Result<(), Error> {
        let status = pass.trial.status.as_ref();
        let said = status.and_then(|s| s.condition(condition_type::RUNNING));
        if said.is_some_and(|condition| condition.reason == reason) {
            return Ok(());
        }
        self.tell(pass, runs, reason, message).await
    }

    async fn tell(
        &self,
        pass: &Pass<'_>,
        runs: ConditionStatus,
        reason: &str,
        message: &str,
    ) -> Result<(), Error> {
        self.world
            .recorder
            .publish(pass.trial, Severity::Warning, reason, message);
        self.write(pass, |status, now| {
            status::waiting(status, runs, reason, message, now);
        })
        .await
    }

    async fn fail_to_run(&self, pass: &Pass<'_>, message: String) -> Result<Outcome, Error> {
        let epitaph = Epitaph {
            note: Some(message),
            ..Epitaph::default()
        };
        self.end(pass, End::Failed, epitaph).await
    }

    /// Writes the status as `change` makes it; fails with a conflict when the trial was changed by
    /// somebody else, such as an early stopping service.
    async fn write(
        &self,
        pass: &Pass<'_>,
        change: impl FnOnce(&mut TrialStatus, jiff::Timestamp),
    ) -> Result<(), Error> {
        let mut status = pass.trial.status.clone().unwrap_or_default();
        change(&mut status, self.world.now());
        let cache = &self.world.trials;
        let version = pass.trial.resource_version();
        let (old, version) = (&pass.trial.status, version.as_deref());
        Ok(self
            .world
            .write_status(cache, pass.key, old, &status, version)
            .await?)
    }

    fn api(&self, pass: &Pass<'_>, kind: &Kind) -> Api<DynamicObject> {
        let client = self.world.client.clone();
        Api::namespaced_with(client, &pass.key.namespace, &kind.resource)
    }
}

/// Whether the trial has ended or is being deleted.
fn is_over(trial: &Trial) -> bool {
    trial.metadata.deletion_timestamp.is_some()
        || trial.status.as_ref().is_some_and(TrialStatus::is_completed)
}

fn owner_uid_of(object: &DynamicObject) -> Option<&str> {
    owner_uid(object, "Trial")
}
