//! The built-in algorithms as the gRPC service `api.v1.beta1.Suggestion`, and the server that it
//! shares with `api.v1.beta1.EarlyStopping`.

use std::future::Future;
use std::sync::Arc;

use diwan_api::Experiment;
use diwan_proto::SUGGESTION_HEALTH_SERVICE;
use diwan_proto::v1beta1::early_stopping_server::EarlyStoppingServer;
use diwan_proto::v1beta1::suggestion_server::Suggestion;
use diwan_proto::v1beta1::{
    GetSuggestionsReply, GetSuggestionsRequest, ValidateAlgorithmSettingsReply,
    ValidateAlgorithmSettingsRequest,
};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;

use crate::early_stopping::EarlyStoppingService;
use crate::encoded::{self, SuggestionsServer};
use crate::known::Known;
use crate::service::{self, SuggestionError};
use crate::wire;

/// Histories of tens of thousands of trials are tens of megabytes.
pub(crate) const MESSAGE_LIMIT: usize = i32::MAX as usize;

/// How much of a request may be on its way before the server has said that it read anything: a
/// history of thousands of trials, which would else come in small pieces, each waiting for word.
const WINDOW: u32 = 16 << 20;
/// How large the pieces of a request may be.
const FRAME: u32 = 1 << 20;

/// The service: all built-in algorithms, or one.
#[derive(Clone, Debug, Default)]
pub struct SuggestionService {
    only: Option<String>,
    known: Arc<Known>,
}

impl SuggestionService {
    /// Serves the algorithm of this name, or all.
    pub fn new(only: Option<String>) -> Self {
        Self {
            only,
            known: Arc::default(),
        }
    }

    /// The gRPC server of this service, to be mounted beside others.
    pub fn into_server(self) -> SuggestionsServer {
        SuggestionsServer::new(self)
    }

    /// Answers a request whose trials are not decoded.
    pub(crate) async fn suggest(
        &self,
        message: encoded::GetSuggestionsRequest,
    ) -> Result<GetSuggestionsReply, Status> {
        let (request, sources) = wire::request(message)
            .ok_or_else(|| Status::invalid_argument("experiment is missing"))?;
        self.check_name(&request.experiment)?;
        let name = algorithm_name(&request.experiment).to_owned();
        let known = self.known.clone();
        let reply = service::suggest_in_background(request, sources, known)
            .await
            .map_err(status)?;
        Ok(wire::reply_message(&name, reply))
    }

    fn check_name(&self, experiment: &Experiment) -> Result<(), Status> {
        let name = algorithm_name(experiment);
        if self.only.as_ref().is_some_and(|only| only != name) {
            return Err(Status::invalid_argument(format!(
                "unknown algorithm name {name}"
            )));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl Suggestion for SuggestionService {
    async fn get_suggestions(
        &self,
        request: Request<GetSuggestionsRequest>,
    ) -> Result<Response<GetSuggestionsReply>, Status> {
        let message = request.into_inner();
        let trials = message.trials.iter().map(prost::Message::encode_to_vec);
        let message = encoded::GetSuggestionsRequest {
            trials: trials.map(Into::into).collect(),
            experiment: message.experiment,
            current_request_number: message.current_request_number,
            total_request_number: message.total_request_number,
        };
        self.suggest(message).await.map(Response::new)
    }

    async fn validate_algorithm_settings(
        &self,
        request: Request<ValidateAlgorithmSettingsRequest>,
    ) -> Result<Response<ValidateAlgorithmSettingsReply>, Status> {
        let experiment = request.into_inner().experiment.map(Experiment::from);
        let experiment =
            experiment.ok_or_else(|| Status::invalid_argument("experiment is missing"))?;
        self.check_name(&experiment)?;
        service::validate(&experiment).map_err(status)?;
        Ok(Response::new(ValidateAlgorithmSettingsReply {}))
    }
}

/// What a server answers.
#[derive(Clone, Default)]
pub struct Services {
    /// Assignments.
    pub suggestion: SuggestionService,
    /// Rules under which trials are stopped.
    pub early_stopping: EarlyStoppingService,
}

impl From<SuggestionService> for Services {
    /// Early stopping without access to trials.
    fn from(suggestion: SuggestionService) -> Self {
        Self {
            suggestion,
            early_stopping: EarlyStoppingService::default(),
        }
    }
}

/// Serves on a listener until `shutdown` completes, with the health service that Katib's pod
/// probes ask.
pub async fn serve(
    listener: TcpListener,
    services: impl Into<Services>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let Services {
        suggestion,
        early_stopping,
    } = services.into();
    let early_stopping =
        EarlyStoppingServer::new(early_stopping).max_decoding_message_size(MESSAGE_LIMIT);
    let (mut reporter, health) = tonic_health::server::health_reporter();
    // Only the one name is known, as with Katib's services.
    reporter.clear_service_status("").await;
    reporter
        .set_service_status(SUGGESTION_HEALTH_SERVICE, ServingStatus::Serving)
        .await;
    // The builder's own switch does not reach connections that it does not accept by itself.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .add_service(health)
        .add_service(suggestion.into_server())
        .add_service(early_stopping)
        .serve_with_incoming_shutdown(incoming, shutdown)
        .await
}

fn algorithm_name(experiment: &Experiment) -> &str {
    experiment
        .spec
        .algorithm
        .as_ref()
        .map_or("", |a| &a.algorithm_name)
}

pub(crate) fn status(error: SuggestionError) -> Status {
    match error {
        SuggestionError::Invalid(text) => Status::invalid_argument(text),
        SuggestionError::Retry(text) => Status::unavailable(text),
        SuggestionError::Fatal(text) => Status::internal(text),
    }
}
