//! The space of a neural architecture search.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ParameterSpec;

/// A graph to be filled with operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NasConfig {
    /// The frame of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_config: Option<GraphConfig>,
    /// What a layer may be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Operation>,
}

/// The frame of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GraphConfig {
    /// How many layers there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_layers: Option<i32>,
    /// Shape of the input; sizes may be equal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_sizes: Vec<i32>,
    /// Shape of the output; sizes may be equal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_sizes: Vec<i32>,
}

/// One kind of layer and its parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// Such as `convolution`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation_type: String,
    /// Such as `filter_size`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
}
