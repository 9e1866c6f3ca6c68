//! Removes what a trial leaves behind: its run, and its observation log when it is deleted.

use diwan_api::metadata::FINALIZER_TRIAL;
use kube::api::DeleteParams;

use super::{Controller, Error, Pass};
use crate::event::Severity;
use crate::key::Key;
use crate::queue::Outcome;
use crate::world::is_not_found;

impl Controller {
    /// Deletes the object that runs the trial.
    pub(super) async fn delete_run(
        &self,
        pass: &Pass<'_>,
        how: &DeleteParams,
    ) -> Result<Outcome, Error> {
        let Some(kind) = pass.kind else {
            return Ok(Outcome::Done);
        };
        match self.api(pass, kind).delete(&pass.key.name, how).await {
            Err(error) if is_not_found(&error) => {
                kind.cache.removed(pass.key);
                Ok(Outcome::Done)
            }
            Err(error) => Err(error.into()),
            Ok(answer) => {
                if let Some(leaving) = answer.left() {
                    kind.cache.written(leaving);
                }
                Ok(Outcome::Done)
            }
        }
    }

    /// Waits until the run of a deleted trial is gone, but not for ever.
    pub(super) async fn await_stop(&self, pass: &Pass<'_>) -> Result<Outcome, Error> {
        let waited = self.graces.waited(pass.key, self.world.now());
        let patience = self.world.options.patience;
        let left = patience.saturating_sub(waited);
        if left.is_zero() {
            self.release(pass).await
        } else {
            Ok(Outcome::Again(left))
        }
    }

    /// Deletes the observation log of a deleted trial and lets the trial go. When the log can't be
    /// reached for too long the trial goes without.
    pub(super) async fn release(&self, pass: &Pass<'_>) -> Result<Outcome, Error> {
        let Key { namespace, name } = pass.key;
        if let Err(error) = self.world.ports.observations.delete(namespace, name).await {
            let waited = self.patience.waited(pass.key, self.world.now());
            let message = format!("{error}; it is kept");
            let warning = Severity::Warning;
            self.world
                .recorder
                .publish(pass.trial, warning, "MetricsNotDeleted", &message);
            if waited < self.world.options.patience {
                return Ok(Outcome::Failed);
            }
        }
        self.world.release(pass.trial, FINALIZER_TRIAL).await?;
        Ok(Outcome::Done)
    }
}
