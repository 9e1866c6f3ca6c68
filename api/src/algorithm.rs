//! The algorithm of an experiment and its settings, as the user writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A search algorithm by name, with settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AlgorithmSpec {
    /// Name of the algorithm, as `diwan algorithms` lists it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub algorithm_name: String,
    /// Settings by name; each algorithm documents its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithm_settings: Vec<AlgorithmSetting>,
}

/// One setting of an algorithm. Values are strings on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AlgorithmSetting {
    /// Name of the setting.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Value of the setting, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// An early stopping algorithm by name, with settings.
pub type EarlyStoppingSpec = AlgorithmSpec;
