//! Routes of trials.

use axum::extract::{Path, State};
use diwan_api::Trial;
use kube::Api;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    error::{ApiError, ErrorBody},
    extract::{Json, Query},
    view::{
        metric::{MetricSeries, series},
        trial::TrialDetail,
    },
};

/// How much of a metric curve is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CurveQuery {
    /// How many points a curve may have; at least 4.
    #[serde(default = "default_points")]
    points: usize,
}

fn default_points() -> usize {
    500
}

/// The metric curves of a trial.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MetricList {
    /// One series for each metric, in order of first appearance.
    items: Vec<MetricSeries>,
}

/// Returns one trial.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/trials/{name}",
    operation_id = "getTrial",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = TrialDetail),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<TrialDetail>, ApiError> {
    let trial = Api::<Trial>::namespaced(app.client, &namespace)
        .get(&name)
        .await?;
    Ok(Json(TrialDetail::from(&trial)))
}

/// Returns the metric curves of a trial, from what it has reported so far.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/trials/{name}/metrics",
    operation_id = "getMetrics",
    params(("namespace" = String, Path), ("name" = String, Path), CurveQuery),
    responses(
        (status = 200, body = MetricList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn metrics(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    Query(query): Query<CurveQuery>,
) -> Result<Json<MetricList>, ApiError> {
    let rows = app.observations.series(&namespace, &name, &[]).await?;
    Ok(Json(MetricList {
        items: series(&rows, query.points.max(4)),
    }))
}
