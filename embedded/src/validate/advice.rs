//! What is allowed and still better done otherwise: the warnings of Kubernetes.

use serde_json::Value;

use super::label;
use crate::{
    metadata,
    resource::{Resource, SERVICES},
    store::Object,
};

/// Warnings about an object that was changed.
pub(crate) fn of_changed(resource: &Resource, object: &Object) -> Vec<String> {
    if resource == &SERVICES {
        of_service(&object.value())
    } else {
        Vec::new()
    }
}

fn of_service(service: &Value) -> Vec<String> {
    let spec = &service["spec"];
    if spec["clusterIP"] == "None" && spec["sessionAffinity"] == "ClientIP" {
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
        ("", "Service") => return of_service(object),
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
