//! Experiments of `kubeflow.org/v1alpha3`: to v1beta1 and back.
//!
//! Objects are stored and worked on as v1beta1. What an object was before it was converted is kept
//! in an annotation, so that the way back gives it as it was written; see [`ANNOTATION`].

mod downgrade;
mod go_template;
mod kept;
mod stand_in;
mod status;
mod upgrade;

use serde_json::{Map, Value};

use crate::{ConfigMapSource, FieldError};
use kept::Kept;

/// The older version of Experiments, as in `apiVersion`.
pub const API_VERSION: &str = "kubeflow.org/v1alpha3";
/// The version of Experiments that is stored, as in `apiVersion`.
pub const STORED_API_VERSION: &str = "kubeflow.org/v1beta1";
/// The version alone.
pub const VERSION: &str = "v1alpha3";
/// On an Experiment that was converted: what its spec was in the other version, as JSON. It is
/// believed for as long as the spec is the one that it was converted to; the counts that may be
/// changed are taken over.
pub const ANNOTATION: &str = "diwan.dev/converted-from";

/// The ConfigMap whose text has to be given to [`convert`].
pub fn template_source(object: &Value, api_version: &str) -> Option<ConfigMapSource> {
    if api_version != STORED_API_VERSION || object["apiVersion"] != API_VERSION {
        return None;
    }
    let source = object.pointer("/spec/trialTemplate/goTemplate/templateSpec")?;
    let mut source: ConfigMapSource = serde_json::from_value(source.clone()).ok()?;
    if Kept::of(object, api_version).is_some() {
        return None;
    }
    if source.config_map_namespace.is_empty() {
        let namespace = object["metadata"]["namespace"].as_str();
        namespace
            .unwrap_or_default()
            .clone_into(&mut source.config_map_namespace);
    }
    Some(source)
}

/// An Experiment in another version: `template` is the text that [`template_source`] refers to.
/// Of the metadata only annotations change. Towards v1beta1 defaults are filled in, and only a
/// template that can't be converted is an error; whatever else is wrong stays for validation to
/// name. Towards v1alpha3 nothing is an error.
pub fn convert(
    object: &Value,
    api_version: &str,
    template: Option<&str>,
) -> Result<Value, FieldError> {
    let from = object["apiVersion"].as_str().unwrap_or_default();
    let upwards = match (from, api_version) {
        (API_VERSION, STORED_API_VERSION) => true,
        (STORED_API_VERSION, API_VERSION) => false,
        (from, to) if from == to => return Ok(object.clone()),
        _ => {
            let known = [API_VERSION, STORED_API_VERSION];
            return Err(FieldError::not_supported("apiVersion", from, &known));
        }
    };
    if object["kind"] != "Experiment" {
        let kind = object["kind"].as_str().unwrap_or_default();
        return Err(FieldError::not_supported("kind", kind, &["Experiment"]));
    }
    let mut converted = object.as_object().cloned().unwrap_or_default();
    converted.insert("apiVersion".to_owned(), api_version.into());
    let spec = match (object["spec"].as_object(), Kept::of(object, api_version)) {
        (None, _) => None,
        (Some(spec), Some(kept)) => Some(kept.restore(spec)),
        (Some(spec), None) if upwards => {
            let name = object["metadata"]["name"].as_str();
            Some(upgrade::spec(spec, name, template)?)
        }
        (Some(spec), None) => Some(downgrade::spec(spec)),
    };
    if let Some(status) = converted.get_mut("status") {
        if upwards {
            status::upgrade(status);
        } else {
            status::downgrade(status, &object["spec"]);
        }
    }
    let mut kept = None;
    if let (Some(spec), Some(before)) = (spec, object["spec"].as_object()) {
        // What the way back would give anyway need not be kept.
        if !upwards || downgrade::spec(&spec) != *before {
            kept = Some(Kept::new(from, before, api_version, &spec));
        }
        converted.insert("spec".to_owned(), Value::Object(spec));
    }
    annotate(&mut converted, kept);
    Ok(Value::Object(converted))
}

fn annotate(object: &mut Map<String, Value>, kept: Option<Kept>) {
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else {
        return;
    };
    let mut annotations = match metadata.get("annotations") {
        Some(Value::Object(annotations)) => annotations.clone(),
        _ => Map::new(),
    };
    annotations.remove(ANNOTATION);
    if let Some(kept) = kept {
        annotations.insert(ANNOTATION.to_owned(), kept.text().into());
    }
    if annotations.is_empty() {
        metadata.remove("annotations");
    } else {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
}

#[cfg(test)]
mod tests;
