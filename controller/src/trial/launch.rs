//! Gets a trial going: the object that runs it, and what keeps its pods from starting.

use std::sync::Arc;
use std::time::Duration;

use diwan_api::trial::condition_type;
use diwan_api::{ConditionStatus, Conditions, ResumePolicy, Trial};
use kube::ResourceExt;
use kube::api::{DynamicObject, PostParams};
use serde_json::Value;

use super::diagnosis::{self, Obstacle, Pods};
use super::kinds::Kind;
use super::retries::{self, Retries};
use super::{Controller, Error, Pass, owner_uid_of, run_object, status};
use crate::checkpoint::Handover;
use crate::event::Severity;
use crate::key::Key;
use crate::queue::Outcome;
use crate::world::{is_conflict, is_not_found, is_outage, is_refused, text};

/// How long a kind's first list is waited for before others get their turn.
const FIRST_LIST: Duration = Duration::from_secs(5);
/// How often pods that don't get going are looked at, at the longest.
const LOOK_LONGEST: Duration = Duration::from_mins(1);
/// How often pods that can't start are looked at.
const LOOK_BLOCKED: Duration = Duration::from_secs(5);

impl Controller {
    /// The kind of the trial's run, once all objects of it were seen.
    pub(super) async fn kind(&self, trial: &Trial) -> Result<Arc<Kind>, Error> {
        let types = run_object::types(trial)
            .ok_or_else(|| Error::Never("runSpec has no apiVersion and kind".to_owned()))?;
        if let Some(refusal) = run_object::refusal(&types) {
            return Err(Error::Never(refusal));
        }
        let name = format!("{} of {}", types.kind, types.api_version);
        let not_served = || Error::NotServed(format!("the API does not serve the kind {name}"));
        let kind = self
            .world
            .kinds
            .get(&types)
            .await
            .map_err(|error| match error {
                kube::Error::Discovery(_) => not_served(),
                error if is_not_found(&error) => not_served(),
                error => Error::Api(error),
            })?;
        if !kind.cache.is_synced()
            && tokio::time::timeout(FIRST_LIST, kind.cache.synced())
                .await
                .is_err()
        {
            return Err(Error::NotYet(format!(
                "objects of the kind {name} can't be listed"
            )));
        }
        Ok(kind)
    }

    /// Creates the run, and writes at the same time that it runs.
    pub(super) async fn start(&self, pass: &Pass<'_>) -> Result<Outcome, Error> {
        let make_token = self.world.ports.make_token.as_ref();
        let token = make_token.map(|make| make(&pass.key.namespace, &pass.key.name));
        let mut object = run_object::run_object(pass.trial, token).map_err(Error::Never)?;
        let spent = self.hand_over(pass, &mut object)?;
        let started = self.start_run(pass, &object).await;
        if started.is_err() {
            self.world.spent.put_back(&spent.0, spent.1);
        }
        started
    }

    /// Lets the pods of the run find the checkpoint that the trial continues. Returns which spent
    /// ones they remove, with the experiment's uid.
    fn hand_over(
        &self,
        pass: &Pass<'_>,
        object: &mut DynamicObject,
    ) -> Result<(String, Vec<String>), Error> {
        let Some(key) = Key::of_owner(&pass.trial.metadata, "Experiment") else {
            return Ok(<_>::default());
        };
        let experiment = self.world.experiments.get(&key);
        let experiment = experiment
            .ok_or_else(|| Error::NotYet(format!("the experiment {key} is not there")))?;
        let Some(handover) = Handover::of(&experiment, pass.trial) else {
            return Ok(<_>::default());
        };
        let ports = &self.world.ports;
        if ports.suggester.image(&experiment).is_some() {
            // A service in an image copies in the volume that it has mounted itself.
            if experiment.spec.resume_policy == Some(ResumePolicy::FromVolume) {
                handover.put_on(&mut object.data, None, &[]);
            }
            return Ok(<_>::default());
        }
        let uid = experiment.uid().unwrap_or_default();
        let spent = self.world.spent.take(&uid);
        handover.put_on(&mut object.data, ports.checkpoints.as_ref(), &spent);
        Ok((uid, spent))
    }

