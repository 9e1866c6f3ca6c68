//! From a trial template and assignments to the object that runs a trial.
//!
//! A template is parsed once and rendered for each trial. Values are put into the strings of the
//! parsed document, never into its text, so no value can change the document's structure, and
//! what a value contains is never taken for a placeholder.

mod meta;
mod placeholder;
mod text;

use std::collections::HashSet;

use serde_json::{Map, Value};

pub use meta::{MetaKey, is_meta_key};
pub(crate) use placeholder::has_placeholder;

use crate::{ParameterAssignment, TrialParameter, job_template};

/// Where a template comes from.
#[derive(Clone, Copy, Debug)]
pub enum TemplateSource<'a> {
    /// `trialSpec` of the experiment.
    Object(&'a Map<String, Value>),
    /// YAML or JSON from a ConfigMap.
    Text(&'a str),
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    object: Map<String, Value>,
    /// JSON pointers of strings that become numbers or booleans when they read as such: scalars
    /// that the text has without quotes, and fields of a Job that take no text.
    numbers: HashSet<String>,
}

/// The trial that an object is rendered for.
#[derive(Clone, Copy, Debug)]
pub struct TrialMeta<'a> {
    /// Name of the trial.
    pub name: &'a str,
    /// Namespace of the trial.
    pub namespace: &'a str,
}

/// Why a template can't be parsed or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not YAML.
    #[error("template is neither YAML nor JSON: {0}")]
    Syntax(String),
    /// The text is a list or a scalar.
    #[error("template is not an object but {0}")]
    NotAnObject(&'static str),
    /// `metadata` is something else than an object.
    #[error("metadata of the template is not an object but {0}")]
    Metadata(&'static str),
    /// A trial parameter names no assignment.
    #[error("trial parameter {name:?} refers to {reference:?}, for which there is no assignment")]
    NoAssignment {
        /// Name of the trial parameter.
        name: String,
        /// What it refers to.
        reference: String,
    },
    /// Two trial parameters refer to the same assignment.
    #[error("parameter {0:?} is referred to by more than one trial parameter")]
    UsedTwice(String),
    /// An assignment is not used.
    #[error("parameter {0:?} is referred to by no trial parameter; add one to trialParameters")]
    Unused(String),
    /// The template uses a name that is not listed.
    #[error("template uses ${{trialParameters.{0}}}, which trialParameters does not list")]
    Unlisted(String),
    /// A trial parameter does not occur in the template.
    #[error("trial parameter {0:?} does not occur in the template as ${{trialParameters.{0}}}")]
    Absent(String),
    /// A meta key that is not known.
    #[error(
        "reference {0:?} is not known; use ${{trialSpec.Name}}, ${{trialSpec.Namespace}}, \
         ${{trialSpec.Kind}}, ${{trialSpec.APIVersion}}, ${{trialSpec.Annotations[key]}} or \
         ${{trialSpec.Labels[key]}}"
    )]
    UnknownMetaKey(String),
    /// A meta key for something that the template does not have.
    #[error("reference {0:?} names something that the template does not have")]
    MissingMeta(String),
}

impl Template {
    /// Parses a template.
    pub fn parse(source: TemplateSource<'_>) -> Result<Self, TemplateError> {
        let (object, mut numbers) = match source {
            TemplateSource::Object(object) => (object.clone(), HashSet::new()),
            TemplateSource::Text(text) => text::parse(text)?,
        };
        job_template::fit_numbers(&object, &mut numbers);
        Ok(Self { object, numbers })
    }

    /// The document with its placeholders.
    pub fn object(&self) -> &Map<String, Value> {
        &self.object
    }

    /// The names that occur as `${trialParameters.<name>}`, in the order of the document.
    pub fn placeholders(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (key, value) in &self.object {
            placeholder::names(key, &mut names);
            placeholder::names_in(value, &mut names);
        }
        names
    }

