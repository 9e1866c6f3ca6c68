//! Routes of Katib's page that scripts may know, at their own addresses and in their own form.

use axum::extract::State;
use diwan_api::{Conditions as _, MetricLog, metadata::LABEL_EXPERIMENT, trial::condition_type};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde::{Deserialize, Serialize};

use crate::{
    App,
    access::{Action, Caller},
    error::ApiError,
    extract::{Json, Query},
    view::{
        architecture::{of_cells, of_layers},
        trial::{ListedTrial, resource},
    },
};

/// Which experiment is meant.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExperimentQuery {
    experiment_name: String,
    namespace: String,
}

/// The network of one trial.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Network {
    name: String,
    trial_name: String,
    /// In the language of Graphviz; empty where the trial has none.
    architecture: String,
    metrics_name: Vec<String>,
    metrics_value: Vec<String>,
}

/// Returns the networks of an experiment's trials that have succeeded.
pub(crate) async fn networks(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ExperimentQuery>,
) -> Result<Json<Vec<Network>>, ApiError> {
    let ExperimentQuery {
        experiment_name,
        namespace,
    } = query;
    caller
        .check(Action::get_experiment(&namespace, &experiment_name))
        .await?;
    caller.check(Action::list_trials(&namespace)).await?;
    let api = Api::<ListedTrial>::namespaced_with(app.client, &namespace, &resource());
    let selector = format!("{LABEL_EXPERIMENT}={experiment_name}");
    let mut trials = api
        .list(&ListParams::default().labels(&selector))
        .await?
        .items;
    trials.sort_by_key(|trial| (trial.creation_timestamp(), trial.name_any()));
    let mut networks = Vec::new();
    for (place, trial) in trials.iter().enumerate() {
        let status = trial.status.as_ref();
        if !status.is_some_and(|status| status.is(condition_type::SUCCEEDED)) {
            continue;
        }
        let name = trial.name_any();
        let log = app.observations.series(&namespace, &name, &[]).await?;
        networks.push(network(place, trial, &log));
    }
    Ok(Json(networks))
}

fn network(place: usize, trial: &ListedTrial, log: &[MetricLog]) -> Network {
    let assignment = |name: &str| {
        let mut assignments = trial.spec.parameter_assignments.iter();
        assignments
            .find(|a| a.name == name)
            .map(|a| a.value.as_str())
    };
    let layers = assignment("architecture").zip(assignment("nn_config"));
    let layers = layers.and_then(|(architecture, config)| of_layers(architecture, config));
    let cells = || log.iter().rev().find_map(|row| of_cells(&row.value));
    Network {
        name: format!("Generation {place}"),
        trial_name: trial.name_any(),
        architecture: layers.or_else(cells).unwrap_or_default(),
        metrics_name: log.iter().map(|row| row.name.clone()).collect(),
        metrics_value: log.iter().map(|row| row.value.clone()).collect(),
    }
}
