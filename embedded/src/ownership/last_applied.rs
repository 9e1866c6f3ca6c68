//! The annotation in which `kubectl apply` keeps what it applied last, when it merges by itself.

use serde_json::{Map, Value, json};

use super::{compare::compare, fields, set::FieldSet};
use crate::{metadata, schema::place::Place};

/// The manager whose applies go on from the annotation.
pub(super) const MANAGER: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// As large as all annotations of an object may be together.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// The fields of the annotation whose values are still so: kubectl has owned them all along.
pub(super) fn unchanged(place: Place<'_>, object: &Value) -> FieldSet {
    let text = object["metadata"]["annotations"][ANNOTATION].as_str();
    let Some(last) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return FieldSet::default();
    };
    let Ok(difference) = compare(place, &last, object) else {
        return FieldSet::default();
    };
    let mut fields = fields::of_object(place, &last);
    fields.remove(&difference.modified);
    fields.remove(&difference.added);
    fields.remove(&difference.removed);
    fields
}

/// Renews the annotation, where there is one, so that kubectl can go back to merging by itself.
pub(super) fn renew(object: &mut Value, config: &Value) {
    if object["metadata"]["annotations"].get(ANNOTATION).is_none() {
        return;
    }
    let mut config = config.clone();
    let mut emptied = false;
    if let Some(annotations) = annotations(&mut config) {
        emptied = annotations.remove(ANNOTATION).is_some() && annotations.is_empty();
    }
    if emptied {
        metadata::set(&mut config, "annotations", json!({}));
    }
    let text = format!("{config}\n");
    let Some(annotations) = annotations(object) else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), json!(text));
    let size: usize = annotations
        .iter()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if size > ANNOTATIONS_MAX {
        annotations.remove(ANNOTATION);
    }
}

fn annotations(object: &mut Value) -> Option<&mut Map<String, Value>> {
    metadata::of(object)?
        .get_mut("annotations")?
        .as_object_mut()
}
