//! The early stopper that the controllers ask, the one of `diwan-suggestion`, and who it tells of
//! stopped trials.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::Experiment;
use diwan_controller::port;
use diwan_controller::stopping::stop_trial;
use diwan_db_manager::TrialTokens;
use diwan_db_manager::grpc::TrialDirectory;
use diwan_suggestion::{Curves, EarlyStoppers, RulesRequest, StopError, TrialStopper};
use jiff::Timestamp;
use kube::Client;

use super::suggester::image_into_port;

/// Puts the port of the controllers before the algorithms.
pub(crate) struct EarlyStopper {
    /// The algorithms.
    pub(crate) stoppers: Arc<EarlyStoppers>,
    /// Where services read observation logs.
    pub(crate) db_manager: String,
}

#[async_trait]
impl port::EarlyStopper for EarlyStopper {
    fn image(&self, experiment: &Experiment) -> Option<port::ServiceImage> {
        self.stoppers.image(experiment).map(image_into_port)
    }

    async fn rules(
        &self,
        request: port::RulesRequest,
    ) -> Result<port::Rules, port::EarlyStopperError> {
        let request = RulesRequest {
            experiment: request.experiment,
            trials: request.trials,
            db_manager: self.db_manager.clone(),
            curves: Curves {
                succeeded: request.succeeded,
                stopped: request.stopped,
                running: request.running,
            },
        };
        let rules = self.stoppers.rules(&request).await;
        let rules = rules.map_err(|error| port::EarlyStopperError(error.to_string()))?;
        Ok(port::Rules {
            fresh: rules.fresh,
            running: rules.running,
        })
    }
}

/// Marks trials as stopped through the API.
pub(crate) struct ApiTrials {
    /// The API.
    pub(crate) client: Client,
    /// Finds trials of which only the name is known.
    pub(crate) directory: Arc<dyn TrialDirectory>,
    /// Know the callers that speak for a trial.
    pub(crate) tokens: Arc<TrialTokens>,
}

#[async_trait]
impl TrialStopper for ApiTrials {
    async fn stop(
        &self,
        namespace: Option<&str>,
        trial: &str,
        token: Option<&str>,
    ) -> Result<(), StopError> {
        let namespace = match namespace {
            Some(namespace) => namespace.to_owned(),
            None => match self.directory.namespaces(trial).await.as_slice() {
                [] => return Err(StopError::NotFound(trial.to_owned())),
                [one] => one.clone(),
                several => return Err(StopError::Ambiguous(several.join(", "))),
            },
        };
        if token.is_some_and(|token| !self.tokens.is_of(token, &namespace, trial)) {
            return Err(StopError::Denied(trial.to_owned()));
        }
        let stopped = stop_trial(&self.client, &namespace, trial, Timestamp::now()).await;
        stopped.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 404 => StopError::NotFound(trial.to_owned()),
            error => StopError::Failed(error.to_string()),
        })
    }
}
