//! What an experiment optimizes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The metric to optimize.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectiveSpec {
    /// Whether smaller or larger is better.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<ObjectiveType>,
    /// The value at which the experiment has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<f64>,
    /// The metric to optimize.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub objective_metric_name: String,
    /// Metrics collected beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_metric_names: Vec<String>,
    /// Which of its values stands for a metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_strategies: Vec<MetricStrategy>,
}

/// Whether smaller or larger is better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveType {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
    /// Anything else, kept so that validation can name it.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(ObjectiveType, ["minimize", "maximize"]);

/// Which of its values stands for a metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricStrategy {
    /// Name of the metric.
    #[serde(default)]
    pub name: String,
    /// Its smallest, largest or latest value.
    #[serde(default)]
    pub value: StrategyKind,
}

/// Smallest, largest or latest value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StrategyKind {
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The value with the latest time stamp.
    #[default]
    Latest,
    /// Anything else, kept so that validation can name it.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(StrategyKind, ["min", "max", "latest"]);

impl ObjectiveSpec {
    /// The objective metric, then the additional ones.
    pub fn metric_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.objective_metric_name.as_str())
            .chain(self.additional_metric_names.iter().map(String::as_str))
    }
    /// The strategy of a metric, if one is given.
    pub fn strategy(&self, metric: &str) -> Option<&StrategyKind> {
        self.metric_strategies
            .iter()
            .find(|s| s.name == metric)
            .map(|s| &s.value)
    }
}
