//! Routes of experiments.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use diwan_api::{Experiment, metadata::LABEL_EXPERIMENT};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    access::{Action, Caller},
    error::{ApiError, ErrorBody},
    extract::{Json, Query},
    view::{
        curve::{Curve, best_so_far},
        experiment::{ExperimentDetail, ExperimentList, ExperimentSummary},
        metric::TrialMetricList,
        trial::{ListedTrial, TrialList, TrialRow, resource},
    },
};

/// Which experiments are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Scope {
    /// Their namespace; all that the caller may see when absent or empty.
    #[serde(default)]
    namespace: String,
}

/// Which metric of the trials is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MetricQuery {
    /// Its name; the objective when absent.
    metric: Option<String>,
    /// How many points a curve may have, 4 to 2000; without curves when 0.
    #[serde(default = "default_points")]
    points: usize,
}

fn default_points() -> usize {
    200
}

/// A curve needs as many points for its ends and extremes.
const LEAST_POINTS: usize = 4;
/// More points than a screen has columns help nobody.
const MOST_POINTS: usize = 2000;

/// How an experiment is created.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct Creation {
    /// The namespace when the object names none; `default` when absent.
    namespace: Option<String>,
    /// Whether the object is only checked.
    #[serde(default)]
    dry_run: bool,
}

/// The name of an experiment that was created.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Created {
    /// Its namespace.
    namespace: String,
    /// Its name.
    name: String,
}

/// The parts of a budget that are changed; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BudgetEdit {
    /// How many trials may run at a time.
    parallel_trials: Option<i32>,
    /// After how many completed trials the experiment has succeeded.
    max_trials: Option<i32>,
    /// At how many failed trials the experiment fails.
    max_failed_trials: Option<i32>,
}

