//! Defaults of the volumes of pods.

use serde_json::{Map, Value, json};

use super::{child, each, inner, reference, set};

/// Sets what a volume leaves out.
pub(super) fn apply(volume: &mut Map<String, Value>) {
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = inner(volume, source) {
            set(source, "defaultMode", json!(0o644));
        }
    }
    if let Some(folder) = inner(volume, "hostPath") {
        set(folder, "type", json!(""));
    }
    if let Some(source) = inner(volume, "downwardAPI") {
        each(source, "items").for_each(reference);
    }
    if let Some(projected) = inner(volume, "projected") {
        for source in each(projected, "sources") {
            if let Some(token) = inner(source, "serviceAccountToken") {
                set(token, "expirationSeconds", json!(3600));
            }
            if let Some(source) = inner(source, "downwardAPI") {
                each(source, "items").for_each(reference);
            }
        }
    }
    if let Some(claim) = inner(volume, "ephemeral").and_then(|e| inner(e, "volumeClaimTemplate")) {
        child(claim, "metadata");
        if let Some(spec) = child(claim, "spec") {
            set(spec, "volumeMode", json!("Filesystem"));
        }
    }
    // A volume without a source is an empty folder.
    if volume.len() == 1 && volume.contains_key("name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
}
