//! An algorithm that somebody else serves over gRPC.

use std::error::Error;
use std::time::Duration;

use diwan_api::{EarlyStoppingRule, Experiment};
use diwan_proto::SUGGESTION_HEALTH_SERVICE;
use diwan_proto::metadata::NAMESPACE_KEY;
use diwan_proto::v1beta1::early_stopping_client::EarlyStoppingClient;
use diwan_proto::v1beta1::suggestion_client::SuggestionClient;
use diwan_proto::v1beta1::{GetEarlyStoppingRulesRequest, ValidateAlgorithmSettingsRequest};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::early_stoppers::RulesRequest;
use crate::grpc::MESSAGE_LIMIT;
use crate::service::{SuggestReply, SuggestRequest, SuggestionError};
use crate::wire;

/// What a service is called in messages.
const SUGGESTION: &str = "suggestion";

/// How often validation is tried while the service can't be reached.
const ATTEMPTS: u32 = 10;
/// The pauses between tries begin here and double.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A client of one service.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    address: String,
    channel: Channel,
    timeout: Duration,
}

impl Remote {
    /// For a service at `host:port` or a URI. Connects when it is first asked, and again whenever
    /// the connection is lost.
    pub(crate) fn new(address: &str, timeout: Duration) -> Result<Self, SuggestionError> {
        let uri = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint = Endpoint::from_shared(uri).map_err(|e| {
            SuggestionError::Invalid(format!("suggestion endpoint {address} is not valid: {e}"))
        })?;
        let channel = endpoint
            .connect_timeout(timeout)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Self {
            address: address.to_owned(),
            channel,
            timeout,
        })
    }

    /// The same service, with another time for each answer.
    pub(crate) fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A message that is answered in time or not at all.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    fn client(&self) -> SuggestionClient<Channel> {
        SuggestionClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT)
    }

    /// Asks whether the service takes the experiment. One that doesn't implement the question
    /// takes everything. While it can't be reached the question is repeated.
    pub(crate) async fn validate(&self, experiment: &Experiment) -> Result<(), SuggestionError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let message = ValidateAlgorithmSettingsRequest {
                experiment: Some(experiment.into()),
            };
            let message = self.request(message);
            let Err(status) = self.client().validate_algorithm_settings(message).await else {
                return Ok(());
            };
            if status.code() == Code::Unavailable && attempt < ATTEMPTS {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                attempt += 1;
                continue;
            }
            return self.validation_result(status);
        }
    }

    fn validation_result(&self, status: Status) -> Result<(), SuggestionError> {
        match status.code() {
            Code::Ok | Code::Unimplemented => Ok(()),
            // An exception in a Python service arrives as Unknown.
            Code::InvalidArgument | Code::Unknown if !is_transport(&status) => {
                Err(SuggestionError::Invalid(status.message().to_owned()))
            }
            _ => Err(self.retry(SUGGESTION, &status)),
        }
    }

    /// Asks for assignments. Fewer than were asked for are accepted.
    pub(crate) async fn suggest(
        &self,
        request: &SuggestRequest,
    ) -> Result<SuggestReply, SuggestionError> {
        let message = self.request(wire::request_message(request));
        let message = match self.client().get_suggestions(message).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Err(self.suggest_error(&status)),
        };
        let mut reply = wire::reply(message);
        if reply.assignments.len() > request.count {
            let given = reply.assignments.len();
            tracing::warn!(
                endpoint = self.address,
                "service gave {given} assignments, {} were asked for; the rest is dropped",
                request.count
            );
            reply.assignments.truncate(request.count);
        }
        Ok(reply)
    }

    /// Asks an early stopping service for the rules that hold now.
    pub(crate) async fn stopping_rules(
        &self,
        request: &RulesRequest,
    ) -> Result<Vec<EarlyStoppingRule>, SuggestionError> {
        let mut message = self.request(GetEarlyStoppingRulesRequest {
            experiment: Some((&*request.experiment).into()),
            trials: request
                .trials
                .iter()
                .map(|trial| (&**trial).into())
                .collect(),
            db_manager_address: request.db_manager.clone(),
        });
        let namespace = request.experiment.metadata.namespace.as_deref();
        if let Some(namespace) = namespace.and_then(|namespace| namespace.parse().ok()) {
            message.metadata_mut().insert(NAMESPACE_KEY, namespace);
        }
        let mut client = EarlyStoppingClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        match client.get_early_stopping_rules(message).await {
            Ok(reply) => {
                let rules = reply.into_inner().early_stopping_rules;
                Ok(rules.into_iter().map(Into::into).collect())
            }
            Err(status) if status.code() == Code::InvalidArgument => {
                Err(SuggestionError::Invalid(status.message().to_owned()))
            }
            Err(status) => Err(self.retry("early stopping", &status)),
        }
    }

    fn suggest_error(&self, status: &Status) -> SuggestionError {
        match status.code() {
            Code::InvalidArgument => SuggestionError::Invalid(status.message().to_owned()),
            Code::Unimplemented => SuggestionError::Fatal(format!(
                "suggestion service at {} does not implement GetSuggestions",
                self.address
            )),
            _ => self.retry(SUGGESTION, status),
        }
    }

    fn retry(&self, what: &str, status: &Status) -> SuggestionError {
        let cause = status
            .source()
            .and_then(Error::source)
            .map(|e| format!(": {e}"));
        SuggestionError::Retry(format!(
            "{what} service at {} failed with {:?}: {}{}",
            self.address,
            status.code(),
            status.message(),
            cause.unwrap_or_default()
        ))
    }

    /// Whether the service answers and says that it serves, if it says anything about that.
    pub(crate) async fn is_ready(&self) -> bool {
        let mut client = HealthClient::new(self.channel.clone());
        let service = SUGGESTION_HEALTH_SERVICE.to_owned();
        let check = client.check(HealthCheckRequest { service });
        match tokio::time::timeout(self.timeout, check).await {
            Ok(Ok(reply)) => reply.into_inner().status == ServingStatus::Serving as i32,
            Ok(Err(status)) => matches!(status.code(), Code::Unimplemented | Code::NotFound),
            Err(_) => false,
        }
    }
}

/// Whether the error arose on the way instead of in the service.
fn is_transport(status: &Status) -> bool {
    status
        .source()
        .is_some_and(<dyn Error>::is::<tonic::transport::Error>)
}