/// Lists experiments, newest first.
#[utoipa::path(
    get,
    path = "/experiments",
    operation_id = "listExperiments",
    params(Scope),
    responses(
        (status = 200, body = ExperimentList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(scope): Query<Scope>,
) -> Result<Json<ExperimentList>, ApiError> {
    let experiments = if scope.namespace.is_empty() {
        let all = Api::<Experiment>::all(app.client);
        seen(&caller, all.list(&ListParams::default()).await?.items).await?
    } else {
        caller
            .check(Action::list_experiments(&scope.namespace))
            .await?;
        let api = Api::<Experiment>::namespaced(app.client, &scope.namespace);
        api.list(&ListParams::default()).await?.items
    };
    let mut items = experiments
        .iter()
        .map(ExperimentSummary::from)
        .collect::<Vec<_>>();
    items.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
    Ok(Json(ExperimentList { items }))
}

/// Leaves out what the caller may not see.
async fn seen(
    caller: &Caller,
    mut experiments: Vec<Experiment>,
) -> Result<Vec<Experiment>, ApiError> {
    let namespaces = experiments.iter().filter_map(ResourceExt::namespace);
    let seen = caller.seen(namespaces.collect()).await?;
    experiments.retain(|experiment| {
        let namespace = experiment.metadata.namespace.as_ref();
        namespace.is_some_and(|namespace| seen.contains(namespace))
    });
    Ok(experiments)
}

/// Creates an experiment from its YAML or JSON, or checks it.
#[utoipa::path(
    post,
    path = "/experiments",
    operation_id = "createExperiment",
    params(Creation),
    request_body(content = String, content_type = "application/yaml"),
    responses(
        (status = 200, description = "nothing is wrong with it (dry run)", body = Created),
        (status = 201, body = Created),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Query(creation): Query<Creation>,
    text: String,
) -> Result<(StatusCode, Json<Created>), ApiError> {
    let object = parse(&text)?;
    let namespace = object.metadata.namespace.clone().or(creation.namespace);
    let namespace = namespace
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "default".into());
    let name = object.metadata.name.clone().unwrap_or_default();
    caller
        .check(Action::create_experiment(&namespace, &name))
        .await?;
    let api = Api::<DynamicObject>::namespaced_with(app.client, &namespace, &kind());
    let params = PostParams {
        dry_run: creation.dry_run,
        ..PostParams::default()
    };
    let created = api.create(&params, &object).await?;
    let code = if creation.dry_run {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let name = created.metadata.name.unwrap_or_default();
    Ok((code, Json(Created { namespace, name })))
}

/// Reads the text of one Experiment without losing fields that this version does not know.
fn parse(text: &str) -> Result<DynamicObject, ApiError> {
    let value = serde_saphyr::from_str::<Value>(text)
        .map_err(|error| ApiError::BadRequest(format!("not one YAML or JSON document: {error}")))?;
    let wanted = (diwan_api::GROUP, diwan_api::VERSION);
    let found = value["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'));
    if found != Some(wanted) || value["kind"] != "Experiment" {
        return Err(ApiError::BadRequest(format!(
            "not an Experiment: apiVersion has to be {}/{} and kind Experiment",
            wanted.0, wanted.1
        )));
    }
    serde_json::from_value(value)
        .map_err(|error| ApiError::BadRequest(format!("not a Kubernetes object: {error}")))
}

fn kind() -> ApiResource {
    ApiResource::erase::<Experiment>(&())
}

/// Returns one experiment.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/experiments/{name}",
    operation_id = "getExperiment",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = ExperimentDetail),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<ExperimentDetail>, ApiError> {
    let experiment = read(&app, &namespace, &name).await?;
    let detail = ExperimentDetail::try_from(&experiment).map_err(kube::Error::SerdeError)?;
    Ok(Json(detail))
}

/// Deletes an experiment and its trials.
#[utoipa::path(
    delete,
    path = "/namespaces/{namespace}/experiments/{name}",
    operation_id = "deleteExperiment",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 202, description = "it is being deleted"),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let api = Api::<DynamicObject>::namespaced_with(app.client, &namespace, &kind());
    api.delete(&name, &DeleteParams::background()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Changes how many trials an experiment may make.
#[utoipa::path(
    patch,
    path = "/namespaces/{namespace}/experiments/{name}/budget",
    operation_id = "editBudget",
    params(("namespace" = String, Path), ("name" = String, Path)),
    request_body = BudgetEdit,
    responses(
        (status = 200, body = ExperimentSummary),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn edit_budget(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    Json(edit): Json<BudgetEdit>,
) -> Result<Json<ExperimentSummary>, ApiError> {
    let counts = [
        ("parallelTrialCount", edit.parallel_trials),
        ("maxTrialCount", edit.max_trials),
        ("maxFailedTrialCount", edit.max_failed_trials),
    ];
    let given = counts
        .into_iter()
        .filter_map(|(field, count)| Some((field.into(), count?.into())));
    let patch = json!({ "spec": Value::Object(given.collect()) });
    let api = Api::<Experiment>::namespaced(app.client, &namespace);
    let edited = api
        .patch(&name, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    Ok(Json(ExperimentSummary::from(&edited)))
}

/// Lists the trials of an experiment, oldest first.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/experiments/{name}/trials",
    operation_id = "listTrials",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = TrialList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn trials(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<TrialList>, ApiError> {
    Ok(Json(TrialList {
        items: rows(&app, &namespace, &name).await?,
    }))
}

/// Returns the best-so-far curve of an experiment.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/experiments/{name}/curve",
    operation_id = "getCurve",
    params(("namespace" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, body = Curve),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn curve(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Curve>, ApiError> {
    let experiment = read(&app, &namespace, &name).await?;
    let objective = experiment.spec.objective.as_ref();
    let trials = rows(&app, &namespace, &name).await?;
    Ok(Json(best_so_far(
        &trials,
        objective.and_then(|objective| objective.type_.as_ref()),
    )))
}

/// Returns what one metric of all trials amounts to so far, with their curves.
#[utoipa::path(
    get,
    path = "/namespaces/{namespace}/experiments/{name}/metrics",
    operation_id = "getTrialMetrics",
    params(("namespace" = String, Path), ("name" = String, Path), MetricQuery),
    responses(
        (status = 200, body = TrialMetricList),
        (status = "default", body = ErrorBody),
    )
)]
pub(crate) async fn metrics(
    State(app): State<App>,
    Path((namespace, name)): Path<(String, String)>,
    Query(query): Query<MetricQuery>,
) -> Result<Json<TrialMetricList>, ApiError> {
    let experiment = read(&app, &namespace, &name).await?;
    let objective = experiment.spec.objective.unwrap_or_default();
    let metric = query.metric.unwrap_or(objective.objective_metric_name);
    let rows = rows(&app, &namespace, &name).await?;
    let trials: Vec<String> = rows.into_iter().map(|row| row.name).collect();
    let points = match query.points {
        0 => 0,
        points => points.clamp(LEAST_POINTS, MOST_POINTS),
    };
    let log = &app.observations;
    let items = log.overview(&namespace, &trials, &metric, points).await?;
    Ok(Json(TrialMetricList {
        metric,
        items: items.into_iter().map(Into::into).collect(),
    }))
}

async fn read(app: &App, namespace: &str, name: &str) -> Result<Experiment, kube::Error> {
    Api::<Experiment>::namespaced(app.client.clone(), namespace)
        .get(name)
        .await
}

async fn rows(app: &App, namespace: &str, experiment: &str) -> Result<Vec<TrialRow>, kube::Error> {
    let api = Api::<ListedTrial>::namespaced_with(app.client.clone(), namespace, &resource());
    let selector = format!("{LABEL_EXPERIMENT}={experiment}");
    let trials = api.list(&ListParams::default().labels(&selector)).await?;
    let mut rows = trials.iter().map(TrialRow::from).collect::<Vec<_>>();
    rows.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.name.cmp(&b.name)));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_experiment_is_taken() {
        for (text, what) in [
            (
                "{apiVersion: v1, kind: Pod, metadata: {name: a}}",
                "not an Experiment",
            ),
            (
                "{apiVersion: kubeflow.org/v1beta1, kind: Trial}",
                "not an Experiment",
            ),
            ("a: [", "not one YAML or JSON document"),
            ("[]", "not an Experiment"),
            (
                "{apiVersion: kubeflow.org/v1beta1, kind: Experiment, metadata: 1}",
                "not a Kub",
            ),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(what), "{text}: {error}");
        }
    }

    #[test]
    fn unknown_fields_reach_the_api() {
        let text = "{apiVersion: kubeflow.org/v1beta1, kind: Experiment, spec: {later: 1}}";
        assert_eq!(parse(text).expect("an experiment").data["spec"]["later"], 1);
    }
}
