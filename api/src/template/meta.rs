//! Facts of the trial that a trial parameter may refer to.

use serde_json::{Map, Value};

use super::{TemplateError, TrialMeta};

/// A fact of the trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaKey<'a> {
    /// Name of the trial.
    Name,
    /// Namespace of the trial.
    Namespace,
    /// Kind of the object that runs the trial.
    Kind,
    /// API version of the object that runs the trial.
    ApiVersion,
    /// An annotation of the template.
    Annotation(&'a str),
    /// A label of the template.
    Label(&'a str),
}

/// Whether a reference is meant as a meta key: `${trialSpec.…}`.
pub fn is_meta_key(reference: &str) -> bool {
    inner(reference).is_some()
}

fn inner(reference: &str) -> Option<&str> {
    reference.strip_prefix("${trialSpec.")?.strip_suffix('}')
}

impl<'a> MetaKey<'a> {
    /// Reads a reference such as `${trialSpec.Labels[team]}`.
    pub fn parse(reference: &'a str) -> Result<Self, TemplateError> {
        let unknown = || TemplateError::UnknownMetaKey(reference.to_owned());
        let key = inner(reference).ok_or_else(unknown)?;
        let in_brackets = |name: &str| {
            key.strip_prefix(name)?
                .strip_prefix('[')?
                .strip_suffix(']')
                .filter(|k| !k.is_empty())
        };
        match key {
            "Name" => Ok(Self::Name),
            "Namespace" => Ok(Self::Namespace),
            "Kind" => Ok(Self::Kind),
            "APIVersion" => Ok(Self::ApiVersion),
            _ => in_brackets("Annotations")
                .map(Self::Annotation)
                .or_else(|| in_brackets("Labels").map(Self::Label))
                .ok_or_else(unknown),
        }
    }

    /// The value for `trial`; kind, version, annotations and labels are those of `template`.
    pub fn resolve(
        self,
        template: &Map<String, Value>,
        trial: TrialMeta<'_>,
    ) -> Result<String, TemplateError> {
        let entry = |map: &str, key: &str| template.get("metadata")?.get(map)?.get(key);
        let found = match self {
            Self::Name => return Ok(trial.name.to_owned()),
            Self::Namespace => return Ok(trial.namespace.to_owned()),
            Self::Kind => template.get("kind"),
            Self::ApiVersion => template.get("apiVersion"),
            Self::Annotation(key) => entry("annotations", key),
            Self::Label(key) => entry("labels", key),
        };
        let text = found.and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| TemplateError::MissingMeta(self.to_string()))
    }
}

impl std::fmt::Display for MetaKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("${trialSpec.Name}"),
            Self::Namespace => f.write_str("${trialSpec.Namespace}"),
            Self::Kind => f.write_str("${trialSpec.Kind}"),
            Self::ApiVersion => f.write_str("${trialSpec.APIVersion}"),
            Self::Annotation(key) => write!(f, "${{trialSpec.Annotations[{key}]}}"),
            Self::Label(key) => write!(f, "${{trialSpec.Labels[{key}]}}"),
        }
    }
}
