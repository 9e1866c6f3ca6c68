//! Defaults of volumes, claims and their classes.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{child, set};
use crate::metadata;

/// Keeps a claim while pods use it.
const CLAIM_IN_USE: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume while a claim has it.
const VOLUME_IN_USE: &str = "kubernetes.io/pv-protection";

/// Sets what a claim leaves out.
pub(super) fn claim(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        claim_fields(fields);
    }
}

/// Sets what a claim, or the template of one, leaves out.
pub(super) fn claim_fields(claim: &mut Map<String, Value>) {
    if let Some(spec) = child(claim, "spec") {
        set(spec, "volumeMode", json!("Filesystem"));
    }
    if let Some(status) = child(claim, "status") {
        set(status, "phase", json!("Pending"));
    }
}

/// Sets what a volume leaves out.
pub(super) fn volume(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if let Some(spec) = child(fields, "spec") {
        set(spec, "persistentVolumeReclaimPolicy", json!("Retain"));
        set(spec, "volumeMode", json!("Filesystem"));
        if let Some(path) = spec.get_mut("hostPath").and_then(Value::as_object_mut) {
            set(path, "type", json!(""));
        }
        if let Some(claim) = spec.get_mut("claimRef").and_then(Value::as_object_mut) {
            set(claim, "apiVersion", json!("v1"));
            set(claim, "kind", json!("PersistentVolumeClaim"));
        }
    }
    if let Some(status) = child(fields, "status") {
        set(status, "phase", json!("Pending"));
    }
}

/// Records when a volume came into the phase that it is in, unless its writer has.
pub(crate) fn enter_phase(before: &Value, volume: &mut Value) {
    const SINCE: &str = "lastPhaseTransitionTime";
    let (old, new) = (&before["status"], &volume["status"]);
    let since = if old["phase"] != new["phase"] {
        if !new[SINCE].is_null() && new[SINCE] != old[SINCE] {
            return;
        }
        json!(metadata::time(Timestamp::now()))
    } else if new[SINCE].is_null() && !old[SINCE].is_null() {
        old[SINCE].clone()
    } else {
        return;
    };
    if let Some(status) = volume["status"].as_object_mut() {
        status.insert(SINCE.to_owned(), since);
    }
}

/// Sets what a class leaves out.
pub(super) fn class(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        set(fields, "reclaimPolicy", json!("Delete"));
        set(fields, "volumeBindingMode", json!("Immediate"));
    }
}

/// Sets what new objects get: what keeps them while they are in use.
pub(crate) fn protect(kind: &str, object: &mut Value) {
    let finalizer = match kind {
        "PersistentVolumeClaim" => CLAIM_IN_USE,
        "PersistentVolume" => VOLUME_IN_USE,
        _ => return,
    };
    let known = metadata::finalizers(object);
    if !known.contains(&finalizer) {
        let mut all: Vec<Value> = known.into_iter().map(Value::from).collect();
        all.push(json!(finalizer));
        metadata::set(object, "finalizers", all);
    }
}
