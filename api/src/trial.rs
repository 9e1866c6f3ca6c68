//! Trial: one evaluation of one set of assignments.

use indexmap::IndexMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Condition, Conditions, EarlyStoppingRule, MetricsCollectorSpec, ObjectiveSpec, Observation,
    ParameterAssignment,
};

/// What is run, with which assignments, and how its end is recognised.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kubeflow.org",
    version = "v1beta1",
    kind = "Trial",
    namespaced,
    status = "TrialStatus",
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
pub struct TrialSpec {
    /// What is optimized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<ObjectiveSpec>,
    /// The parameters of this trial.
    pub parameter_assignments: Vec<ParameterAssignment>,
    /// Rules under which it is stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub early_stopping_rules: Vec<EarlyStoppingRule>,
    /// The object that runs the trial: the rendered template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub run_spec: Option<Map<String, Value>>,
    /// Whether that object stays when the trial is completed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retain_run: bool,
    /// How metrics are collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_collector: Option<MetricsCollectorSpec>,
    /// Labels by which the pod is known whose metrics are collected.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub primary_pod_labels: IndexMap<String, String>,
    /// The container whose metrics are collected.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub primary_container_name: String,
    /// GJSON path that finds something when the object has succeeded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub success_condition: String,
    /// GJSON path that finds something when the object has failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub failure_condition: String,
    /// Labels that came with the assignments, for the algorithm.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub labels: IndexMap<String, String>,
}

/// What was observed of a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrialStatus {
    /// When the trial was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the trial was completed; null until then.
    pub completion_time: Option<Time>,
    /// Kept for the wire; never set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconcile_time: Option<Time>,
    /// States, the latest change last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Its metrics, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observation: Option<Observation>,
}

/// Condition types of a Trial.
pub mod condition_type {
    /// The trial was seen.
    pub const CREATED: &str = "Created";
    /// Its object was made.
    pub const RUNNING: &str = "Running";
    /// Its object succeeded and the objective was observed.
    pub const SUCCEEDED: &str = "Succeeded";
    /// It was stopped by somebody.
    pub const KILLED: &str = "Killed";
    /// Its object failed.
    pub const FAILED: &str = "Failed";
    /// Its object succeeded but the objective was not observed.
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    /// It was stopped by a rule.
    pub const EARLY_STOPPED: &str = "EarlyStopped";
}

/// Condition reasons of a Trial.
pub mod condition_reason {
    /// With `Created`.
    pub const CREATED: &str = "TrialCreated";
    /// With `Running`.
    pub const RUNNING: &str = "TrialRunning";
    /// With `Succeeded`.
    pub const SUCCEEDED: &str = "TrialSucceeded";
    /// With `Killed`.
    pub const KILLED: &str = "TrialKilled";
    /// With `Failed`.
    pub const FAILED: &str = "TrialFailed";
    /// With `MetricsUnavailable`.
    pub const METRICS_UNAVAILABLE: &str = "MetricsUnavailable";
    /// With `EarlyStopped`.
    pub const EARLY_STOPPED: &str = "TrialEarlyStopped";
}

impl Conditions for TrialStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
    fn conditions_mut(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}

impl TrialStatus {
    /// Whether the trial has ended, in whichever way.
    pub fn is_completed(&self) -> bool {
        use condition_type::{EARLY_STOPPED, FAILED, KILLED, METRICS_UNAVAILABLE, SUCCEEDED};
        [
            SUCCEEDED,
            FAILED,
            KILLED,
            METRICS_UNAVAILABLE,
            EARLY_STOPPED,
        ]
        .iter()
        .any(|t| self.is(t))
    }
}
