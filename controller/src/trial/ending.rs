//! Ends a trial: what was observed, how it ended and why.

use diwan_api::job_condition::JobReason;
use diwan_api::metadata::{UNAVAILABLE, ZERO_TIME};
use diwan_api::observation::observe;
use diwan_api::{Conditions, MetricLog};

use super::conclusion::{Conclusion, conclude};
use super::status::{self, End, Epitaph};
use super::{Controller, Error, Pass, diagnosis};
use crate::event::Severity;
use crate::key::Key;
use crate::queue::Outcome;

impl Controller {
    /// Ends a trial whose run has failed, with the last lines of its log.
    pub(super) async fn fail(&self, pass: &Pass<'_>, job: JobReason) -> Result<Outcome, Error> {
        let container = &pass.trial.spec.primary_container_name;
        let note = diagnosis::last_lines(&self.world, pass.key, container).await;
        self.end(
            pass,
            End::Failed,
            Epitaph {
                job,
                note,
                observation: None,
            },
        )
        .await
    }

    /// Ends a trial whose run has succeeded, once its metrics are there or not to be expected.
    pub(super) async fn conclude(&self, pass: &Pass<'_>, job: JobReason) -> Result<Outcome, Error> {
        let logs = self.logs(pass).await?;
        let waited = self.graces.waited(pass.key, self.world.now());
        let grace = self.world.options.metrics_grace;
        match conclude(pass.trial, &logs, waited, grace) {
            Conclusion::Wait(after) => Ok(Outcome::Again(after)),
            Conclusion::Ended {
                end,
                observation,
                mark_unavailable,
            } => {
                if mark_unavailable {
                    self.mark_unavailable(pass).await?;
                }
                let note = if end == End::MetricsUnavailable {
                    let Key { namespace, name } = pass.key;
                    self.world.ports.observations.absence(namespace, name).await
                } else {
                    None
                };
                self.end(
                    pass,
                    end,
                    Epitaph {
                        job,
                        note,
                        observation,
                    },
                )
                .await
            }
        }
    }

    async fn logs(&self, pass: &Pass<'_>) -> Result<Vec<MetricLog>, Error> {
        let Some(objective) = &pass.trial.spec.objective else {
            return Ok(Vec::new());
        };
        let Key { namespace, name } = pass.key;
        Ok(self
            .world
            .ports
            .observations
            .get(namespace, name, objective)
            .await?)
    }

    async fn mark_unavailable(&self, pass: &Pass<'_>) -> Result<(), Error> {
        let Some(objective) = &pass.trial.spec.objective else {
            return Ok(());
        };
        let row = MetricLog {
            time_stamp: ZERO_TIME.to_owned(),
            name: objective.objective_metric_name.clone(),
            value: UNAVAILABLE.to_owned(),
        };
        let Key { namespace, name } = pass.key;
        Ok(self
            .world
            .ports
            .observations
            .report(namespace, name, vec![row])
            .await?)
    }

    pub(super) async fn complete_stopped(&self, pass: &Pass<'_>) -> Result<Outcome, Error> {
        let logs = self.logs(pass).await?;
        let objective = pass.trial.spec.objective.as_ref();
        let observation = objective.map(|objective| observe(&logs, objective));
        self.write(pass, |s, now| status::stopped_early(s, observation, now))
            .await?;
        Ok(Outcome::Done)
    }

    pub(super) async fn end(
        &self,
        pass: &Pass<'_>,
        end: End,
        epitaph: Epitaph,
    ) -> Result<Outcome, Error> {
        self.write(pass, |status, now| status::ended(status, end, epitaph, now))
            .await?;
        self.graces.forget(pass.key);
        self.patience.forget(pass.key);
        let status = self
            .world
            .trials
            .get(pass.key)
            .and_then(|trial| trial.status.clone());
        let last = status.as_ref().and_then(Conditions::last_condition);
        let message = last.map_or("Trial has ended", |condition| &condition.message);
        let severity = if end == End::Succeeded {
            Severity::Normal
        } else {
            Severity::Warning
        };
        self.world
            .recorder
            .publish(pass.trial, severity, end.event(), message);
        Ok(Outcome::Done)
    }
}
