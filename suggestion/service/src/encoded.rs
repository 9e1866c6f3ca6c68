//! The gRPC server of `api.v1.beta1.Suggestion`. Unlike the generated one it leaves the trials of
//! a request encoded, most of which are known from the request before.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use diwan_proto::v1beta1 as proto;
use diwan_proto::v1beta1::suggestion_server::{SERVICE_NAME, SuggestionServer};
use prost::bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use crate::grpc::{MESSAGE_LIMIT, SuggestionService};

const GET_SUGGESTIONS: &str = "/api.v1.beta1.Suggestion/GetSuggestions";

/// `GetSuggestionsRequest` with its trials as they are on the wire.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetSuggestionsRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) experiment: Option<proto::Experiment>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) trials: Vec<Bytes>,
    #[prost(int32, tag = "4")]
    pub(crate) current_request_number: i32,
    #[prost(int32, tag = "5")]
    pub(crate) total_request_number: i32,
}

/// The server.
#[derive(Clone, Debug)]
pub struct SuggestionsServer {
    service: Arc<SuggestionService>,
    others: SuggestionServer<SuggestionService>,
}

impl SuggestionsServer {
    pub(crate) fn new(service: SuggestionService) -> Self {
        let service = Arc::new(service);
        let others = SuggestionServer::from_arc(service.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        Self { service, others }
    }
}

impl NamedService for SuggestionsServer {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<http::Request<Body>> for SuggestionsServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != GET_SUGGESTIONS {
            return self.others.call(request);
        }
        let method = GetSuggestions(self.service.clone());
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::default();
            let limit = Some(MESSAGE_LIMIT);
            let mut grpc = Grpc::new(codec).apply_max_message_size_config(limit, limit);
            Ok(grpc.unary(method, request).await)
        })
    }
}

struct GetSuggestions(Arc<SuggestionService>);

impl UnaryService<GetSuggestionsRequest> for GetSuggestions {
    type Response = proto::GetSuggestionsReply;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<GetSuggestionsRequest>) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            service
                .suggest(request.into_inner())
                .await
                .map(Response::new)
        })
    }
}
