//! The early stopper that the controllers ask, the one of `diwan-suggestion`, and who it tells of
//! stopped trials.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::Experiment;
use diwan_controller::port;
use diwan_controller::stopping::stop_trial;
use diwan_db_manager::TrialRef;
use diwan_db_manager::grpc::{Access, Credentials, Denied, TrialDirectory, TrialGuard, admitted};
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
    /// Knows the callers that may stop a trial.
    pub(crate) guard: Arc<dyn TrialGuard>,
}

impl ApiTrials {
    /// Of the namespaces that have a trial of this name, keeps those in which the caller may stop it.
    async fn admitted(
        &self,
        mut namespaces: Vec<String>,
        trial: &str,
        credentials: &Credentials,
    ) -> Result<Vec<String>, StopError> {
        // Who may not know is not told that there is no such trial.
        let is_missing = namespaces.is_empty();
        if is_missing {
            namespaces.push(String::new());
        }
        let trials = namespaces.into_iter();
        let trials = trials
            .map(|namespace| TrialRef::new(namespace, trial))
            .collect();
        let admitted = admitted(self.guard.as_ref(), trials, Access::Stop, credentials).await;
        let admitted = admitted.map_err(|denied| {
            let text = format!("trial {trial:?}: {denied}");
            match denied {
                Denied::Unknown(_) => StopError::Unknown(text),
                Denied::Forbidden(_) => StopError::Denied(text),
                Denied::Undecided(_) => StopError::Failed(text),
            }
        })?;
        if is_missing {
            return Ok(Vec::new());
        }
        Ok(admitted.into_iter().map(|trial| trial.namespace).collect())
    }
}

#[async_trait]
impl TrialStopper for ApiTrials {
    async fn stop(
        &self,
        namespace: Option<&str>,
        trial: &str,
        credentials: &Credentials,
    ) -> Result<(), StopError> {
        let namespaces = match namespace {
            Some(namespace) => vec![namespace.to_owned()],
            None => self
                .directory
                .namespaces(trial)
                .await
                .map_err(|error| StopError::Failed(error.to_string()))?,
        };
        let namespaces = self.admitted(namespaces, trial, credentials).await?;
        let namespace = match namespaces.as_slice() {
            [] => return Err(StopError::NotFound(trial.to_owned())),
            [one] => one,
            several => return Err(StopError::Ambiguous(several.join(", "))),
        };
        let stopped = stop_trial(&self.client, namespace, trial, Timestamp::now()).await;
        stopped.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 404 => StopError::NotFound(trial.to_owned()),
            error => StopError::Failed(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use diwan_db_manager::grpc::LookupError;
    use serde_json::json;

    use super::*;
    use crate::cluster::fake::FakeApi;

    /// The trial `t` is in two namespaces, `lost` nobody knows where.
    struct Places;

    #[async_trait]
    impl TrialDirectory for Places {
        async fn namespaces(&self, trial: &str) -> Result<Vec<String>, LookupError> {
            match trial {
                "t" => Ok(vec!["a".to_owned(), "b".to_owned()]),
                "lost" => Err(LookupError("the API is away".to_owned())),
                _ => Ok(Vec::new()),
            }
        }
    }

    /// The account `all` may stop trials everywhere, others those of the namespace of their name.
    struct Names;

    #[async_trait]
    impl TrialGuard for Names {
        async fn check(
            &self,
            trial: &TrialRef,
            access: Access,
            credentials: &Credentials,
        ) -> Result<(), Denied> {
            assert_eq!(access, Access::Stop);
            match credentials.bearer.as_deref() {
                None => Err(Denied::Unknown("send a token".to_owned())),
                Some(name) if name == "all" || name == trial.namespace => Ok(()),
                Some(_) => Err(Denied::Forbidden("not yours".to_owned())),
            }
        }
    }

    /// Tries to stop a trial; whether it was reached, or why not.
    async fn stop(namespace: Option<&str>, trial: &str, bearer: Option<&str>) -> String {
        let api = FakeApi::new(|asked| (404, json!({"message": asked.path})));
        let trials = ApiTrials {
            client: api.client(),
            directory: Arc::new(Places),
            guard: Arc::new(Names),
        };
        let credentials = Credentials {
            bearer: bearer.map(str::to_owned),
            trial_token: None,
        };
        let error = trials.stop(namespace, trial, &credentials).await;
        format!("{} {:?}", api.asked(), error.unwrap_err())
    }

    #[tokio::test]
    async fn a_trial_is_stopped_by_those_who_may() {
        for (namespace, trial, bearer, expected) in [
            // It is looked for where it is said to be, or where the caller may stop it.
            (Some("a"), "t", Some("a"), r#"1 NotFound("t")"#),
            (None, "t", Some("b"), r#"1 NotFound("t")"#),
            (None, "t", Some("all"), r#"0 Ambiguous("a, b")"#),
            (
                Some("a"),
                "t",
                Some("b"),
                r#"0 Denied("trial \"t\": not yours")"#,
            ),
            (None, "t", None, r#"0 Unknown("trial \"t\": send a token")"#),
            // Whether it is there is not told to everybody.
            (
                None,
                "none",
                None,
                r#"0 Unknown("trial \"none\": send a token")"#,
            ),
            (
                None,
                "none",
                Some("a"),
                r#"0 Denied("trial \"none\": not yours")"#,
            ),
            (None, "none", Some("all"), r#"0 NotFound("none")"#),
            (
                None,
                "lost",
                Some("all"),
                r#"0 Failed("the trial can't be looked up: the API is away")"#,
            ),
        ] {
            assert_eq!(stop(namespace, trial, bearer).await, expected);
        }
    }
}
