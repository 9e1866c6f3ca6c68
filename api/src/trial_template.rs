//! From what each trial is made.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::metadata::{LABEL_COMPONENT, TRIAL_TEMPLATES};

/// The template of an experiment's trials.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrialTemplate {
    /// Whether the object that runs a trial stays when the trial is completed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
    /// The object that runs a trial, with `${trialParameters.<name>}` where values go.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub trial_spec: Option<Map<String, Value>>,
    /// A ConfigMap that holds the object as text; instead of `trialSpec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map: Option<ConfigMapSource>,
    /// The names used in the template and what they stand for. Null and empty differ: an empty
    /// list is accepted, no list is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_parameters: Option<Vec<TrialParameter>>,
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
}

/// Whether a ConfigMap with these labels is meant for experiments of all namespaces. Another one
/// is for those of its own: who may write an experiment may not read every ConfigMap.
pub fn is_for_all(labels: Option<&BTreeMap<String, String>>) -> bool {
    let component = labels.and_then(|labels| labels.get(LABEL_COMPONENT));
    component.is_some_and(|component| component == TRIAL_TEMPLATES)
}

/// A key of a ConfigMap that holds a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigMapSource {
    /// Name of the ConfigMap.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config_map_name: String,
    /// Namespace of the ConfigMap.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config_map_namespace: String,
    /// Key in its data.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template_path: String,
}

/// A name used in the template and what it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrialParameter {
    /// Name used in the template: `${trialParameters.<name>}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// For the reader.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A parameter of the search space, or a meta key such as `${trialSpec.Name}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reference: String,
}
