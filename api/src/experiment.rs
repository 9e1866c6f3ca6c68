//! Experiment: one optimization run: search space, objective, algorithm and budget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AlgorithmSpec, Condition, Conditions, EarlyStoppingSpec, MetricsCollectorSpec, NasConfig,
    ObjectiveSpec, Observation, ParameterAssignment, ParameterSpec, TrialTemplate,
};

/// What the user wants to be tuned, and how.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kubeflow.org",
    version = "v1beta1",
    kind = "Experiment",
    namespaced,
    status = "ExperimentStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "kubeflow",
    category = "katib",
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".status.conditions[-1:].type"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[-1:].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentSpec {
    /// The parameters to tune; exactly one of `parameters` and `nasConfig` is given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// What is optimized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveSpec>,
    /// Which algorithm searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<AlgorithmSpec>,
    /// Which algorithm stops trials that are not worth finishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingSpec>,
    /// From what each trial is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_template: Option<TrialTemplate>,
    /// How many trials may run at a time. Default 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_trial_count: Option<i32>,
    /// After how many completed trials the experiment has succeeded. Unlimited when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_trial_count: Option<i32>,
    /// At how many failed trials the experiment fails. Unlimited when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failed_trial_count: Option<i32>,
    /// How metrics get from a trial to the observation log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_collector_spec: Option<MetricsCollectorSpec>,
    /// The space of a neural architecture search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nas_config: Option<NasConfig>,
    /// What stays when the experiment is completed, and so whether it can be restarted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_policy: Option<ResumePolicy>,
}

/// What stays when an experiment is completed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResumePolicy {
    /// Nothing: a completed experiment can't be restarted.
    #[default]
    Never,
    /// The suggestion service keeps running; raising `maxTrialCount` restarts the experiment.
    LongRunning,
    /// The suggestion's volume stays; raising `maxTrialCount` restarts the experiment.
    FromVolume,
    /// Anything else, kept so that validation can name it.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(ResumePolicy, ["Never", "LongRunning", "FromVolume"]);

/// What was observed of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExperimentStatus {
    /// When the experiment was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the experiment was completed; null until then.
    pub completion_time: Option<Time>,
    /// Kept for the wire; never set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconcile_time: Option<Time>,
    /// States, the latest change last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The best trial so far.
    pub current_optimal_trial: OptimalTrial,
    /// Names of running trials. Each list is complete up to 1,000 names and then holds the newest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running_trial_list: Vec<String>,
    /// Names of trials that don't run yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending_trial_list: Vec<String>,
    /// Names of failed trials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_trial_list: Vec<String>,
    /// Names of succeeded trials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub succeeded_trial_list: Vec<String>,
    /// Names of killed trials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub killed_trial_list: Vec<String>,
    /// Names of early-stopped trials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub early_stopped_trial_list: Vec<String>,
    /// Names of trials that ended without the objective metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics_unavailable_trial_list: Vec<String>,
    /// How many trials there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials: i32,
    /// How many trials succeeded.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_succeeded: i32,
    /// How many trials failed.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_failed: i32,
    /// How many trials were killed.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_killed: i32,
    /// How many trials don't run yet.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_pending: i32,
    /// How many trials run.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_running: i32,
    /// How many trials were stopped early.
    #[serde(skip_serializing_if = "is_zero")]
    pub trials_early_stopped: i32,
    /// How many trials ended without the objective metric.
    #[serde(skip_serializing_if = "is_zero")]
    pub trial_metrics_unavailable: i32,
}

/// The best trial of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OptimalTrial {
    /// Name of the trial.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub best_trial_name: String,
    /// Its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameter_assignments: Vec<ParameterAssignment>,
    /// Its metrics.
    pub observation: Observation,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// Condition types of an Experiment.
pub mod condition_type {
    /// The experiment was seen.
    pub const CREATED: &str = "Created";
    /// Trials are made and run.
    pub const RUNNING: &str = "Running";
    /// A completed experiment got a larger budget.
    pub const RESTARTING: &str = "Restarting";
    /// The goal or the budget was reached.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Too many trials failed, or the search did.
    pub const FAILED: &str = "Failed";
}

/// Condition reasons of an Experiment.
pub mod condition_reason {
    /// With `Created`.
    pub const CREATED: &str = "ExperimentCreated";
    /// With `Running`.
    pub const RUNNING: &str = "ExperimentRunning";
    /// With `Restarting`.
    pub const RESTARTING: &str = "ExperimentRestarting";
    /// With `Succeeded`: the objective's goal was reached.
    pub const GOAL_REACHED: &str = "ExperimentGoalReached";
    /// With `Succeeded`: `maxTrialCount` trials are completed.
    pub const MAX_TRIALS_REACHED: &str = "ExperimentMaxTrialsReached";
    /// With `Succeeded`: the search space is exhausted.
    pub const SUGGESTION_END_REACHED: &str = "ExperimentSuggestionEndReached";
    /// With `Failed`.
    pub const FAILED: &str = "ExperimentFailed";
}

impl Conditions for ExperimentStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
    fn conditions_mut(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

impl ExperimentStatus {
    /// Whether the experiment has succeeded or failed.
    pub fn is_completed(&self) -> bool {
        self.is(condition_type::SUCCEEDED) || self.is(condition_type::FAILED)
    }
}
