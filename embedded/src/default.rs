//! Fields that get a value when the client leaves them out, as Kubernetes gives it.

mod apps;
mod job;
mod limit_range;
mod pod;
mod rbac;
mod secret;
mod service;
pub(crate) mod storage;

use serde_json::{Map, Value, json};

use crate::{metadata, resource::Resource};

/// Sets what is left out. Does nothing to an object that has its defaults.
pub(crate) fn apply(resource: &Resource, object: &mut Value) {
    if resource.custom {
        return;
    }
    match resource.kind {
        "Pod" => pod::apply(object),
        "Job" => job::apply(object),
        "Secret" => secret::apply(object),
        "Service" => service::apply(object),
        "Endpoints" => service::endpoints(object),
        "EndpointSlice" => service::slice(object),
        "Deployment" => apps::deployment(object),
        "ReplicaSet" => apps::replica_set(object),
        "StatefulSet" => apps::stateful_set(object),
        "CronJob" => apps::cron_job(object),
        "PersistentVolumeClaim" => storage::claim(object),
        "PersistentVolume" => storage::volume(object),
        "StorageClass" => storage::class(object),
        "Namespace" => namespace(object),
        "RoleBinding" | "ClusterRoleBinding" => rbac::apply(object),
        "PriorityClass" => priority_class(object),
        "LimitRange" => limit_range::apply(object),
        "Event" => event(object),
        _ => {}
    }
}

/// Names a new object that needs no name. Among all kinds these are ranges.
pub(crate) fn name(resource: &Resource, object: &mut Value) {
    let is_named = ["name", "generateName"]
        .iter()
        .any(|field| !metadata::text(object, field).is_empty());
    if resource.kind == "LimitRange" && !is_named {
        metadata::set(object, "name", uuid::Uuid::new_v4().to_string());
    }
}

fn priority_class(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        set(fields, "preemptionPolicy", json!("PreemptLowerPriority"));
    }
}

fn namespace(object: &mut Value) {
    let name = metadata::name(object).to_owned();
    if let Some(labels) = metadata::of(object).and_then(|metadata| child(metadata, "labels")) {
        labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    set(fields, "spec", json!({ "finalizers": ["kubernetes"] }));
    if fields["spec"].as_object().is_some_and(Map::is_empty) {
        fields["spec"] = json!({ "finalizers": ["kubernetes"] });
    }
    set(fields, "status", json!({ "phase": "Active" }));
}

/// The fields that every event has, as core/v1 writes it.
fn event(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        set(fields, "reportingComponent", json!(""));
        set(fields, "reportingInstance", json!(""));
        set(fields, "source", json!({}));
    }
}

/// Sets a field that is absent or null.
fn set(fields: &mut Map<String, Value>, field: &str, value: Value) {
    if fields.get(field).is_none_or(Value::is_null) {
        fields.insert(field.to_owned(), value);
    }
}

/// An object in a field, made when absent; `None` when something else is there.
fn child<'a>(
    fields: &'a mut Map<String, Value>,
    field: &str,
) -> Option<&'a mut Map<String, Value>> {
    set(fields, field, Value::Object(Map::new()));
    fields.get_mut(field)?.as_object_mut()
}

/// An object in a field, if there is one.
fn inner<'a>(
    fields: &'a mut Map<String, Value>,
    field: &str,
) -> Option<&'a mut Map<String, Value>> {
    fields.get_mut(field)?.as_object_mut()
}

/// The objects in a list.
fn each<'a>(
    fields: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    let list = fields.get_mut(field).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}
