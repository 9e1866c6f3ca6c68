//! Whether the process lives, and whether it can be asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use diwan_controller::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What is known of the state.
#[derive(Debug, Default)]
pub(super) struct Health {
    ready: AtomicBool,
}

impl Health {
    /// The API server knows the webhooks.
    pub(super) fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }
}

/// Answers `/healthz` and `/readyz` until `stop`; and `/metrics`.
pub(super) async fn serve(
    listener: TcpListener,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .with_state(health)
        .merge(crate::metrics::router(metrics));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = served.await {
        tracing::error!("health ended: {error}");
    }
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    if health.ready.load(Ordering::Acquire) {
        (StatusCode::OK, "ok")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the API server does not know the webhooks yet",
        )
    }
}
