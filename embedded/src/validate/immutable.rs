//! Fields that stay as they were made.

use diwan_api::FieldError;
use serde_json::{Map, Value};

use super::cause;
use crate::{resource::Resource, status::Cause};

/// Fields of a pod's specification that may change.
const POD_MUTABLE: [&str; 4] = [
    "activeDeadlineSeconds",
    "terminationGracePeriodSeconds",
    "tolerations",
    "schedulingGates",
];

/// What of `old` must not have changed in `new`, and has.
pub(crate) fn changed(resource: &Resource, old: &Value, new: &Value) -> Vec<Cause> {
    let mut errors = Vec::new();
    match resource.kind {
        "Pod" => {
            // A pod is bound to a node once.
            let binds = old["spec"]["nodeName"].as_str().is_none_or(str::is_empty);
            if pod_essence(old, binds) != pod_essence(new, binds) {
                errors.push(FieldError::forbidden(
                    "spec",
                    "pod updates may not change fields other than \
                     `spec.containers[*].image`,`spec.initContainers[*].image`,\
                     `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing \
                     tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 \
                     if it was previously negative)",
                ));
            }
        }
        "Job" => {
            let suspended = old["spec"]["suspend"] == true;
            for field in ["selector", "completionMode"] {
                immutable(old, new, "spec", field, &mut errors);
            }
            let template = |job| template_essence(job, suspended);
            if template(old) != template(new) {
                let path = "spec.template";
                let value = &new["spec"]["template"];
                errors.push(FieldError::invalid(path, value, "field is immutable"));
            }
        }
        "ConfigMap" | "Secret" if old["immutable"] == true => {
            for field in ["immutable", "data", "binaryData"] {
                if old[field] != new[field] {
                    let detail = "field is immutable when `immutable` is set";
                    errors.push(FieldError::forbidden(field, detail));
                }
            }
        }
        _ => {}
    }
    if resource.kind == "Secret" && old["type"] != new["type"] {
        errors.push(FieldError::invalid(
            "type",
            new["type"].as_str().unwrap_or_default(),
            "field is immutable",
        ));
    }
    errors.into_iter().map(cause).collect()
}

fn immutable(old: &Value, new: &Value, at: &str, field: &str, errors: &mut Vec<FieldError>) {
    if old[at][field] != new[at][field] {
        let path = format!("{at}.{field}");
        errors.push(FieldError::invalid(
            path,
            &new[at][field],
            "field is immutable",
        ));
    }
}

/// A job's template without what may change: while it is suspended, where its pods may run and
/// what they take.
fn template_essence(job: &Value, suspended: bool) -> Value {
    const PLACE: [&str; 4] = ["nodeSelector", "tolerations", "affinity", "schedulingGates"];
    let mut template = job["spec"]["template"].clone();
    if !suspended {
        return template;
    }
    if let Some(fields) = template.as_object_mut() {
        fields.remove("metadata");
    }
    let Some(spec) = template["spec"].as_object_mut() else {
        return template;
    };
    spec.retain(|field, _| !PLACE.contains(&field.as_str()));
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(fields) = container.as_object_mut() {
                fields.remove("resources");
            }
        }
    }
    template
}

/// A pod's specification without what may change.
fn pod_essence(pod: &Value, binds: bool) -> Option<Map<String, Value>> {
    let mut spec = pod["spec"].as_object()?.clone();
    spec.retain(|field, _| {
        let mutable = POD_MUTABLE.contains(&field.as_str()) || (binds && field == "nodeName");
        !mutable
    });
    for list in ["containers", "initContainers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            if let Some(fields) = container.as_object_mut() {
                fields.remove("image");
            }
        }
    }
    Some(spec)
}
