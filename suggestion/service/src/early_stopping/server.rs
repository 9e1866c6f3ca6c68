//! The built-in algorithms as the gRPC service `api.v1.beta1.EarlyStopping`.

use std::sync::Arc;
use std::time::Duration;

use diwan_api::trial::condition_type as state;
use diwan_api::{Conditions as _, Experiment, Trial};
use diwan_proto::metadata::{Credentials, NAMESPACE_KEY, text};
use diwan_proto::v1beta1::early_stopping_server::EarlyStopping;
use diwan_proto::v1beta1::{
    GetEarlyStoppingRulesReply, GetEarlyStoppingRulesRequest, SetTrialStatusReply,
    SetTrialStatusRequest, ValidateEarlyStoppingSettingsReply,
    ValidateEarlyStoppingSettingsRequest,
};
use tonic::{Code, Request, Response, Status};

use super::{Curves, checked, stopping_rules};
use crate::early_stopping::logs::{Logs, LogsError};
use crate::grpc::status;

/// How long the DB manager has to answer for one trial.
const TIMEOUT: Duration = Duration::from_secs(30);
/// From so many trials of each kind, the newest, rules are made.
const REMEMBERED: usize = 1_000;

/// Marks trials as stopped, where the trials are kept.
#[tonic::async_trait]
pub trait TrialStopper: Send + Sync + 'static {
    /// Sets the condition EarlyStopped, if the caller may. Without a namespace, the one trial of
    /// that name is meant.
    async fn stop(
        &self,
        namespace: Option<&str>,
        trial: &str,
        credentials: &Credentials,
    ) -> Result<(), StopError>;
}

/// Why a trial is not marked as stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StopError {
    /// There is no such trial.
    #[error("trial {0:?} is not found")]
    NotFound(String),
    /// Trials of several namespaces have the name.
    #[error("trials of this name are in several namespaces ({0}); send one as metadata {key}", key = NAMESPACE_KEY)]
    Ambiguous(String),
    /// The caller shows nobody's token that is known; the text says what to send.
    #[error("{0}")]
    Unknown(String),
    /// The caller may not do that.
    #[error("{0}")]
    Denied(String),
    /// The trial could not be written; another try may succeed.
    #[error("{0}")]
    Failed(String),
}

/// The service: all built-in algorithms.
#[derive(Clone, Default)]
pub struct EarlyStoppingService {
    trials: Option<Arc<dyn TrialStopper>>,
    db_manager: Option<String>,
}

impl EarlyStoppingService {
    /// Serves with access to the trials. Without it, `SetTrialStatus` is refused.
    pub fn new(trials: Arc<dyn TrialStopper>) -> Self {
        Self {
            trials: Some(trials),
            db_manager: None,
        }
    }

    /// Reads logs from this DB manager, whichever a call names.
    pub fn reading_from(mut self, db_manager: String) -> Self {
        self.db_manager = Some(db_manager);
        self
    }
}

#[tonic::async_trait]
impl EarlyStopping for EarlyStoppingService {
    /// Makes the rules for a trial that starts now, from what the others have reported.
    async fn get_early_stopping_rules(
        &self,
        request: Request<GetEarlyStoppingRulesRequest>,
    ) -> Result<Response<GetEarlyStoppingRulesReply>, Status> {
        let namespace = text(request.metadata(), NAMESPACE_KEY)?;
        let credentials = Credentials::of(request.metadata())?;
        let message = request.into_inner();
        let experiment = message.experiment.map(Experiment::from);
        let experiment =
            experiment.ok_or_else(|| Status::invalid_argument("experiment is missing"))?;
        if let Some(spec) = &experiment.spec.early_stopping {
            checked(spec).map_err(status)?;
        }
        let trials: Vec<Trial> = message.trials.into_iter().map(Trial::from).collect();
        let address = self.db_manager.as_ref();
        let address = address.unwrap_or(&message.db_manager_address);
        let open = || {
            let logs = Logs::new(address, namespace.as_deref(), TIMEOUT)?;
            // Who asks for rules learns what the logs hold: they are read in that caller's name.
            logs.with_bearer(credentials.bearer.as_deref())
        };
        let curves = curves(&experiment, &trials, open).await?;
        let rules = stopping_rules(&experiment, &curves).map_err(status)?;
        Ok(Response::new(GetEarlyStoppingRulesReply {
            early_stopping_rules: rules.fresh.iter().map(Into::into).collect(),
        }))
    }

