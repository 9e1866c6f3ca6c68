//! Trials as the page shows them.

use diwan_api::{
    Condition, ObjectiveSpec, ParameterAssignment, TrialStatus, metadata::LABEL_EXPERIMENT,
    trial::condition_type,
};
use jiff::Timestamp;
use kube::{
    api::{ApiResource, ObjectMeta},
    core::Object,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    condition::{self, ConditionView},
    metric::{self, MetricValue},
};

/// A Trial without the object that it runs, which is most of its bytes.
pub(crate) type ListedTrial = Object<ListedTrialSpec, TrialStatus>;

/// What lists need of a trial's spec.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ListedTrialSpec {
    /// What is optimized.
    pub objective: Option<ObjectiveSpec>,
    /// The parameters of this trial.
    pub parameter_assignments: Vec<ParameterAssignment>,
}

/// Returns how the Kubernetes API calls trials.
pub(crate) fn resource() -> ApiResource {
    ApiResource::erase::<diwan_api::Trial>(&())
}

/// The state of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum TrialState {
    /// It waits.
    Pending,
    /// It runs.
    Running,
    /// It ended and the objective was observed.
    Succeeded,
    /// It failed.
    Failed,
    /// It was stopped by somebody.
    Killed,
    /// It was stopped by a rule.
    EarlyStopped,
    /// It ended but the objective was not observed.
    MetricsUnavailable,
}

/// One row of the table of trials.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrialRow {
    /// Name of the trial.
    pub name: String,
    /// State of the trial.
    pub state: TrialState,
    /// Why it is in that state, in one word.
    pub reason: String,
    /// Why it is in that state, in a sentence; of a failed trial, what went wrong.
    pub message: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The objective's value; null when it is not observed or not a finite number.
    pub objective: Option<f64>,
    /// All metrics, the objective first.
    pub metrics: Vec<MetricValue>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was first seen by its controller.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub completed: Option<Timestamp>,
}

/// One parameter with its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Parameter {
    /// Name of the parameter.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrialDetail {
    /// Its namespace.
    pub namespace: String,
    /// The experiment it belongs to; empty when it belongs to none.
    pub experiment: String,
    /// Name of the objective metric.
    pub objective_metric: String,
    /// The row that lists show.
    pub row: TrialRow,
    /// Its conditions, the latest change last.
    pub conditions: Vec<ConditionView>,
    /// The container whose output its log is.
    pub container: String,
    /// The object that it runs.
    #[schema(value_type = Object)]
    pub run_spec: Option<Map<String, Value>>,
}

/// All trials of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TrialList {
    /// The trials, oldest first.
    pub items: Vec<TrialRow>,
}

/// Returns the experiment that a trial belongs to.
pub(crate) fn experiment_of(meta: &ObjectMeta) -> Option<&str> {
    meta.labels
        .as_ref()?
        .get(LABEL_EXPERIMENT)
        .map(String::as_str)
}

impl From<&ParameterAssignment> for Parameter {
    fn from(assignment: &ParameterAssignment) -> Self {
        Self {
            name: assignment.name.clone(),
            value: assignment.value.clone(),
        }
    }
}

impl From<&ListedTrial> for TrialRow {
    fn from(trial: &ListedTrial) -> Self {
        let ListedTrialSpec {
            objective,
            parameter_assignments,
        } = &trial.spec;
        row(
            &trial.metadata,
            objective.as_ref(),
            parameter_assignments,
            trial.status.as_ref(),
        )
    }
}

impl From<&diwan_api::Trial> for TrialDetail {
    fn from(trial: &diwan_api::Trial) -> Self {
        let spec = &trial.spec;
        let objective = spec.objective.as_ref();
        let conditions = trial.status.iter().flat_map(|status| &status.conditions);
        Self {
            namespace: trial.metadata.namespace.clone().unwrap_or_default(),
            experiment: experiment_of(&trial.metadata)
                .unwrap_or_default()
                .to_owned(),
            objective_metric: objective
                .map(|objective| objective.objective_metric_name.clone())
                .unwrap_or_default(),
            row: row(
                &trial.metadata,
                objective,
                &spec.parameter_assignments,
                trial.status.as_ref(),
            ),
            conditions: conditions.map(ConditionView::from).collect(),
            container: spec.primary_container_name.clone(),
            run_spec: spec.run_spec.clone(),
        }
    }
}

fn row(
    meta: &ObjectMeta,
    objective: Option<&ObjectiveSpec>,
    assignments: &[ParameterAssignment],
    status: Option<&TrialStatus>,
) -> TrialRow {
    let condition = status.and_then(|status| condition::current(&status.conditions));
    let metrics = objective.zip(status.and_then(|status| status.observation.as_ref()));
    let metrics = metrics.map_or_else(Vec::new, |(spec, seen)| metric::values(seen, spec));
    let objective_metric = objective.map(|objective| objective.objective_metric_name.as_str());
    let objective = metrics
        .iter()
        .find(|metric| Some(metric.name.as_str()) == objective_metric);
    TrialRow {
        name: meta.name.clone().unwrap_or_default(),
        state: condition.map_or(TrialState::Pending, state),
        reason: condition.map(|c| c.reason.clone()).unwrap_or_default(),
        message: condition.map(|c| c.message.clone()).unwrap_or_default(),
        parameters: assignments.iter().map(Parameter::from).collect(),
        objective: objective.and_then(|metric| metric.value),
        metrics,
        created: meta.creation_timestamp.as_ref().map(|time| time.0),
        started: status
            .and_then(|status| status.start_time.as_ref())
            .map(|time| time.0),
        completed: status
            .and_then(|status| status.completion_time.as_ref())
            .map(|time| time.0),
    }
}

fn state(condition: &Condition) -> TrialState {
    match condition.type_.as_str() {
        condition_type::RUNNING => TrialState::Running,
        condition_type::SUCCEEDED => TrialState::Succeeded,
        condition_type::FAILED => TrialState::Failed,
        condition_type::KILLED => TrialState::Killed,
        condition_type::EARLY_STOPPED => TrialState::EarlyStopped,
        condition_type::METRICS_UNAVAILABLE => TrialState::MetricsUnavailable,
        _ => TrialState::Pending,
    }
}
