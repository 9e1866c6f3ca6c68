//! `api.v1.beta1.DBManager` over any store: the door that trials, SDKs and collectors knock on.
//!
//! Beside it answer `grpc.health.v1.Health` and server reflection (v1 and v1alpha), as Katib's
//! DB manager does.

mod health;

use std::{future::Future, io, sync::Arc};

use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_proto::metadata::text;
pub use diwan_proto::metadata::{BATCH_KEY, Credentials, NAMESPACE_KEY, TOKEN_KEY};
use diwan_proto::v1beta1::{
    DeleteObservationLogReply, DeleteObservationLogRequest, GetObservationLogReply,
    GetObservationLogRequest, ObservationLog, ReportObservationLogReply,
    ReportObservationLogRequest,
    db_manager_server::{DbManager, DbManagerServer},
};
use futures::StreamExt as _;
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, server::TcpIncoming},
};

use crate::store::{Delivery, LogQuery, ObservationStore, Report, StoreError, TrialRef};

/// Knows which trials there are, for calls that name no namespace.
#[async_trait]
pub trait TrialDirectory: Send + Sync + 'static {
    /// Returns the namespaces that have a trial of this name.
    ///
    /// # Errors
    /// When that can't be found out now.
    async fn namespaces(&self, trial: &str) -> Result<Vec<String>, LookupError>;
}

/// It can't be found out which trials there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the trial can't be looked up: {0}")]
pub struct LookupError(pub String);

/// What a call wants of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To add to its log.
    Report,
    /// To read its log.
    Read,
    /// To forget its log.
    Delete,
    /// To mark it as stopped early.
    Stop,
}

/// Why a call is refused. The texts name no namespace: who is refused is not told where a trial is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It shows nobody's token that we know; the text says what to send.
    #[error("{0}")]
    Unknown(String),
    /// Whose token it shows may not do that.
    #[error("{0}")]
    Forbidden(String),
    /// Whether it may can't be found out now.
    #[error("{0}")]
    Undecided(String),
}

/// Decides whether a call may act for a trial, by what it sends to show who makes it.
#[async_trait]
pub trait TrialGuard: Send + Sync + 'static {
    /// Checks a call. The namespace is empty where neither the call nor the directory names one.
    async fn check(
        &self,
        trial: &TrialRef,
        access: Access,
        credentials: &Credentials,
    ) -> Result<(), Denied>;
}

/// Of the trials that a call may mean, keeps those for which it may act.
///
/// # Errors
/// It may act for none of them.
pub async fn admitted(
    guard: &dyn TrialGuard,
    trials: Vec<TrialRef>,
    access: Access,
    credentials: &Credentials,
) -> Result<Vec<TrialRef>, Denied> {
    let mut admitted = Vec::new();
    let mut refusal = None;
    for trial in trials {
        match guard.check(&trial, access, credentials).await {
            Ok(()) => admitted.push(trial),
            Err(denied) => refusal = refusal.or(Some(denied)),
        }
    }
    match refusal {
        Some(denied) if admitted.is_empty() => Err(denied),
        _ => Ok(admitted),
    }
}

/// Who knows the trials.
#[derive(Clone, Default)]
pub struct Context {
    /// Finds the namespace of calls that send none. Without it, such a trial is looked up in the
    /// log alone.
    pub directory: Option<Arc<dyn TrialDirectory>>,
    /// Checks calls. Without it, all are let through.
    pub guard: Option<Arc<dyn TrialGuard>>,
}

/// Serves without checking calls; see [`serve_with`].
pub async fn serve(
    listener: TcpListener,
    store: Arc<dyn ObservationStore>,
    directory: Option<Arc<dyn TrialDirectory>>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let guard = None;
    serve_with(listener, store, Context { directory, guard }, shutdown).await
}

/// Serves until `shutdown` is ready and the calls in flight are answered.
pub async fn serve_with(
    listener: TcpListener,
    store: Arc<dyn ObservationStore>,
    context: Context,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(diwan_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Katib's clients send and read logs of any size.
    let manager = DbManagerServer::new(Service {
        store: Arc::clone(&store),
        context,
    })
    .max_decoding_message_size(usize::MAX)
    .max_encoding_message_size(usize::MAX);
    Server::builder()
        .add_service(manager)
        .add_service(health::service(store))
        .add_service(reflection().build_v1().map_err(io::Error::other)?)
        .add_service(reflection().build_v1alpha().map_err(io::Error::other)?)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            shutdown,
        )
        .await
        .map_err(io::Error::other)
}

struct Service {
    store: Arc<dyn ObservationStore>,
    context: Context,
}

