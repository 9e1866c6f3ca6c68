//! Experiments as the page shows them.

use diwan_api::{
    Condition, Experiment, ExperimentSpec, ExperimentStatus, ObjectiveSpec, ObjectiveType,
    experiment::condition_type,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    condition::{self, ConditionView},
    metric::{self, MetricValue},
    trial::Parameter,
};

/// The state of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) enum ExperimentState {
    /// It was accepted.
    Created,
    /// Trials are made and run.
    Running,
    /// It got a larger budget after it was completed.
    Restarting,
    /// The goal or the budget was reached.
    Succeeded,
    /// Too many trials failed, or the search did.
    Failed,
}

/// One row of the list of experiments.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExperimentSummary {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ExperimentState,
    /// Why it is in that state, in one word.
    pub reason: String,
    /// Why it is in that state, in a sentence.
    pub message: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When it was completed.
    pub completed: Option<Timestamp>,
    /// What it optimizes.
    pub objective: Objective,
    /// Name of the algorithm.
    pub algorithm: String,
    /// Name of the early stopping algorithm; empty when there is none.
    pub early_stopping: String,
    /// How many trials it may make.
    pub budget: Budget,
    /// How many trials there are, by state.
    pub counts: TrialCounts,
    /// The best trial so far.
    pub best: Option<BestTrial>,
}

/// What an experiment optimizes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Objective {
    /// Name of the metric.
    pub metric: String,
    /// Whether larger is better; smaller is better otherwise.
    pub maximize: bool,
    /// The value at which the experiment has succeeded.
    pub goal: Option<f64>,
    /// Metrics collected beside it.
    pub additional_metrics: Vec<String>,
}

/// How many trials an experiment may make; null means without limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Budget {
    /// How many trials may run at a time.
    pub parallel_trials: Option<i32>,
    /// After how many completed trials the experiment has succeeded.
    pub max_trials: Option<i32>,
    /// At how many failed trials the experiment fails.
    pub max_failed_trials: Option<i32>,
}

/// How many trials there are, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrialCounts {
    /// In all.
    pub total: i32,
    /// That wait.
    pub pending: i32,
    /// That run.
    pub running: i32,
    /// That succeeded.
    pub succeeded: i32,
    /// That failed.
    pub failed: i32,
    /// That were stopped by somebody.
    pub killed: i32,
    /// That were stopped by a rule.
    pub early_stopped: i32,
    /// That ended without the objective metric.
    pub metrics_unavailable: i32,
}

/// The best trial so far.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct BestTrial {
    /// Name of the trial.
    pub trial: String,
    /// Its objective.
    pub value: Option<f64>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// All its metrics.
    pub metrics: Vec<MetricValue>,
}

/// All experiments, or those of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ExperimentList {
    /// The experiments, newest first.
    pub items: Vec<ExperimentSummary>,
}

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ExperimentDetail {
    /// The row that lists show.
    pub summary: ExperimentSummary,
    /// Its conditions, the latest change last.
    pub conditions: Vec<ConditionView>,
    /// Its spec, as the Kubernetes API has it.
    #[schema(value_type = Object)]
    pub spec: Value,
}

impl From<&Experiment> for ExperimentSummary {
    fn from(experiment: &Experiment) -> Self {
        let Experiment {
            metadata,
            spec,
            status,
        } = experiment;
        let absent = ExperimentStatus::default();
        let status = status.as_ref().unwrap_or(&absent);
        let condition = condition::current(&status.conditions);
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            state: condition.map_or(ExperimentState::Created, state),
            reason: condition.map(|c| c.reason.clone()).unwrap_or_default(),
            message: condition.map(|c| c.message.clone()).unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            created: metadata.creation_timestamp.as_ref().map(|time| time.0),
            completed: status.completion_time.as_ref().map(|time| time.0),
            objective: spec
                .objective
                .as_ref()
                .map(Objective::from)
                .unwrap_or_default(),
            algorithm: algorithm_name(spec.algorithm.as_ref()),
            early_stopping: algorithm_name(spec.early_stopping.as_ref()),
            budget: Budget::from(spec),
            counts: TrialCounts::from(status),
            best: best(spec, status),
        }
    }
}

impl TryFrom<&Experiment> for ExperimentDetail {
    type Error = serde_json::Error;

    fn try_from(experiment: &Experiment) -> Result<Self, Self::Error> {
        let conditions = experiment
            .status
            .iter()
            .flat_map(|status| &status.conditions);
        Ok(Self {
            summary: ExperimentSummary::from(experiment),
            conditions: conditions.map(ConditionView::from).collect(),
            spec: serde_json::to_value(&experiment.spec)?,
        })
    }
}

impl From<&ObjectiveSpec> for Objective {
    fn from(spec: &ObjectiveSpec) -> Self {
        Self {
            metric: spec.objective_metric_name.clone(),
            maximize: spec.type_ == Some(ObjectiveType::Maximize),
            goal: spec.goal,
            additional_metrics: spec.additional_metric_names.clone(),
        }
    }
}

impl From<&ExperimentSpec> for Budget {
    fn from(spec: &ExperimentSpec) -> Self {
        Self {
            parallel_trials: spec.parallel_trial_count,
            max_trials: spec.max_trial_count,
            max_failed_trials: spec.max_failed_trial_count,
        }
    }
}

impl From<&ExperimentStatus> for TrialCounts {
    fn from(status: &ExperimentStatus) -> Self {
        Self {
            total: status.trials,
            pending: status.trials_pending,
            running: status.trials_running,
            succeeded: status.trials_succeeded,
            failed: status.trials_failed,
            killed: status.trials_killed,
            early_stopped: status.trials_early_stopped,
            metrics_unavailable: status.trial_metrics_unavailable,
        }
    }
}

fn algorithm_name(spec: Option<&diwan_api::AlgorithmSpec>) -> String {
    spec.map(|spec| spec.algorithm_name.clone())
        .unwrap_or_default()
}

fn best(spec: &ExperimentSpec, status: &ExperimentStatus) -> Option<BestTrial> {
    let optimal = &status.current_optimal_trial;
    let objective = spec.objective.as_ref()?;
    if optimal.best_trial_name.is_empty() {
        return None;
    }
    let metrics = metric::values(&optimal.observation, objective);
    let value = metrics
        .iter()
        .find(|metric| metric.name == objective.objective_metric_name);
    Some(BestTrial {
        trial: optimal.best_trial_name.clone(),
        value: value.and_then(|metric| metric.value),
        parameters: optimal
            .parameter_assignments
            .iter()
            .map(Parameter::from)
            .collect(),
        metrics,
    })
}

fn state(condition: &Condition) -> ExperimentState {
    match condition.type_.as_str() {
        condition_type::RUNNING => ExperimentState::Running,
        condition_type::RESTARTING => ExperimentState::Restarting,
        condition_type::SUCCEEDED => ExperimentState::Succeeded,
        condition_type::FAILED => ExperimentState::Failed,
        _ => ExperimentState::Created,
    }
}
