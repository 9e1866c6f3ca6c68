//! Fields that stay as they were made.

use diwan_api::FieldError;
use serde_json::{Map, Value};

use super::cause;
use crate::{admission::quantity::Quantity, resource::Resource, status::Cause};

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
        "Job" => super::job::changed(old, new, &mut errors),
        "Deployment" | "ReplicaSet" => immutable(old, new, "spec", "selector", &mut errors),
        "StatefulSet" => stateful_set(old, new, &mut errors),
        "Service" => service(old, new, &mut errors),
        "PersistentVolumeClaim" => claim(old, new, &mut errors),
        "PersistentVolume" => volume(old, new, &mut errors),
        "StorageClass" => {
            for field in [
                "parameters",
                "provisioner",
                "reclaimPolicy",
                "volumeBindingMode",
            ] {
                if old[field] != new[field] {
                    errors.push(FieldError::invalid(
                        field,
                        &new[field],
                        "field is immutable",
                    ));
                }
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
    let mut causes: Vec<Cause> = errors.into_iter().map(cause).collect();
    if !resource.custom {
        causes.extend(super::rbac::changed(resource, old, new));
    }
    causes
}

/// Refuses that a field changes.
pub(super) fn immutable(
    old: &Value,
    new: &Value,
    at: &str,
    field: &str,
    errors: &mut Vec<FieldError>,
) {
    if old[at][field] != new[at][field] {
        let path = format!("{at}.{field}");
        errors.push(FieldError::invalid(
            path,
            &new[at][field],
            "field is immutable",
        ));
    }
}

/// A specification without some of its fields.
fn without(object: &Value, fields: &[&str]) -> Option<Map<String, Value>> {
    let mut spec = object["spec"].as_object()?.clone();
    spec.retain(|field, _| !fields.contains(&field.as_str()));
    Some(spec)
}

fn stateful_set(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let mutable = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    if without(old, &mutable) != without(new, &mutable) {
        errors.push(FieldError::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
             'template', 'updateStrategy', 'revisionHistoryLimit', \
             'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

fn service(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let (was, is) = (&old["spec"]["clusterIP"], &new["spec"]["clusterIP"]);
    let has = |address: &Value| address.as_str().is_some_and(|text| !text.is_empty());
    if has(was) && has(is) && was != is {
        let detail = "may not change once set";
        let value = format!("[{is}]");
        errors.push(FieldError::invalid("spec.clusterIPs[0]", value, detail));
    }
}

/// What a claim asks for stays, but for its size while it is bound, and for what binds it.
fn claim(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let bound = old["status"]["phase"] == "Bound";
    let mut mutable = vec!["volumeAttributesClassName"];
    if old["spec"]["volumeName"].as_str().is_none_or(str::is_empty) {
        mutable.push("volumeName");
    }
    if old["spec"]["storageClassName"].is_null() {
        mutable.push("storageClassName");
    }
    if bound {
        mutable.push("resources");
    }
    if without(old, &mutable) != without(new, &mutable) {
        errors.push(FieldError::forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims",
        ));
    }
    // A claim may be bound to a volume that is larger than it asks for.
    let (was, is) = (Quantity::of_claim(old), Quantity::of_claim(new));
    let held = Quantity::read(&old["status"]["capacity"]["storage"]);
    if is < was && is < held {
        errors.push(FieldError::forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        ));
    }
}

fn volume(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let mutable = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
    ];
    let (mut was, mut is) = (without(old, &mutable), without(new, &mutable));
    let mode = |spec: &mut Option<Map<String, Value>>| spec.as_mut()?.remove("volumeMode");
    if mode(&mut was) != mode(&mut is) {
        let value = &new["spec"]["volumeMode"];
        errors.push(FieldError::invalid(
            "spec.volumeMode",
            value,
            "field is immutable",
        ));
    }
    if was != is {
        errors.push(FieldError::forbidden(
            "spec.persistentvolumesource",
            "spec.persistentvolumesource is immutable after creation",
        ));
    }
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
