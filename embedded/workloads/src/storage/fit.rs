//! Which volumes a claim can have. Pure.

use diwan_embedded::quantity;
use serde_json::Value;

use crate::object::{is_deleting, metadata, selects};

/// On claims and volumes: this binding was made here, not by whoever wrote the object.
pub(super) const BOUND_BY_US: &str = "pv.kubernetes.io/bound-by-controller";
/// On claims: it has had a volume.
pub(super) const COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// On volumes: who made it.
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// The class that an object names; empty when none.
pub(super) fn class(object: &Value) -> &str {
    object["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default()
}

/// Whether a volume is kept for a claim, or has it.
pub(super) fn is_for(volume: &Value, claim: &Value) -> bool {
    let reference = &volume["spec"]["claimRef"];
    let uid = reference["uid"].as_str().unwrap_or_default();
    reference["name"] == *metadata(claim, "name")
        && reference["namespace"] == *metadata(claim, "namespace")
        && (uid.is_empty() || uid == metadata(claim, "uid"))
}

/// The best volume for a claim: one that is kept for it, or else the smallest that is free and
/// large enough.
pub(super) fn best<'a>(claim: &Value, volumes: &[&'a Value]) -> Option<&'a Value> {
    let kept = volumes
        .iter()
        .find(|volume| is_for(volume, claim) && !is_deleting(volume));
    if let Some(kept) = kept {
        return Some(kept);
    }
    let free = volumes
        .iter()
        .filter(|volume| is_free(volume) && fits(claim, volume));
    free.min_by(|a, b| capacity(a).total_cmp(&capacity(b)))
        .copied()
}

fn is_free(volume: &Value) -> bool {
    volume["spec"]["claimRef"].is_null()
        && volume["status"]["phase"] == "Available"
        && !is_deleting(volume)
}

/// Whether a volume is what a claim asks for.
pub(super) fn fits(claim: &Value, volume: &Value) -> bool {
    let (wanted, offered) = (&claim["spec"], &volume["spec"]);
    let selector = &wanted["selector"];
    let modes = |spec: &Value| spec["accessModes"].as_array().cloned().unwrap_or_default();
    let offered_modes = modes(offered);
    class(claim) == class(volume)
        && wanted["volumeMode"] == offered["volumeMode"]
        && modes(wanted)
            .iter()
            .all(|mode| offered_modes.contains(mode))
        && amount(&wanted["resources"]["requests"]["storage"]) <= capacity(volume)
        && (selector.is_null() || selects(selector, volume))
}

fn capacity(volume: &Value) -> f64 {
    amount(&volume["spec"]["capacity"]["storage"])
}

fn amount(value: &Value) -> f64 {
    value
        .as_str()
        .and_then(quantity::parse)
        .or(value.as_f64())
        .unwrap_or(0.0)
}
