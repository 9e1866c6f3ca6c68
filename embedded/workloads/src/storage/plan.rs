//! What a claim and a volume need next. Pure.

use std::path::{Path, PathBuf};

use diwan_embedded::event::Event;
use diwan_embedded::storage_class::PROVISIONER;
use serde_json::{Value, json};

use super::fit::{BOUND_BY_US, COMPLETED, PROVISIONED_BY, best, class, fits, is_for};
use crate::object::{is_deleting, metadata};

/// Keeps a claim while pods use it.
pub(super) const CLAIM_IN_USE: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume while a claim has it.
pub(super) const VOLUME_IN_USE: &str = "kubernetes.io/pv-protection";

/// A claim as it is seen.
pub(super) struct ClaimSeen<'a> {
    /// The claim.
    pub(super) claim: &'a Value,
    /// All volumes.
    pub(super) volumes: &'a [&'a Value],
    /// Its class, if there is one of that name.
    pub(super) class: Option<&'a Value>,
    /// A pod that has not ended names it.
    pub(super) used: bool,
}

/// What a claim needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ClaimStep {
    /// Nothing.
    Rest,
    /// It may go.
    Release,
    /// It gets this volume.
    Bind(String),
    /// It has this volume: its status says so.
    Bound(Value),
    /// Its volume is gone.
    Lost,
    /// A folder is made for it.
    Provision,
    /// It waits, for this reason.
    Wait(Event),
}

/// Says what a claim needs.
pub(super) fn claim(seen: &ClaimSeen<'_>) -> ClaimStep {
    let claim = seen.claim;
    if is_deleting(claim) {
        return if seen.used {
            ClaimStep::Rest
        } else {
            ClaimStep::Release
        };
    }
    let name = claim["spec"]["volumeName"].as_str().unwrap_or_default();
    if name.is_empty() {
        return match best(claim, seen.volumes) {
            Some(volume) => ClaimStep::Bind(metadata(volume, "name").to_owned()),
            None => unbound(seen),
        };
    }
    let was_bound = claim["metadata"]["annotations"][COMPLETED] == "yes";
    let volume = seen
        .volumes
        .iter()
        .find(|volume| metadata(volume, "name") == name);
    match volume {
        Some(volume) if is_for(volume, claim) && was_bound => ClaimStep::Bound(bound(volume)),
        Some(volume) if is_for(volume, claim) => ClaimStep::Bind(name.to_owned()),
        _ if was_bound => ClaimStep::Lost,
        Some(volume) if volume["spec"]["claimRef"].is_null() && fits(claim, volume) => {
            ClaimStep::Bind(name.to_owned())
        }
        Some(_) => ClaimStep::Wait(Event::warning(
            "VolumeMismatch",
            format!("Cannot bind to requested volume {name:?}: it does not fit or is taken"),
        )),
        None => ClaimStep::Wait(Event::normal(
            "FailedBinding",
            format!("volume {name:?} that the claim names is not there"),
        )),
    }
}

/// The status of a claim that has a volume.
fn bound(volume: &Value) -> Value {
    json!({
        "phase": "Bound",
        "accessModes": volume["spec"]["accessModes"],
        "capacity": { "storage": volume["spec"]["capacity"]["storage"] },
    })
}

/// A claim for which there is no volume.
fn unbound(seen: &ClaimSeen<'_>) -> ClaimStep {
    let name = class(seen.claim);
    if name.is_empty() {
        let text = "no persistent volumes available for this claim and no storage class is set";
        return ClaimStep::Wait(Event::normal("FailedBinding", text));
    }
    let Some(class) = seen.class else {
        let text = format!("storageclass.storage.k8s.io {name:?} not found");
        return ClaimStep::Wait(Event::warning("ProvisioningFailed", text));
    };
    if class["volumeBindingMode"] == "WaitForFirstConsumer" && !seen.used {
        let text = "waiting for first consumer to be created before binding";
        return ClaimStep::Wait(Event::normal("WaitForFirstConsumer", text));
    }
    let provisioner = class["provisioner"].as_str().unwrap_or_default();
    if provisioner != PROVISIONER {
        let text = format!(
            "Waiting for a volume to be created either by the external provisioner \
             '{provisioner}' or manually by the system administrator. On this machine volumes are \
             made for classes of the provisioner '{PROVISIONER}'."
        );
        return ClaimStep::Wait(Event::normal("ExternalProvisioning", text));
    }
    if seen.claim["spec"]["volumeMode"] == "Block" {
        let text = "volumes of this machine are folders: volumeMode must be Filesystem";
        return ClaimStep::Wait(Event::warning("ProvisioningFailed", text));
    }
    if !seen.claim["spec"]["selector"].is_null() {
        let text = "claim.Spec.Selector is not supported for volumes that are made for a claim";
        return ClaimStep::Wait(Event::warning("ProvisioningFailed", text));
    }
    ClaimStep::Provision
}

