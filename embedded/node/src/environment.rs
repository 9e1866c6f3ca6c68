//! The variables of a container, its command and its arguments. Pure but for looking up objects.

use k8s_openapi::api::core::v1::{Container, EnvFromSource, EnvVar, EnvVarSource};

use crate::expand::expand;
use crate::pod::Pod;
use crate::refusal::Refusal;
use crate::service;
use crate::source::{self, Entries, Lookup};

/// Names and values in the order in which they were set; a later one replaces an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment(pub(crate) Vec<(String, String)>);

impl Environment {
    /// Sets a variable.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(pair) => pair.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Replaces `$(NAME)` in a text.
    pub(crate) fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name).map(str::to_owned)).into_owned()
    }
}

/// Adds to `base` what a container asks for.
///
/// # Errors
/// An object that is not optional is missing, or a field is not supported.
pub(crate) fn environment(
    base: &Environment,
    pod: &Pod,
    container: &Container,
    lookup: &dyn Lookup,
) -> Result<Environment, Refusal> {
    let mut result = base.clone();
    // Only what the pod itself names may be used in `$(NAME)`, and the addresses of services.
    let mut known = Environment(
        base.0
            .iter()
            .filter(|(name, _)| name.starts_with("KUBERNETES_"))
            .cloned()
            .collect(),
    );
    if pod.spec.enable_service_links != Some(false) {
        for service in lookup.services() {
            for (name, value) in service::variables(&service) {
                known.set(&name, &value);
                result.set(name, value);
            }
        }
    }
    for source in container.env_from.iter().flatten() {
        for (name, value) in all_of(source, lookup)? {
            known.set(&name, &value);
            result.set(name, value);
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, &known, pod, container, lookup)? {
            known.set(&variable.name, &value);
            result.set(&variable.name, value);
        }
    }
    Ok(result)
}

/// The variables that a container's command may use: those that the pod names.
pub(crate) fn words(environment: &Environment, container: &Container) -> Vec<String> {
    let words = container
        .command
        .iter()
        .flatten()
        .chain(container.args.iter().flatten());
    words.map(|word| environment.expand(word)).collect()
}

/// All entries of an object as variables; entries whose key is no name are left out.
fn all_of(source: &EnvFromSource, lookup: &dyn Lookup) -> Result<Vec<(String, String)>, Refusal> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let mut pairs = Vec::new();
    if let Some(from) = &source.config_map_ref {
        let entries = source::config_map(lookup, &from.name, from.optional == Some(true))?;
        pairs.extend(variables(prefix, entries.unwrap_or_default()));
    }
    if let Some(from) = &source.secret_ref {
        let entries = source::secret(lookup, &from.name, from.optional == Some(true))?;
        pairs.extend(variables(prefix, entries.unwrap_or_default()));
    }
    Ok(pairs)
}

fn variables(prefix: &str, entries: Entries) -> impl Iterator<Item = (String, String)> {
    entries
        .into_iter()
        .map(move |(key, value)| {
            (
                format!("{prefix}{key}"),
                String::from_utf8_lossy(&value).into_owned(),
            )
        })
        .filter(|(name, value)| {
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
        })
}

/// The value of one variable; nothing when an optional source is missing.
fn value(
    variable: &EnvVar,
    known: &Environment,
    pod: &Pod,
    container: &Container,
    lookup: &dyn Lookup,
) -> Result<Option<String>, Refusal> {
    match (&variable.value, &variable.value_from) {
        (Some(text), _) if !text.is_empty() => Ok(Some(known.expand(text))),
        (_, Some(source)) => from_source(source, pod, container, lookup)
            .map_err(|e| e.of(&format!("variable {}", variable.name))),
        _ => Ok(Some(String::new())),
    }
}

fn from_source(
    from: &EnvVarSource,
    pod: &Pod,
    container: &Container,
    lookup: &dyn Lookup,
) -> Result<Option<String>, Refusal> {
    if let Some(selector) = &from.field_ref {
        return source::field(pod, &selector.field_path).map(Some);
    }
    if let Some(selector) = &from.resource_field_ref {
        return source::resource(pod, &container.name, selector).map(Some);
    }
    if let Some(selector) = &from.config_map_key_ref {
        let optional = selector.optional == Some(true);
        let entries = source::config_map(lookup, &selector.name, optional)?;
        return key(
            entries,
            &selector.key,
            optional,
            "configmap",
            &selector.name,
        );
    }
    if let Some(selector) = &from.secret_key_ref {
        let optional = selector.optional == Some(true);
        let entries = source::secret(lookup, &selector.name, optional)?;
        return key(entries, &selector.key, optional, "secret", &selector.name);
    }
    Err(Refusal::Broken(
        "valueFrom names no source that is supported".into(),
    ))
}

fn key(
    entries: Option<Entries>,
    key: &str,
    optional: bool,
    kind: &str,
    name: &str,
) -> Result<Option<String>, Refusal> {
    match entries.and_then(|mut e| e.remove(key)) {
        Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        None if optional => Ok(None),
        None => Err(Refusal::Waiting(format!(
            "couldn't find key {key} in {kind} {name:?}"
        ))),
    }
}
