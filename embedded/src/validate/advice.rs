//! What is allowed and still better done otherwise: the warnings of Kubernetes.

use serde_json::Value;

use super::label;
use crate::{metadata, resource::Resource};

/// Warnings about a new object.
pub(crate) fn of(resource: &Resource, object: &Value) -> Vec<String> {
    let used = match (resource.group, resource.kind) {
        ("", "Pod") => "the Pod's hostname",
        ("apps" | "batch", "Job" | "CronJob" | "Deployment" | "ReplicaSet" | "StatefulSet") => {
            "Pod names and hostnames"
        }
        _ => return Vec::new(),
    };
    let wrong = label(metadata::name(object)).into_iter();
    wrong
        .map(|wrong| {
            format!(
                "metadata.name: this is used in {used}, which can result in surprising behavior; \
                 a DNS label is recommended: [{wrong}]"
            )
        })
        .collect()
}
