//! `grpc.health.v1.Health`, answered by the database itself: each check asks it.

use std::{pin::Pin, sync::Arc};

use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use crate::store::ObservationStore;

/// The names that mean this server: none, what Katib's probes send, and the service's own.
const SERVICES: [&str; 3] = ["", "grpc.health.v1.Health", "api.v1.beta1.DBManager"];

pub(super) fn service(store: Arc<dyn ObservationStore>) -> HealthServer<impl Health> {
    HealthServer::new(StoreHealth { store })
}

struct StoreHealth {
    store: Arc<dyn ObservationStore>,
}

#[tonic::async_trait]
impl Health for StoreHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !SERVICES.contains(&service.as_str()) {
            return Err(Status::not_found(format!("service {service:?} is unknown")));
        }
        let status = match self.store.health().await {
            Ok(()) => ServingStatus::Serving,
            Err(error) => {
                tracing::warn!(%error, "the observation log does not answer");
                ServingStatus::NotServing
            }
        };
        Ok(Response::new(HealthCheckResponse {
            status: status.into(),
        }))
    }

    /// Not offered, which the protocol allows: health is that of the moment a client asks.
    async fn watch(
        &self,
        _request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("health can be checked, not watched"))
    }
}
