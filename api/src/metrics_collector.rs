//! How metrics get from a trial to the observation log.

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{EarlyStoppingRule, ObjectiveType};

/// Where metrics are and who collects them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricsCollectorSpec {
    /// Where metrics are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceSpec>,
    /// Who collects them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collector: Option<CollectorSpec>,
}

/// Where metrics are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceSpec {
    /// The endpoint of the PrometheusMetric collector.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub http_get: Option<HTTPGetAction>,
    /// The file or folder of the File, TensorFlowEvent and Custom collectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system_path: Option<FileSystemPath>,
    /// Which text holds metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

/// A file or folder with metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FileSystemPath {
    /// Absolute path in the primary container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// `File` or `Directory`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// `TEXT` or `JSON`, of a file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
}

/// Which text holds metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterSpec {
    /// Regular expressions (RE2 syntax) with two groups: the metric's name and its value.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics_format: Vec<String>,
}

/// Who collects metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CollectorSpec {
    /// The kind of collector. Default StdOut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CollectorKind>,
    /// The user's container, of kind Custom.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::any_object")]
    pub custom_collector: Option<Container>,
}

/// The kinds of collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CollectorKind {
    /// The primary container's output.
    #[default]
    StdOut,
    /// A file that the trial writes.
    File,
    /// TensorFlow event files that the trial writes.
    TensorFlowEvent,
    /// An endpoint that the trial serves.
    PrometheusMetric,
    /// A container of the user's.
    Custom,
    /// Nobody: the trial reports by itself.
    Push,
    /// Nobody, and nothing is expected.
    None,
    /// Anything else, kept so that validation can name it.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(
    CollectorKind,
    [
        "StdOut",
        "File",
        "TensorFlowEvent",
        "PrometheusMetric",
        "Custom",
        "Push",
        "None"
    ]
);

impl MetricsCollectorSpec {
    /// The kind of collector; StdOut when none is named.
    pub fn kind(&self) -> CollectorKind {
        self.collector
            .as_ref()
            .and_then(|c| c.kind.clone())
            .unwrap_or_default()
    }
    /// The file or folder that is read, if one is named.
    pub fn path(&self) -> Option<&FileSystemPath> {
        self.source.as_ref()?.file_system_path.as_ref()
    }
    /// The user's filters; empty when the default filter holds.
    pub fn filters(&self) -> &[String] {
        self.source
            .as_ref()
            .and_then(|s| s.filter.as_ref())
            .map_or(&[], |f| &f.metrics_format)
    }
}

/// What is to be collected from one pod: all that a collector needs to know, so that it needs to
/// ask nobody. Travels as JSON in the annotation `diwan.dev/metrics-collector`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectorPlan {
    /// The trial that the metrics belong to.
    pub trial: String,
    /// Its namespace.
    pub namespace: String,
    /// The container whose output or file is read.
    pub primary_container: String,
    /// The objective metric.
    pub objective: String,
    /// Metrics collected beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<String>,
    /// Which way the objective is better.
    pub objective_type: ObjectiveType,
    /// Where metrics are and who collects them.
    pub spec: MetricsCollectorSpec,
    /// Rules under which the trial is stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_rules: Vec<EarlyStoppingRule>,
}

/// What an installation says about the container of one kind's collectors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CollectorSettings {
    /// The kind.
    pub kind: CollectorKind,
    /// When the image is pulled; empty where nothing is said.
    pub image_pull_policy: String,
    /// Amounts in place of the default ones. A negative one takes the default away.
    pub resources: Map<String, Value>,
    /// Whether all processes of the pod are waited for, where the collector follows processes.
    pub wait_all_processes: Option<bool>,
}