    /// The object that runs `trial`, with its name and namespace. Each assignment is referred to
    /// by exactly one trial parameter, and each trial parameter occurs in the template.
    pub fn render(
        &self,
        parameters: &[TrialParameter],
        assignments: &[ParameterAssignment],
        trial: TrialMeta<'_>,
    ) -> Result<Map<String, Value>, TemplateError> {
        let values = self.values(parameters, assignments, trial)?;
        let mut used = HashSet::new();
        let lookup = |name: &str| {
            values
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.as_str())
        };
        let mut object = self.substitute(&lookup, &mut used)?;
        if let Some((name, _)) = values.iter().find(|(name, _)| !used.contains(*name)) {
            return Err(TemplateError::Absent((*name).to_owned()));
        }
        let metadata = object
            .entry("metadata")
            .or_insert_with(|| Value::Object(Map::new()));
        let kind = kind_of(metadata);
        let metadata = metadata
            .as_object_mut()
            .ok_or(TemplateError::Metadata(kind))?;
        metadata.insert("name".to_owned(), trial.name.into());
        metadata.insert("namespace".to_owned(), trial.namespace.into());
        Ok(object)
    }

    /// A text that stands beside the template, such as `primaryContainerName`, for `trial`.
    pub fn render_text(
        &self,
        text: &str,
        parameters: &[TrialParameter],
        assignments: &[ParameterAssignment],
        trial: TrialMeta<'_>,
    ) -> Result<String, TemplateError> {
        let values = self.values(parameters, assignments, trial)?;
        let lookup = |name: &str| {
            let value = values.iter().find(|(n, _)| *n == name);
            value.map(|(_, value)| value.as_str())
        };
        placeholder::fill(text, &lookup).map_err(TemplateError::Unlisted)
    }

    /// The document with the same value for every placeholder: `1` where it becomes a
    /// number, `test-value` elsewhere.
    pub fn render_for_validation(&self) -> Map<String, Value> {
        let mut used = HashSet::new();
        let render = |numbers: &HashSet<String>, value: &'static str, used: &mut _| {
            placeholder::substitute(&self.object, numbers, &|_| Some(value), used)
        };
        let ones = render(&self.numbers, "1", &mut used);
        let mut object = render(&HashSet::new(), "test-value", &mut used).unwrap_or_default();
        let ones = Value::Object(ones.unwrap_or_default());
        let mut document = Value::Object(std::mem::take(&mut object));
        for pointer in &self.numbers {
            if let (Some(to), Some(from)) = (document.pointer_mut(pointer), ones.pointer(pointer)) {
                to.clone_from(from);
            }
        }
        match document {
            Value::Object(object) => object,
            _ => Map::new(),
        }
    }

    fn substitute<'v>(
        &self,
        lookup: &impl Fn(&str) -> Option<&'v str>,
        used: &mut HashSet<String>,
    ) -> Result<Map<String, Value>, TemplateError> {
        placeholder::substitute(&self.object, &self.numbers, lookup, used)
            .map_err(TemplateError::Unlisted)
    }

    /// The value of each trial parameter.
    fn values<'p>(
        &self,
        parameters: &'p [TrialParameter],
        assignments: &[ParameterAssignment],
        trial: TrialMeta<'_>,
    ) -> Result<Vec<(&'p str, String)>, TemplateError> {
        let mut referred = HashSet::new();
        let mut values = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            let reference = parameter.reference.as_str();
            let value = if is_meta_key(reference) {
                MetaKey::parse(reference)?.resolve(&self.object, trial)?
            } else {
                let assignment = assignments.iter().find(|a| a.name == reference);
                let assignment = assignment.ok_or_else(|| TemplateError::NoAssignment {
                    name: parameter.name.clone(),
                    reference: reference.to_owned(),
                })?;
                if !referred.insert(reference) {
                    return Err(TemplateError::UsedTwice(reference.to_owned()));
                }
                assignment.value.clone()
            };
            values.push((parameter.name.as_str(), value));
        }
        let unused = assignments
            .iter()
            .find(|a| !referred.contains(a.name.as_str()));
        unused.map_or(Ok(values), |a| Err(TemplateError::Unused(a.name.clone())))
    }
}

/// The document with what `lookup` has for each name in place of its placeholder. The error is a
/// name without a value.
pub(crate) fn with_placeholders<'v>(
    object: &Map<String, Value>,
    lookup: &impl Fn(&str) -> Option<&'v str>,
) -> Result<Map<String, Value>, String> {
    placeholder::substitute(object, &HashSet::new(), lookup, &mut HashSet::new())
}

/// What a JSON value is, in words.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
