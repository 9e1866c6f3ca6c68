//! The parameters of a search space, as the user writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One dimension of the search space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ParameterSpec {
    /// Name of the parameter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What its values are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter_type: Option<ParameterType>,
    /// Which values it may take.
    pub feasible_space: FeasibleSpace,
}

/// What the values of a parameter are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// Real numbers between `min` and `max`.
    Double,
    /// Whole numbers from `min` to `max`.
    Int,
    /// The numbers in `list`.
    Discrete,
    /// The texts in `list`.
    Categorical,
    /// Not known.
    Unknown,
    /// Anything else, kept so that validation can name it.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(
    ParameterType,
    ["double", "int", "discrete", "categorical", "unknown"]
);

/// The values that a parameter may take. All are strings on the wire; see
/// [`crate::search_space`] for the typed form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FeasibleSpace {
    /// Largest value, of double and int.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max: String,
    /// Smallest value, of double and int.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub min: String,
    /// The values, of discrete and categorical.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub list: Vec<String>,
    /// Distance between values, counted from `min`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub step: String,
    /// How values are drawn. Default uniform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
}

/// How values are drawn between `min` and `max`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Distribution {
    /// Evenly.
    Uniform,
    /// Evenly in the logarithm.
    LogUniform,
    /// Around the middle, truncated to the range.
    Normal,
    /// Around the middle of the logarithm, truncated to the range.
    LogNormal,
    /// Not known.
    Unknown,
    /// Anything else, kept so that validation can name it.
    #[serde(untagged)]
    Other(String),
}
crate::schema::string_enum!(
    Distribution,
    ["uniform", "logUniform", "normal", "logNormal", "unknown"]
);

/// One parameter with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ParameterAssignment {
    /// Name of the parameter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its value, as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}
