//! What trials have reported, asked of a DB manager.

use std::time::Duration;

use diwan_algorithms::Curve;
use diwan_proto::metadata::NAMESPACE_KEY;
use diwan_proto::v1beta1::GetObservationLogRequest;
use diwan_proto::v1beta1::db_manager_client::DbManagerClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::grpc::MESSAGE_LIMIT;

/// Why logs can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    /// The address can't be used.
    #[error("db_manager_address {address:?}: {reason}")]
    Address { address: String, reason: String },
    /// The DB manager doesn't answer.
    #[error("DB manager at {address}, trial {trial}: {}", .status.message())]
    Call {
        address: String,
        trial: String,
        status: Box<Status>,
    },
}

/// A reader of observation logs.
pub(crate) struct Logs {
    address: String,
    client: DbManagerClient<Channel>,
    namespace: Option<MetadataValue<Ascii>>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Logs {
    pub(crate) fn new(
        address: &str,
        namespace: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, LogsError> {
        let refused = |reason: &dyn ToString| LogsError::Address {
            address: address.to_owned(),
            reason: reason.to_string(),
        };
        if address.is_empty() {
            return Err(refused(&"write host:port"));
        }
        let uri = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(uri).map_err(|error| refused(&error))?;
        let channel = endpoint
            .connect_timeout(timeout)
            .timeout(timeout)
            .tcp_nodelay(true)
            .connect_lazy();
        let namespace = namespace.map(str::parse).transpose();
        Ok(Self {
            address: address.to_owned(),
            client: DbManagerClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT),
            namespace: namespace.map_err(|_| refused(&"the namespace is not ascii"))?,
            authorization: None,
        })
    }

    /// Reads in the name of the account that has this token.
    pub(crate) fn with_bearer(mut self, token: Option<&str>) -> Result<Self, LogsError> {
        let value = token.map(|token| format!("Bearer {token}").parse());
        let value = value.transpose().map_err(|_| LogsError::Address {
            address: self.address.clone(),
            reason: "the token of the caller is not ascii".to_owned(),
        })?;
        self.authorization = value;
        Ok(self)
    }

    /// Reads the values of a metric, oldest first, of each trial; NaN where one is no number.
    pub(crate) async fn curves(
        &self,
        trials: &[&str],
        metric: &str,
    ) -> Result<Vec<Curve>, LogsError> {
        let mut curves = Vec::with_capacity(trials.len());
        for trial in trials {
            curves.push(self.curve(trial, metric).await?);
        }
        Ok(curves)
    }

    async fn curve(&self, trial: &str, metric: &str) -> Result<Curve, LogsError> {
        let mut request = Request::new(GetObservationLogRequest {
            trial_name: trial.to_owned(),
            metric_name: metric.to_owned(),
            ..GetObservationLogRequest::default()
        });
        if let Some(namespace) = &self.namespace {
            let metadata = request.metadata_mut();
            metadata.insert(NAMESPACE_KEY, namespace.clone());
        }
        if let Some(authorization) = &self.authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization.clone());
        }
        let reply = self.client.clone().get_observation_log(request).await;
        let reply = reply.map_err(|status| LogsError::Call {
            address: self.address.clone(),
            trial: trial.to_owned(),
            status: Box::new(status),
        })?;
        let log = reply.into_inner().observation_log.unwrap_or_default();
        let values = log.metric_logs.into_iter().filter_map(|row| row.metric);
        let numbers = values
            .filter(|row| row.name == metric)
            .map(|row| row.value.trim().parse().unwrap_or(f64::NAN));
        Ok(numbers.collect())
    }
}
