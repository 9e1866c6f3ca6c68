//! The OpenAPI description of the REST interface.

use axum::{Json, Router, routing::get};
use utoipa::{
    OpenApi as _,
    openapi::{OpenApi, Paths},
};

use crate::{API_BASE, error::ErrorBody, view::live::LiveBatch};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Diwan",
        description = "Experiments, trials, metrics and logs for the web page and for scripts. \
                       Objects are created, changed and watched in full through the Kubernetes \
                       API; this interface holds what a page shows of them."
    ),
    components(schemas(ErrorBody, LiveBatch))
)]
struct Description;

/// Adds the title and the paths' prefix to the description that was collected from the routes.
pub(crate) fn complete(routes: OpenApi) -> OpenApi {
    let mut description = Description::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut description.info.version);
    description.info.license = None;
    let mut paths = Paths::new();
    for (path, item) in routes.paths.paths {
        paths.paths.insert(format!("{API_BASE}{path}"), item);
    }
    description.paths = paths;
    let components = description.components.get_or_insert_with(Default::default);
    components
        .schemas
        .extend(routes.components.into_iter().flat_map(|c| c.schemas));
    description
}

/// Serves the description.
pub(crate) fn router(description: OpenApi) -> Router {
    Router::new().route("/ui/api/openapi.json", get(async move || Json(description)))
}
