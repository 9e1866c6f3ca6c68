//! Suggestion: the record of how many assignments were asked for, and which were given.

use indexmap::IndexMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AlgorithmSetting, AlgorithmSpec, Condition, Conditions, EarlyStoppingSpec, ParameterAssignment,
    ResumePolicy,
};

/// What an experiment asks of its algorithm.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "kubeflow.org",
    version = "v1beta1",
    kind = "Suggestion",
    namespaced,
    status = "SuggestionStatus",
    derive = "Default",
    derive = "PartialEq",
    category = "all",
    category = "kubeflow",
    category = "katib",
    printcolumn = r#"{"name":"Type","type":"string","jsonPath":".status.conditions[-1:].type"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[-1:].status"}"#,
    printcolumn = r#"{"name":"Requested","type":"string","jsonPath":".spec.requests"}"#,
    printcolumn = r#"{"name":"Assigned","type":"string","jsonPath":".status.suggestionCount"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct SuggestionSpec {
    /// Which algorithm searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<AlgorithmSpec>,
    /// Which algorithm stops trials that are not worth finishing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingSpec>,
    /// How many assignments are wanted in all.
    pub requests: i32,
    /// What stays when the experiment is completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_policy: Option<ResumePolicy>,
}

/// What the algorithm gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SuggestionStatus {
    /// Settings that the algorithm returned, to be sent back to it with the next request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithm_settings: Vec<AlgorithmSetting>,
    /// How many assignments were given in all.
    #[serde(skip_serializing_if = "is_zero")]
    pub suggestion_count: i32,
    /// The newest assignments, oldest first: all that have no trial yet, and some that have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<TrialAssignment>,
    /// When the suggestion was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the suggestion was completed; null until then.
    pub completion_time: Option<Time>,
    /// Kept for the wire; never set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconcile_time: Option<Time>,
    /// States, the latest change last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl SuggestionStatus {
    /// How many assignments were given in all.
    pub fn given(&self) -> usize {
        // A status of upstream's may lack the count.
        let counted = usize::try_from(self.suggestion_count).unwrap_or_default();
        counted.max(self.suggestions.len())
    }

    /// The place of the first listed assignment among all that were given: earlier ones are known
    /// by their trials alone.
    pub fn first_place(&self) -> usize {
        self.given() - self.suggestions.len()
    }
}

/// A named set of assignments for one future trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrialAssignment {
    /// Name of the trial to be made.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameter_assignments: Vec<ParameterAssignment>,
    /// Rules under which it is stopped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub early_stopping_rules: Vec<EarlyStoppingRule>,
    /// Labels that it gets.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub labels: IndexMap<String, String>,
}

/// A rule under which a trial is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EarlyStoppingRule {
    /// Name of the metric.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Value it is compared with.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// How it is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// From which report on.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_step: i32,
}

/// How a metric is compared with a rule's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// The rule is met when the metric is equal.
    Equal,
    /// The rule is met when the metric is less.
    Less,
    /// The rule is met when the metric is greater.
    Greater,
    /// Anything else.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(Comparison, ["equal", "less", "greater"]);

impl Comparison {
    /// Whether a metric's value meets a rule with this bound. What is no number meets none.
    #[allow(clippy::float_cmp)] // the rule says equal
    pub fn holds(&self, value: f64, bound: f64) -> bool {
        match self {
            Self::Equal => value == bound,
            Self::Less => value < bound,
            Self::Greater => value > bound,
            Self::Other(_) => false,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// Condition types of a Suggestion.
pub mod condition_type {
    /// The suggestion was seen.
    pub const CREATED: &str = "Created";
    /// The service can be reached.
    pub const DEPLOYMENT_READY: &str = "DeploymentReady";
    /// The settings are valid and assignments are given.
    pub const RUNNING: &str = "Running";
    /// The experiment needs no more assignments.
    pub const SUCCEEDED: &str = "Succeeded";
    /// The settings are invalid or the algorithm failed.
    pub const FAILED: &str = "Failed";
    /// Ours: the search space is exhausted, no further assignment will come.
    pub const EXHAUSTED: &str = "Exhausted";
}

/// Condition reasons of a Suggestion.
pub mod condition_reason {
    /// With `Created`.
    pub const CREATED: &str = "SuggestionCreated";
    /// With `DeploymentReady` True.
    pub const DEPLOYMENT_READY: &str = "DeploymentReady";
    /// With `DeploymentReady` False.
    pub const DEPLOYMENT_NOT_READY: &str = "DeploymentNotReady";
    /// With `Running`.
    pub const RUNNING: &str = "SuggestionRunning";
    /// With `Succeeded`.
    pub const SUCCEEDED: &str = "SuggestionSucceeded";
    /// With `Failed`.
    pub const FAILED: &str = "SuggestionFailed";
    /// With `Exhausted`.
    pub const EXHAUSTED: &str = "SearchSpaceExhausted";
}

impl Conditions for SuggestionStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
    fn conditions_mut(&mut self) -> &mut Vec<Condition> {
        &mut self.conditions
    }
}