impl Service {
    /// Returns the trial that a call means, if the caller may act for it.
    async fn trial(
        &self,
        metadata: &MetadataMap,
        name: String,
        access: Access,
    ) -> Result<TrialRef, Status> {
        let mut trials = self.named(metadata, &name).await?;
        if let Some(guard) = &self.context.guard {
            let credentials = Credentials::of(metadata)?;
            let admitted = admitted(guard.as_ref(), trials, access, &credentials).await;
            trials = admitted.map_err(|denied| refused(&name, &denied))?;
        }
        let namespaces = || trials.iter().map(|trial| trial.namespace.clone()).collect();
        match trials.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(status(StoreError::Ambiguous {
                namespaces: namespaces(),
                name,
            })),
        }
    }

    /// Returns the trials that a call may mean: one at least.
    async fn named(&self, metadata: &MetadataMap, name: &str) -> Result<Vec<TrialRef>, Status> {
        if name.is_empty() {
            return Err(Status::invalid_argument("trial_name is empty"));
        }
        let mut namespaces = match (text(metadata, NAMESPACE_KEY)?, &self.context.directory) {
            (Some(namespace), _) => vec![namespace],
            (None, Some(directory)) => directory
                .namespaces(name)
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?,
            (None, None) => Vec::new(),
        };
        if namespaces.is_empty() {
            namespaces.push(String::new());
        }
        let trial = |namespace| TrialRef::new(namespace, name);
        Ok(namespaces.into_iter().map(trial).collect())
    }
}

fn refused(trial: &str, denied: &Denied) -> Status {
    let message = format!("trial {trial:?}: {denied}");
    match denied {
        Denied::Unknown(_) => Status::unauthenticated(message),
        Denied::Forbidden(_) => Status::permission_denied(message),
        Denied::Undecided(_) => Status::unavailable(message),
    }
}

#[tonic::async_trait]
impl DbManager for Service {
    async fn report_observation_log(
        &self,
        request: Request<ReportObservationLogRequest>,
    ) -> Result<Response<ReportObservationLogReply>, Status> {
        let (metadata, _, message) = request.into_parts();
        let batch = text(&metadata, BATCH_KEY)?;
        let report = Report {
            trial: self
                .trial(&metadata, message.trial_name, Access::Report)
                .await?,
            rows: rows(message.observation_log.unwrap_or_default())?,
            delivery: batch.map_or(Delivery::Plain, Delivery::Batch),
        };
        self.store.report(report).await.map_err(status)?;
        Ok(Response::new(ReportObservationLogReply {}))
    }

    async fn get_observation_log(
        &self,
        request: Request<GetObservationLogRequest>,
    ) -> Result<Response<GetObservationLogReply>, Status> {
        let (metadata, _, message) = request.into_parts();
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let query = LogQuery {
            trial: self
                .trial(&metadata, message.trial_name, Access::Read)
                .await?,
            metric: given(message.metric_name),
            start: given(message.start_time),
            end: given(message.end_time),
        };
        // One message holds all rows, as the contract has it; it is all that is held.
        let mut pages = self.store.stream(query).await.map_err(status)?;
        let mut metric_logs = Vec::new();
        while let Some(page) = pages.next().await {
            metric_logs.extend(page.map_err(status)?.into_iter().map(Into::into));
        }
        let observation_log = Some(ObservationLog { metric_logs });
        Ok(Response::new(GetObservationLogReply { observation_log }))
    }

    async fn delete_observation_log(
        &self,
        request: Request<DeleteObservationLogRequest>,
    ) -> Result<Response<DeleteObservationLogReply>, Status> {
        let (metadata, _, message) = request.into_parts();
        let trial = self
            .trial(&metadata, message.trial_name, Access::Delete)
            .await?;
        self.store.delete(&trial).await.map_err(status)?;
        Ok(Response::new(DeleteObservationLogReply {}))
    }
}

fn rows(log: ObservationLog) -> Result<Vec<MetricLog>, Status> {
    let entries = log.metric_logs.into_iter().enumerate();
    let rows = entries.map(|(index, entry)| {
        let row = MetricLog::try_from(entry);
        row.map_err(|error| Status::invalid_argument(format!("entry {index}: {error}")))
    });
    rows.collect()
}

fn status(error: StoreError) -> Status {
    let message = match &error {
        StoreError::Ambiguous { .. } => format!("{error} as metadata {NAMESPACE_KEY}"),
        _ => error.to_string(),
    };
    match error {
        StoreError::Row { .. } | StoreError::Bound { .. } | StoreError::Refused(_) => {
            Status::invalid_argument(message)
        }
        StoreError::Ambiguous { .. }
        | StoreError::Gap { .. }
        | StoreError::Schema(_)
        | StoreError::Newer { .. } => Status::failed_precondition(message),
        StoreError::Database(_) | StoreError::Closed => Status::unavailable(message),
    }
}
