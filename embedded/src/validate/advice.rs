//! What is allowed and still better done otherwise: the warnings of Kubernetes.

use serde_json::Value;

use super::label;
use crate::{
    metadata,
    resource::{Resource, SERVICES},
};

/// Warnings about any object that is written.
pub(crate) fn of_any(resource: &Resource, object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let is_headless = resource == &SERVICES && spec["clusterIP"] == "None";
    if is_headless && spec["sessionAffinity"] == "ClientIP" {
        vec!["spec.SessionAffinity is ignored for headless services".to_owned()]
    } else {
        Vec::new()
    }
}

/// Warnings about a new object.
pub(crate) fn of(resource: &Resource, object: &Value) -> Vec<String> {
    let used = match (resource.group, resource.kind) {
        ("", "Pod") => "the Pod's hostname",
        ("apps" | "batch", "Job" | "CronJob" | "Deployment" | "ReplicaSet" | "StatefulSet") => {
            "Pod names and hostnames"
        }
        _ => return of_any(resource, object),
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
