//! A client of `DBManager` that reports what a trial measured, and tries again when the server is
//! away.

use std::error::Error as _;
use std::time::Duration;

use diwan_api::MetricLog;
use diwan_proto::v1beta1::{
    ObservationLog, ReportObservationLogRequest, db_manager_client::DbManagerClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use uuid::Uuid;

use crate::grpc::{BATCH_KEY, NAMESPACE_KEY, TOKEN_KEY};

/// How many rows one call carries at most.
const ROWS_PER_CALL: usize = 10_000;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a call may take; one that takes longer is made again.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The wait after the first failure; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why a report could not be delivered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address or the namespace can't be used.
    #[error("db manager {address:?}: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The token can't be sent.
    #[error("the token of the trial is not ascii")]
    Token,
    /// An id of a report can't be sent.
    #[error("the id {0:?} of a report is not ascii")]
    Batch(String),
    /// The server refused, or was away for too long.
    #[error("DB manager at {address}: {}", describe(status))]
    Call {
        /// Whom we asked.
        address: String,
        /// What came of it.
        status: Box<Status>,
    },
}

impl ClientError {
    /// Whether the same call may succeed later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Call { status, .. } if passing(status))
    }
}

/// Reports rows of trials of one namespace.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    inner: DbManagerClient<Channel>,
    namespace: Option<MetadataValue<Ascii>>,
    token: Option<MetadataValue<Ascii>>,
    patience: Duration,
}

impl Client {
    /// Names a server (`host:port` or a URL) without connecting yet. Calls are tried again for
    /// `patience` while the server is away.
    pub fn new(
        address: &str,
        namespace: Option<&str>,
        patience: Duration,
    ) -> Result<Self, ClientError> {
        let channel = channel(address)?;
        let namespace = namespace.map(str::parse).transpose();
        let namespace = namespace.map_err(|_| ClientError::Address {
            address: address.to_owned(),
            reason: "the namespace is not ascii".to_owned(),
        })?;
        let inner = DbManagerClient::new(channel);
        Ok(Self {
            address: address.to_owned(),
            inner,
            namespace,
            token: None,
            patience,
        })
    }

    /// Sends the token of the trial with each call; see [`crate::grpc::TrialGuard`].
    pub fn with_token(mut self, token: &str) -> Result<Self, ClientError> {
        let mut token: MetadataValue<Ascii> = token.parse().map_err(|_| ClientError::Token)?;
        token.set_sensitive(true);
        self.token = Some(token);
        Ok(self)
    }

    /// Reports rows. Each call carries an id, so a call that is tried again is stored once.
    pub async fn report(&self, trial: &str, rows: Vec<MetricLog>) -> Result<(), ClientError> {
        let batch = Uuid::now_v7().to_string();
        self.report_as(trial, &batch, rows).await
    }

    /// Reports rows under an id of the caller's. The same rows under the same id are stored once,
    /// also when another process reports them again.
    pub async fn report_as(
        &self,
        trial: &str,
        batch: &str,
        rows: Vec<MetricLog>,
    ) -> Result<(), ClientError> {
        let mut rows = rows.into_iter().map(Into::into).peekable();
        for part in 0.. {
            if rows.peek().is_none() {
                break;
            }
            let metric_logs = rows.by_ref().take(ROWS_PER_CALL).collect();
            let message = ReportObservationLogRequest {
                trial_name: trial.to_owned(),
                observation_log: Some(ObservationLog { metric_logs }),
            };
            self.deliver(&format!("{batch}/{part}"), message).await?;
        }
        Ok(())
    }

    async fn deliver(
        &self,
        batch: &str,
        message: ReportObservationLogRequest,
    ) -> Result<(), ClientError> {
        let batch: MetadataValue<Ascii> = batch
            .parse()
            .map_err(|_| ClientError::Batch(batch.to_owned()))?;
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut wait = FIRST_WAIT;
        loop {
            let mut request = Request::new(message.clone());
            request.metadata_mut().insert(BATCH_KEY, batch.clone());
            if let Some(namespace) = &self.namespace {
                request
                    .metadata_mut()
                    .insert(NAMESPACE_KEY, namespace.clone());
            }
            if let Some(token) = &self.token {
                request.metadata_mut().insert(TOKEN_KEY, token.clone());
            }
            let Err(status) = self.inner.clone().report_observation_log(request).await else {
                return Ok(());
            };
            if !passing(&status) || tokio::time::Instant::now() + wait > deadline {
                return Err(ClientError::Call {
                    address: self.address.clone(),
                    status: Box::new(status),
                });
            }
            tracing::debug!(trial.name = message.trial_name, %status, "the report is tried again");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// A way to a server (`host:port` or a URL), which is not connected to yet.
pub(crate) fn channel(address: &str) -> Result<Channel, ClientError> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let endpoint = Endpoint::from_shared(url).map_err(|error| ClientError::Address {
        address: address.to_owned(),
        reason: error.to_string(),
    })?;
    // A server whose machine is gone says nothing at all.
    let endpoint = endpoint
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .tcp_nodelay(true);
    Ok(endpoint.connect_lazy())
}

/// What a status says, and what it comes from: a name that does not resolve, a refused connection.
fn describe(status: &Status) -> String {
    let mut said = status.message().to_owned();
    let mut source = status.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Some say what those below them say.
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        source = cause.source();
    }
    said
}

/// Whether the same call may succeed later.
fn passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
    )
}