    async fn set_trial_status(
        &self,
        request: Request<SetTrialStatusRequest>,
    ) -> Result<Response<SetTrialStatusReply>, Status> {
        let namespace = text(request.metadata(), NAMESPACE_KEY)?;
        let credentials = Credentials::of(request.metadata())?;
        let trial = request.into_inner().trial_name;
        if trial.is_empty() {
            return Err(Status::invalid_argument("trial_name is empty"));
        }
        let Some(trials) = &self.trials else {
            return Err(Status::failed_precondition(
                "this service has no access to trials; ask the one of `diwan up` or of the \
                 controller",
            ));
        };
        let stopped = trials.stop(namespace.as_deref(), &trial, &credentials);
        let stopped = stopped.await;
        stopped.map_err(|error| match error {
            StopError::NotFound(_) => Status::not_found(error.to_string()),
            StopError::Ambiguous(_) => Status::failed_precondition(error.to_string()),
            StopError::Unknown(_) => Status::unauthenticated(error.to_string()),
            StopError::Denied(_) => Status::permission_denied(error.to_string()),
            StopError::Failed(_) => Status::unavailable(error.to_string()),
        })?;
        Ok(Response::new(SetTrialStatusReply {}))
    }

    async fn validate_early_stopping_settings(
        &self,
        request: Request<ValidateEarlyStoppingSettingsRequest>,
    ) -> Result<Response<ValidateEarlyStoppingSettingsReply>, Status> {
        let spec = request.into_inner().early_stopping;
        let spec = spec.ok_or_else(|| Status::invalid_argument("early_stopping is missing"))?;
        checked(&spec.into()).map_err(status)?;
        Ok(Response::new(ValidateEarlyStoppingSettingsReply {}))
    }
}

/// Reads what the trials have reported from a DB manager.
async fn curves(
    experiment: &Experiment,
    trials: &[Trial],
    open: impl FnOnce() -> Result<Logs, LogsError>,
) -> Result<Curves, Status> {
    let Some(objective) = &experiment.spec.objective else {
        return Ok(Curves::default());
    };
    let named = |state: &str| -> Vec<&str> {
        let mut chosen: Vec<&Trial> = trials
            .iter()
            .filter(|t| t.status.as_ref().is_some_and(|s| s.is(state)))
            .collect();
        let started = |trial: &&Trial| trial.status.as_ref().and_then(|s| s.start_time.clone());
        chosen.sort_by_key(started);
        let from = chosen.len().saturating_sub(REMEMBERED);
        let names = chosen[from..].iter().map(|t| t.metadata.name.as_deref());
        names.map(Option::unwrap_or_default).collect()
    };
    let names = [
        named(state::SUCCEEDED),
        named(state::EARLY_STOPPED),
        named(state::RUNNING),
    ];
    if names.iter().all(Vec::is_empty) {
        return Ok(Curves::default());
    }
    let logs = open().map_err(log_status)?;
    let metric = &objective.objective_metric_name;
    let read = async |names: &[&str]| logs.curves(names, metric).await.map_err(log_status);
    Ok(Curves {
        succeeded: read(&names[0]).await?,
        stopped: read(&names[1]).await?,
        running: read(&names[2]).await?,
    })
}

fn log_status(error: LogsError) -> Status {
    match &error {
        LogsError::Address { .. } => Status::invalid_argument(error.to_string()),
        // The caller is the one that has to show more.
        LogsError::Call { status, .. }
            if matches!(
                status.code(),
                Code::Unauthenticated | Code::PermissionDenied
            ) =>
        {
            Status::new(status.code(), error.to_string())
        }
        LogsError::Call { .. } => Status::unavailable(error.to_string()),
    }
}