    async fn start_run(&self, pass: &Pass<'_>, object: &DynamicObject) -> Result<Outcome, Error> {
        let said = pass
            .trial
            .status
            .as_ref()
            .and_then(|s| s.condition(condition_type::RUNNING));
        if said.is_some_and(|condition| condition.status == ConditionStatus::False) {
            // It had to wait: that it runs is said only when it does.
            self.create(pass, object).await?;
            self.write(pass, status::running).await?;
            return Ok(Outcome::Again(self.world.options.start_grace));
        }
        let (created, written) =
            tokio::join!(self.create(pass, object), self.write(pass, status::running));
        created.and(written)?;
        Ok(Outcome::Again(self.world.options.start_grace))
    }

    async fn create(&self, pass: &Pass<'_>, object: &DynamicObject) -> Result<(), Error> {
        let Some(kind) = pass.kind else { return Ok(()) };
        let api = self.api(pass, kind);
        let what = &kind.resource.kind;
        match api.create(&PostParams::default(), object).await {
            Ok(created) => {
                kind.cache.written(created);
                let message = format!("{what} {} has been created", pass.key.name);
                let normal = Severity::Normal;
                self.world
                    .recorder
                    .publish(pass.trial, normal, "JobCreated", &message);
                Ok(())
            }
            Err(error) if is_conflict(&error) => {
                let found = api.get(&pass.key.name).await?;
                if owner_uid_of(&found) == pass.trial.metadata.uid.as_deref() {
                    kind.cache.written(found);
                    return Ok(());
                }
                let name = &pass.key.name;
                Err(Error::NotYet(format!(
                    "a {what} {name} exists that is not this trial's"
                )))
            }
            Err(error) if is_outage(&error) => Err(Error::Api(error)),
            Err(error) if is_refused(&error) => Err(Error::Never(format!(
                "the {what} can't be created: {}",
                text(&error)
            ))),
            Err(error) => Err(Error::NotYet(format!(
                "the {what} can't be created: {}",
                text(&error)
            ))),
        }
    }

    /// Looks at the pods of a run that has none ready for a while, and says what keeps them.
    pub(super) async fn oversee(&self, pass: &Pass<'_>) -> Result<Outcome, Error> {
        let status = pass.trial.status.as_ref();
        let runs = status.is_some_and(|s| s.is(condition_type::RUNNING));
        let ready = pass.run.pointer("/status/ready").and_then(Value::as_u64);
        if ready.is_some_and(|ready| ready > 0) {
            self.unready.forget(pass.key);
            self.confirm(pass).await?;
            return Ok(Outcome::Done);
        }
        let age = self.unready.waited(pass.key, self.world.now());
        let grace = self.world.options.start_grace;
        let left = grace.saturating_sub(age);
        if !left.is_zero() {
            return Ok(Outcome::Again(left));
        }
        let primary = &pass.trial.spec.primary_container_name;
        let pods = diagnosis::pods(&self.world, pass.key, primary).await?;
        // Between two pods of a run that tries again, none has started.
        if matches!(pods, Pods::Started | Pods::Ending(_)) || (runs && pods == Pods::Coming) {
            self.confirm(pass).await?;
        }
        match pods {
            Pods::Started => Ok(Outcome::Done),
            Pods::Ending(left) => Ok(Outcome::Again(left)),
            Pods::Lingering(obstacle) => {
                let Obstacle { reason, message } = obstacle;
                self.say(pass, ConditionStatus::True, reason, &message)
                    .await?;
                Ok(Outcome::Done)
            }
            Pods::Coming => Ok(Outcome::Again(age.min(LOOK_LONGEST))),
            Pods::Blocked(obstacle) => {
                let Obstacle { reason, message } = obstacle;
                self.say(pass, ConditionStatus::False, reason, &message)
                    .await?;
                Ok(Outcome::Again(LOOK_BLOCKED))
            }
        }
    }

    /// Says that the trial runs, and where pods of it have failed, how many and why.
    async fn confirm(&self, pass: &Pass<'_>) -> Result<(), Error> {
        let status = pass.trial.status.as_ref();
        let runs = status.is_some_and(|s| s.is(condition_type::RUNNING));
        match Retries::of(pass.run) {
            Some(retries) if !retries.are_told(status) => {
                let primary = &pass.trial.spec.primary_container_name;
                let why = diagnosis::last_failure(&self.world, pass.key, primary).await;
                let message = retries.message(why.as_deref());
                self.tell(pass, ConditionStatus::True, retries::REASON, &message)
                    .await
            }
            None if !runs => self.write(pass, status::running).await,
            _ => Ok(()),
        }
    }
}
