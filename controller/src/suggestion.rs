//! The suggestion controller: asks the algorithm for the assignments that the experiment wants.

pub mod plan;

mod deployment;
mod history;
mod name;
pub(crate) mod reply;
mod service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use diwan_api::suggestion::condition_type;
use diwan_api::{Conditions, Experiment, Suggestion, SuggestionStatus};
use kube::ResourceExt;

use self::plan::{Plan, Snapshot, plan};
use self::reply::{During, Reaction};
use self::service::{Services, Standing};
use crate::checkpoint;
use crate::event::Severity;
use crate::key::Key;
use crate::patience::Patience;
use crate::port::{SuggestRequest, SuggesterError};
use crate::queue::Outcome;
use crate::world::{World, is_conflict, is_not_found, is_outage, owner_uid};

/// How often a service that starts is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The suggestion controller.
pub(crate) struct Controller {
    world: Arc<World>,
    patience: Patience,
    services: Services,
}

impl Controller {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            patience: Patience::default(),
            services: Services::default(),
        }
    }

    /// Looks at one suggestion: observes, plans, applies.
    pub(crate) async fn reconcile(&self, key: Key) -> Outcome {
        let found = self
            .world
            .suggestions
            .get(&key)
            .zip(self.world.experiments.get(&key));
        let Some((suggestion, experiment)) = found else {
            self.patience.forget(&key);
            self.services.doubt(&key);
            return Outcome::Done;
        };
        if owner_uid(&*suggestion, "Experiment") != experiment.metadata.uid.as_deref() {
            return Outcome::Done;
        }
        let snapshot = Snapshot {
            suggestion: &suggestion,
            experiment: &experiment,
        };
        let result = match plan(&snapshot, self.world.now()) {
            Plan::Rest => Ok(Outcome::Done),
            Plan::Record(status) => {
                let told = self.tell(&key, &suggestion, &experiment, &status).await;
                told.map(|()| Outcome::Done)
            }
            Plan::Ask {
                validate,
                count,
                total,
            } => {
                let wanted = Wanted {
                    validate,
                    count,
                    total,
                };
                self.ask(&key, &suggestion, &experiment, wanted).await
            }
        };
        result.unwrap_or_else(|error| {
            if !is_conflict(&error) && !is_not_found(&error) {
                tracing::warn!(suggestion.name = %key, %error, "suggestion was not reconciled");
            }
            Outcome::Failed
        })
    }

    /// Writes the status; that of a suggestion which has ended after its service is gone.
    async fn tell(
        &self,
        key: &Key,
        suggestion: &Suggestion,
        experiment: &Experiment,
        status: &SuggestionStatus,
    ) -> Result<(), kube::Error> {
        if status.is(condition_type::SUCCEEDED) {
            self.sweep(key, suggestion, experiment, status).await?;
            self.services.remove(&self.world, key, experiment).await?;
        }
        self.record(key, suggestion, status).await
    }

    async fn record(
        &self,
        key: &Key,
        suggestion: &Suggestion,
        status: &SuggestionStatus,
    ) -> Result<(), kube::Error> {
        let cache = &self.world.suggestions;
        let (world, old) = (&self.world, &suggestion.status);
        let version = suggestion.resource_version();
        let written = world
            .write_status(cache, key, old, status, version.as_deref())
            .await;
        let Err(error) = written else { return Ok(()) };
        if !is_conflict(&error) {
            return Err(error);
        }
        // More may have been asked for meanwhile, which does not make the answer useless. But what
        // was given must never be overwritten: trials may have been made of it.
        let now = world
            .api::<Suggestion>(&key.namespace)
            .get(&key.name)
            .await?;
        let (version, is_same) = (now.resource_version(), now.status == *old);
        cache.written(now);
        if !is_same {
            return Err(error);
        }
        world
            .write_status(cache, key, old, status, version.as_deref())
            .await
    }

    async fn ask(
        &self,
        key: &Key,
        suggestion: &Arc<Suggestion>,
        experiment: &Arc<Experiment>,
        wanted: Wanted,
    ) -> Result<Outcome, kube::Error> {
        let status = suggestion.status.clone().unwrap_or_default();
        let services = &self.services;
        let standing = services.stand(&self.world, key, suggestion, experiment);
        match standing.await? {
            Standing::Ready => {}
            Standing::Coming(why) => {
                let status = reply::waiting(status, &why, self.world.now());
                self.record(key, suggestion, &status).await?;
                return Ok(Outcome::Again(LOOK_AGAIN));
            }
            Standing::Late(why) => {
                let error = SuggesterError::Retry(why);
                let during = During::Validation;
                return self.failed(key, suggestion, status, &error, during).await;
            }
        }
        if wanted.validate {
            let answer = self.world.ports.suggester.validate(experiment).await;
            if let Err(error) = answer {
                return self
                    .failed(key, suggestion, status, &error, During::Validation)
                    .await;
            }
        }
        let mut status = reply::accepted(status, self.world.now());
        let mut note = None;
        if wanted.count > 0 {
            let request = self.request(suggestion, experiment, &status, &wanted);
            let begin = Instant::now();
            let answer = self.world.ports.suggester.suggest(request).await;
            if let Some(algorithm) = &suggestion.spec.algorithm {
                let name = &algorithm.algorithm_name;
                self.world.metrics.suggested(name, begin.elapsed());
            }
            let mut reply = match answer {
                Ok(reply) => reply,
                Err(error) => {
                    return self
                        .failed(key, suggestion, status, &error, During::Suggestion)
                        .await;
                }
            };
            note = reply.note.take();
            let exhausted = reply.exhausted;
            let chance = &*self.world.ports.chance;
            let name = experiment.name_any();
            let now = self.world.now();
            let uid = experiment.uid().unwrap_or_default();
            let given = self.world.ledgers.read(&uid, |ledger| {
                let is_used = |name: &str| ledger.contains(name);
                reply::shortened(&mut status, is_used);
                let count = wanted.count;
                reply::taken_in(&mut status, reply, count, &name, is_used, chance, now)
            });
            reply::ruled(&mut status, given, &self.world.fresh_rules.get(&uid));
            let is_silent = given == 0 && !exhausted;
            if is_silent && self.is_idle(experiment, &status) {
                let text = "the algorithm gives no assignment though no trial is running";
                let error = SuggesterError::Retry(text.to_owned());
                return self
                    .failed(key, suggestion, status, &error, During::Suggestion)
                    .await;
            }
            // A silent algorithm waits for results: the end of the next trial asks it again.
        }
        self.patience.forget(key);
        self.record(key, suggestion, &status).await?;
        self.learn_spent(experiment, &status);
        if let Some(note) = note {
            let recorder = &self.world.recorder;
            recorder.publish(&**suggestion, Severity::Normal, "SuggestionNote", &note);
        }
        Ok(Outcome::Done)
    }

    /// Whether nothing is going on from which the algorithm could still learn.
    fn is_idle(&self, experiment: &Experiment, status: &SuggestionStatus) -> bool {
        let uid = experiment.uid().unwrap_or_default();
        self.world.ledgers.read(&uid, |ledger| {
            ledger.active() == 0 && reply::names(&status.suggestions).all(|n| ledger.contains(n))
        })
    }

    /// Learns which checkpoints may go. What was just given counts, and nobody is asking meanwhile:
    /// no trial can be about to continue one of them.
    fn learn_spent(&self, experiment: &Experiment, status: &SuggestionStatus) {
        let spent = self.spent(experiment, status);
        let uid = experiment.uid().unwrap_or_default();
        self.world.spent.learn(&uid, spent);
    }

    fn spent(&self, experiment: &Experiment, status: &SuggestionStatus) -> Vec<String> {
        if checkpoint::trial_folder(experiment).is_none() {
            return Vec::new();
        }
        let uid = experiment.uid().unwrap_or_default();
        let trials = self
            .world
            .ledgers
            .read(&uid, |ledger| history::history(experiment, status, ledger));
        let suggester = &self.world.ports.suggester;
        suggester.spent_checkpoints(experiment, &trials)
    }

    /// Removes what the last trials have left and nobody continues.
    async fn sweep(
        &self,
        key: &Key,
        suggestion: &Suggestion,
        experiment: &Experiment,
        status: &SuggestionStatus,
    ) -> Result<(), kube::Error> {
        let spent = self.spent(experiment, status);
        let Some(base) = self.world.ports.checkpoints.as_ref() else {
            return Ok(());
        };
        if spent.is_empty() {
            return Ok(());
        }
        let job = checkpoint::sweep(experiment, suggestion, base, &spent);
        match service::create(&self.world, key, &job).await {
            // The room is missed later, and an experiment must be able to end.
            Err(error) if !is_outage(&error) => {
                tracing::warn!(suggestion.name = %key, %error, "checkpoints are not removed");
                Ok(())
            }
            created => created,
        }
    }

    fn request(
        &self,
        suggestion: &Suggestion,
        experiment: &Arc<Experiment>,
        status: &SuggestionStatus,
        wanted: &Wanted,
    ) -> SuggestRequest {
        let settings = suggestion
            .spec
            .algorithm
            .as_ref()
            .map(|a| a.algorithm_settings.as_slice());
        let settings = reply::laid_over(settings.unwrap_or_default(), &status.algorithm_settings);
        let uid = experiment.uid().unwrap_or_default();
        let trials = self
            .world
            .ledgers
            .read(&uid, |ledger| history::history(experiment, status, ledger));
        SuggestRequest {
            experiment: experiment.clone(),
            trials,
            settings,
            count: wanted.count,
            total: wanted.total,
        }
    }

    async fn failed(
        &self,
        key: &Key,
        suggestion: &Suggestion,
        status: SuggestionStatus,
        error: &SuggesterError,
        during: During,
    ) -> Result<Outcome, kube::Error> {
        self.services.doubt(key);
        let now = self.world.now();
        let is_last = self.patience.waited(key, now) >= self.world.options.patience;
        let recorder = &self.world.recorder;
        recorder.publish(
            suggestion,
            Severity::Warning,
            "ReconcileError",
            &error.to_string(),
        );
        match reply::failed(status, error, during, is_last, now) {
            Reaction::Fail(status) => {
                tracing::warn!(suggestion.name = %key, %error, "suggestion has failed");
                self.record(key, suggestion, &status).await?;
                Ok(Outcome::Done)
            }
            Reaction::Retry(status) => {
                self.record(key, suggestion, &status).await?;
                Ok(Outcome::Failed)
            }
        }
    }
}

/// What the algorithm is asked for.
struct Wanted {
    validate: bool,
    count: usize,
    total: usize,
}
