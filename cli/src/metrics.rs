//! What Prometheus reads, over HTTP.

mod process;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use diwan_controller::{Metrics, metrics};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the controllers count, and what this process uses.
pub(crate) fn of_this_process() -> Arc<Metrics> {
    Arc::new(Metrics::new(vec![Box::new(process::Usage)]))
}

/// Answers `/metrics`.
pub(crate) fn router(metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/metrics", get(text))
        .with_state(metrics)
}

/// Answers `/metrics` until `stop`.
pub(crate) async fn serve(listener: TcpListener, metrics: Arc<Metrics>, stop: CancellationToken) {
    let served = axum::serve(listener, router(metrics));
    if let Err(error) = served.with_graceful_shutdown(stop.cancelled_owned()).await {
        tracing::error!("metrics ended: {error}");
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
