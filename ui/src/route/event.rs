//! Routes of Kubernetes events.

use axum::extract::{Path, State};
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use crate::{
    App,
    error::{ApiError, ErrorBody},
    extract::Json,
    view::event::{EventList, rows},
};

/// Lists the events of an experiment.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/experiments/{name}/events",
    operation_id = "listExperimentEvents",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = EventList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn of_experiment(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<EventList>, ApiError> {
    let selector = format!("involvedObject.kind=Experiment,involvedObject.name={name}");
    list(app, &namespace, &selector).await
}

/// Lists the events of a trial and of the object that it runs, which has the same name.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/trials/{name}/events",
    operation_id = "listTrialEvents",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = EventList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn of_trial(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<EventList>, ApiError> {
    list(app, &namespace, &format!("involvedObject.name={name}")).await
}

async fn list(app: App, namespace: &str, selector: &str) -> Result<Json<EventList>, ApiError> {
    let api = Api::<Event>::namespaced(app.client, namespace);
    let events = api.list(&ListParams::default().fields(selector)).await?;
    Ok(Json(rows(&events.items)))
}
