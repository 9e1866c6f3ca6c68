//! The rules for annotations, owners and finalizers.

use diwan_api::FieldError;
use serde_json::Value;

use super::{cause, qualified_name};
use crate::{
    garbage::{FOREGROUND, ORPHAN},
    metadata,
    resource::Resource,
    status::Cause,
};

/// Bytes of all annotations together.
const ANNOTATIONS_LIMIT: usize = 256 << 10;

/// What is wrong with them.
pub(super) fn check(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_annotations(&object["metadata"]["annotations"], &mut causes);
    let owners = metadata::owners(object);
    for owner in owners {
        check_owner(owner, &mut causes);
    }
    causes.extend(two_controllers(owners));
    check_finalizers(resource, &metadata::finalizers(object), &mut causes);
    causes
}

fn invalid(field: impl Into<String>, value: &str, detail: impl Into<String>) -> Cause {
    cause(FieldError::invalid(field, value, detail))
}

/// A value that is shown as JSON.
fn invalid_json(field: &str, value: &Value, detail: &str) -> Cause {
    Cause {
        field: field.to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {detail}"),
    }
}

fn check_annotations(annotations: &Value, causes: &mut Vec<Cause>) {
    let field = "metadata.annotations";
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        // Kubernetes judges, and names, the key in small letters.
        let key = key.to_lowercase();
        let details = qualified_name(&key).into_iter();
        causes.extend(details.map(|detail| invalid(field, &key, detail)));
    }
    if size > ANNOTATIONS_LIMIT {
        causes.push(Cause {
            field: field.to_owned(),
            reason: "FieldValueTooLong",
            message: format!("Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"),
        });
    }
}

fn check_owner(owner: &Value, causes: &mut Vec<Cause>) {
    const AT: &str = "metadata.ownerReferences";
    let text = |field: &str| owner[field].as_str().unwrap_or_default();
    let version = text("apiVersion");
    if version.is_empty() || version.split('/').count() > 2 {
        let detail = "version must not be empty";
        causes.push(invalid(format!("{AT}.apiVersion"), version, detail));
    }
    for field in ["kind", "name", "uid"] {
        if text(field).is_empty() {
            causes.push(invalid(format!("{AT}.{field}"), "", "must not be empty"));
        }
    }
    if (version, text("kind")) == ("v1", "Event") {
        let detail = "/v1, Kind=Event is disallowed from being an owner";
        causes.push(invalid_json(AT, owner, detail));
    }
}

/// Only one owner controls an object.
fn two_controllers(owners: &[Value]) -> Option<Cause> {
    let controls = |owner: &&Value| owner["controller"] == true;
    let shown = |owner: &Value| {
        let text = |field: &str| owner[field].as_str().unwrap_or_default();
        format!("{}/{}", text("kind"), text("name"))
    };
    let [first, second, ..] = owners.iter().filter(controls).collect::<Vec<_>>()[..] else {
        return None;
    };
    let detail = format!(
        "Only one reference can have Controller set to true. Found \"true\" in references for {} \
         and {}",
        shown(first),
        shown(second)
    );
    let list: Vec<String> = owners.iter().map(owner_json).collect();
    Some(Cause {
        field: "metadata.ownerReferences".to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: [{}]: {detail}", list.join(",")),
    })
}

/// An owner in the order of fields that Kubernetes has.
fn owner_json(owner: &Value) -> String {
    let order = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let fields = order
        .iter()
        .filter_map(|field| Some((field, owner.get(field)?)));
    let fields: Vec<String> = fields
        .map(|(field, value)| format!("{field:?}:{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn check_finalizers(resource: &Resource, finalizers: &[&str], causes: &mut Vec<Cause>) {
    let field = "metadata.finalizers";
    for finalizer in finalizers {
        let details = qualified_name(finalizer).into_iter();
        causes.extend(details.map(|detail| invalid(field, finalizer, detail)));
    }
    if finalizers.contains(&ORPHAN) && finalizers.contains(&FOREGROUND) {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(invalid_json(field, &Value::from(finalizers), detail));
    }
    let known = ["kubernetes", ORPHAN, FOREGROUND];
    for (i, finalizer) in finalizers.iter().enumerate().filter(|_| !resource.custom) {
        if !finalizer.contains('/') && !known.contains(finalizer) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(invalid(format!("{field}[{i}]"), finalizer, detail));
        }
    }
}
