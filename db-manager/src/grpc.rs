//! `api.v1.beta1.DBManager` over any store: the door that trials, SDKs and collectors knock on.
//!
//! Beside it answer `grpc.health.v1.Health` and server reflection (v1 and v1alpha), as Katib's
//! DB manager does.

mod health;

use std::{future::Future, io, sync::Arc};

use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_proto::metadata::text;
pub use diwan_proto::metadata::{BATCH_KEY, NAMESPACE_KEY, TOKEN_KEY};
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
    async fn namespaces(&self, trial: &str) -> Vec<String>;
}

/// What a call wants of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To add to its log.
    Report,
    /// To read its log.
    Read,
    /// To forget its log.
    Delete,
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It sent no token, and needs one.
    TokenMissing,
    /// Its token is not the trial's.
    TokenWrong,
}

/// Decides whether a call may act for a trial, by the token that it sends.
#[async_trait]
pub trait TrialGuard: Send + Sync + 'static {
    /// Checks a call. The namespace is empty where neither the call nor the directory names one.
    async fn check(
        &self,
        trial: &TrialRef,
        access: Access,
        token: Option<&str>,
    ) -> Result<(), Denied>;
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
        let trial = self.named(metadata, name).await?;
        if let Some(guard) = &self.context.guard {
            let token = text(metadata, TOKEN_KEY)?;
            let checked = guard.check(&trial, access, token.as_deref()).await;
            checked.map_err(|denied| match denied {
                Denied::TokenMissing => Status::unauthenticated(format!(
                    "trial {:?}: send its token as metadata {TOKEN_KEY}",
                    trial.name
                )),
                Denied::TokenWrong => Status::permission_denied(format!(
                    "trial {:?}: the token in metadata {TOKEN_KEY} is not the trial's",
                    trial.name
                )),
            })?;
        }
        Ok(trial)
    }

    async fn named(&self, metadata: &MetadataMap, name: String) -> Result<TrialRef, Status> {
        if name.is_empty() {
            return Err(Status::invalid_argument("trial_name is empty"));
        }
        if let Some(namespace) = text(metadata, NAMESPACE_KEY)? {
            return Ok(TrialRef { namespace, name });
        }
        let mut namespaces = match &self.context.directory {
            Some(directory) => directory.namespaces(&name).await,
            None => Vec::new(),
        };
        if namespaces.len() > 1 {
            return Err(status(StoreError::Ambiguous { name, namespaces }));
        }
        Ok(TrialRef {
            namespace: namespaces.pop().unwrap_or_default(),
            name,
        })
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
