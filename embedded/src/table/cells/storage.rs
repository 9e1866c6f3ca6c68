//! Cells of volumes, claims and their classes.

use serde_json::{Value, json};

use super::{items, text};
use crate::{metadata, storage_class};

/// Of a claim.
pub(super) fn claim(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let bound = !text(&spec["volumeName"]).is_empty();
    let phase = phase(object);
    let (capacity, modes) = if bound {
        (
            text(&status["capacity"]["storage"]),
            modes(&status["accessModes"]),
        )
    } else {
        ("", String::new())
    };
    vec![
        json!(name),
        json!(phase),
        json!(text(&spec["volumeName"])),
        json!(capacity),
        json!(modes),
        json!(text(&spec["storageClassName"])),
        json!(attributes(spec)),
        json!(age),
        json!(text(&spec["volumeMode"])),
    ]
}

/// Of a volume.
pub(super) fn volume(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let claim = &spec["claimRef"];
    let claim = if claim.is_object() {
        format!("{}/{}", text(&claim["namespace"]), text(&claim["name"]))
    } else {
        String::new()
    };
    vec![
        json!(name),
        json!(text(&spec["capacity"]["storage"])),
        json!(modes(&spec["accessModes"])),
        json!(text(&spec["persistentVolumeReclaimPolicy"])),
        json!(phase(object)),
        json!(claim),
        json!(text(&spec["storageClassName"])),
        json!(attributes(spec)),
        json!(text(&status["reason"])),
        json!(age),
        json!(text(&spec["volumeMode"])),
    ]
}

/// Of a class.
pub(super) fn class(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let name = if storage_class::is_default(object) {
        format!("{name} (default)")
    } else {
        name.to_owned()
    };
    vec![
        json!(name),
        json!(text(&object["provisioner"])),
        json!(text(&object["reclaimPolicy"])),
        json!(text(&object["volumeBindingMode"])),
        json!(object["allowVolumeExpansion"] == true),
        json!(age),
    ]
}

fn phase(object: &Value) -> &str {
    if metadata::is_deleting(object) {
        return "Terminating";
    }
    text(&object["status"]["phase"])
}

fn attributes(spec: &Value) -> &str {
    spec["volumeAttributesClassName"]
        .as_str()
        .unwrap_or("<unset>")
}

/// Access modes by their initials, in the order in which kubectl has them.
fn modes(list: &Value) -> String {
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let short = known
        .iter()
        .filter(|(mode, _)| items(list).iter().any(|known| known == mode));
    short.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}