/// The reference by which a volume names its claim.
pub(super) fn reference(claim: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "namespace": metadata(claim, "namespace"), "name": metadata(claim, "name"),
        "uid": metadata(claim, "uid"), "resourceVersion": metadata(claim, "resourceVersion"),
    })
}

/// The folder that is made for a claim. Its name tells people whose it is.
pub(super) fn folder(folders: &Path, claim: &Value) -> PathBuf {
    let (uid, namespace) = (metadata(claim, "uid"), metadata(claim, "namespace"));
    folders.join(format!("pvc-{uid}_{namespace}_{}", metadata(claim, "name")))
}

/// The volume that is made for a claim.
pub(super) fn provisioned(claim: &Value, class: &Value, folder: &Path) -> Value {
    let mut spec = json!({
        "accessModes": claim["spec"]["accessModes"],
        "capacity": { "storage": claim["spec"]["resources"]["requests"]["storage"] },
        "claimRef": reference(claim),
        "hostPath": { "path": folder, "type": "DirectoryOrCreate" },
        "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
        "storageClassName": metadata(class, "name"),
        "volumeMode": "Filesystem",
    });
    if class["mountOptions"].is_array() {
        spec["mountOptions"] = class["mountOptions"].clone();
    }
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": format!("pvc-{}", metadata(claim, "uid")),
            "annotations": { PROVISIONED_BY: PROVISIONER },
        },
        "spec": spec,
    })
}

/// What a volume needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum VolumeStep {
    /// Its status says this.
    Phase(&'static str),
    /// It may go.
    Release,
    /// Nobody uses it any more: the folder that was made for it goes, and the volume.
    Delete(PathBuf),
    /// It should go, but nobody here knows how.
    Fail(String),
    /// It is nobody's again: the claim took another one.
    Unbind,
    /// Nothing.
    Rest,
}

/// Says what a volume needs. `claim` is the one that it names; `folders` is where folders are made.
pub(super) fn volume(volume: &Value, claim: Option<&Value>, folders: &Path) -> VolumeStep {
    let reference = &volume["spec"]["claimRef"];
    let uid = reference["uid"].as_str().unwrap_or_default();
    let claim = claim.filter(|claim| uid.is_empty() || metadata(claim, "uid") == uid);
    let name = metadata(volume, "name");
    let taken = claim.map(|claim| claim["spec"]["volumeName"].as_str().unwrap_or_default());
    let has_it =
        !reference.is_null() && (taken == Some(name) || (taken == Some("") && !uid.is_empty()));
    if is_deleting(volume) && !has_it {
        return VolumeStep::Release;
    }
    match taken {
        _ if reference.is_null() || uid.is_empty() => VolumeStep::Phase("Available"),
        Some(taken) if taken == name => VolumeStep::Phase("Bound"),
        Some("") => VolumeStep::Rest,
        Some(_) if volume["metadata"]["annotations"][BOUND_BY_US] == "yes" => VolumeStep::Unbind,
        _ => reclaim(volume, folders),
    }
}

/// What becomes of a volume whose claim is gone.
fn reclaim(volume: &Value, folders: &Path) -> VolumeStep {
    match volume["spec"]["persistentVolumeReclaimPolicy"].as_str() {
        Some("Delete") => {}
        Some("Recycle") => return VolumeStep::Fail("volumes are not recycled here".to_owned()),
        _ => return VolumeStep::Phase("Released"),
    }
    let path = volume["spec"]["hostPath"]["path"]
        .as_str()
        .map(PathBuf::from);
    let is_ours = volume["metadata"]["annotations"][PROVISIONED_BY] == PROVISIONER;
    match path.filter(|path| is_ours && path.parent() == Some(folders)) {
        Some(path) => VolumeStep::Delete(path),
        None => VolumeStep::Fail(
            "only folders that were made for a claim are deleted; delete the volume by hand"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests;
