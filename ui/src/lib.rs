//! What a browser sees of Diwan: a REST interface with live events under [`API_BASE`] and the web
//! page under [`BASE`]; and one address of Katib's own, which asks for architectures.
//!
//! Objects are read and written through the Kubernetes API alone, and metrics through the port
//! [`ObservationReader`]; the crate keeps no state of its own beyond one watch per kind while a
//! page is open. Who calls is known to what stands in front of the router; what they may see is
//! asked through the port [`Reviewer`], before any route is reached.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    response::Response,
    routing::{any, get},
};
use tower_http::compression::CompressionLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

mod access;
mod error;
mod extract;
mod live;
mod log_archive;
mod observation;
mod openapi;
mod page;
mod route;
mod view;

pub use access::{AccessControl, Action, ReviewError, Reviewer};
pub use log_archive::LogArchive;
pub use observation::{ObservationError, ObservationReader, TrialMetric};

use crate::live::Live;

/// Where the web page lives; every path of this crate but Katib's starts with it.
pub const BASE: &str = "/ui/";

/// Where the REST interface lives.
pub const API_BASE: &str = "/ui/api/v1";

/// Where scripts ask Katib for the networks of an architecture search.
const NETWORKS: &str = "/katib/fetch_nas_job_info/";

/// What the routes need from outside.
#[derive(Clone)]
pub struct UiState {
    /// The Kubernetes API in which experiments live.
    pub client: kube::Client,
    /// The observation log.
    pub observations: Arc<dyn ObservationReader>,
    /// The logs of trials whose pods are gone, where they are kept.
    pub logs: Option<Arc<dyn LogArchive>>,
    /// Who may see what; everybody everything without it.
    pub access: Option<AccessControl>,
}

/// What the routes share.
#[derive(Clone)]
struct App {
    client: kube::Client,
    observations: Arc<dyn ObservationReader>,
    logs: Option<Arc<dyn LogArchive>>,
    live: Arc<Live>,
}

/// Returns the routes below [`BASE`]: the page, the REST interface and its OpenAPI description.
///
/// Event streams stay open until the browser leaves; a graceful shutdown has to bound its wait.
pub fn router(state: UiState) -> Router {
    let live = Arc::new(Live::new(state.client.clone()));
    let UiState {
        client,
        observations,
        logs,
        access,
    } = state;
    let app = App {
        client,
        observations,
        logs,
        live,
    };
    let (api, description) = api_router().split_for_parts();
    let guard = middleware::from_fn_with_state(access.clone(), access::guard);
    let identify = middleware::from_fn_with_state(access, access::identify);
    Router::new()
        .route(NETWORKS, get(route::katib::networks))
        .route_layer(identify)
        .with_state(app.clone())
        .nest(API_BASE, api.route_layer(guard).with_state(app))
        .route("/ui/api/{*path}", any(error::unknown_address))
        .merge(openapi::router(openapi::complete(description)))
        .layer(middleware::map_response(api_headers))
        .merge(page::router())
        .layer(CompressionLayer::new())
}

/// Adds the headers of every answer that is no page: it is not to be kept.
async fn api_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Returns the OpenAPI description of the REST interface, as `/ui/api/openapi.json` serves it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    openapi::complete(api_router().split_for_parts().1)
}

fn api_router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(route::namespace::list))
        .routes(routes!(route::experiment::list, route::experiment::create))
        .routes(routes!(route::experiment::get, route::experiment::delete))
        .routes(routes!(route::experiment::edit_budget))
        .routes(routes!(route::experiment::trials))
        .routes(routes!(route::experiment::curve))
        .routes(routes!(route::experiment::metrics))
        .routes(routes!(route::event::of_experiment))
        .routes(routes!(route::trial::get))
        .routes(routes!(route::trial::metrics))
        .routes(routes!(route::event::of_trial))
        .routes(routes!(route::log::get))
        .routes(routes!(route::live::events))
}
