//! Reading an object without a typed form.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A text field of the metadata; empty when absent.
pub(crate) fn metadata<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// Whether an object is being deleted.
pub(crate) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// A time as Kubernetes writes it: whole seconds.
pub(crate) fn time(at: Timestamp) -> Value {
    json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The number of a field; nothing when it is no whole number from 0.
pub(crate) fn number(value: &Value, default: u64) -> u64 {
    value.as_u64().unwrap_or(default)
}

/// A time that a field names.
pub(crate) fn read_time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// The condition of a type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == kind)
}

/// The unique identifier of the object's controller, if that is of this kind.
pub(crate) fn controller_of<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners
        .iter()
        .find(|owner| owner["controller"] == true && owner["kind"] == kind)
}

/// Whether any controller has the object.
pub(crate) fn is_controlled(object: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .any(|owner| owner["controller"] == true)
}

/// The reference by which an object names its controller.
pub(crate) fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": metadata(owner, "name"), "uid": metadata(owner, "uid"),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) selects an object. One that says
/// nothing selects nothing, as controllers read it.
pub(crate) fn selects(selector: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = || {
        selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
    };
    let says = selector["matchLabels"]
        .as_object()
        .is_some_and(|m| !m.is_empty())
        || expressions().next().is_some();
    let fits = |expression: &Value| {
        let value = &labels[expression["key"].as_str().unwrap_or_default()];
        let values = expression["values"].as_array();
        let is_one = || values.is_some_and(|values| values.contains(value));
        match expression["operator"].as_str() {
            Some("In") => is_one(),
            Some("NotIn") => !is_one(),
            Some("Exists") => !value.is_null(),
            Some("DoesNotExist") => value.is_null(),
            _ => false,
        }
    };
    says && equal.all(|(key, value)| labels[key] == *value) && expressions().all(fits)
}
