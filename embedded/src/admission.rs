//! What Kubernetes itself does to objects before they are stored: the account and priority of
//! pods, and the limits of namespaces. Webhooks and our own rules come after it.

mod limit_range;
mod priority;
pub(crate) mod quantity;
pub(crate) mod quota;
mod resources;
mod service_account;

use serde_json::Value;

use self::quantity::Quantity;
use crate::{
    api::Api,
    default, metadata,
    resource::{
        LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, PODS, PRIORITY_CLASSES, Resource, SERVICE_ACCOUNTS,
        STORAGE_CLASSES,
    },
    status::Status,
};

/// Changes a new object, or refuses it.
pub(crate) fn mutate(
    api: &Api,
    resource: &'static Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Status> {
    if resource.custom {
        return Ok(());
    }
    let name = metadata::name(object).to_owned();
    let refuse = |why: String| Status::forbidden(resource, &name, &why);
    match resource.kind {
        "Pod" => pod(api, namespace, object).map_err(refuse),
        "PersistentVolumeClaim" => {
            let ranges = api.list(&LIMIT_RANGES, Some(namespace)).0;
            limit_range::check_claim(&ranges, object).map_err(refuse)
        }
        "PriorityClass" => {
            let classes = api.list(&PRIORITY_CLASSES, None).0;
            priority::check_class(&classes, object).map_err(refuse)
        }
        _ => Ok(()),
    }
}

/// Refuses a change of an object.
pub(crate) fn check_change(
    api: &Api,
    resource: &'static Resource,
    old: &Value,
    new: &Value,
) -> Result<(), Status> {
    if resource != &PERSISTENT_VOLUME_CLAIMS || old["status"]["phase"] != "Bound" {
        return Ok(());
    }
    if Quantity::of_claim(new) <= Quantity::of_claim(old) {
        return Ok(());
    }
    let class = new["spec"]["storageClassName"].as_str().unwrap_or_default();
    let class = api.get(&STORAGE_CLASSES, "", class);
    if class.is_some_and(|class| class["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions \
               the pvc must support resize";
    Err(Status::forbidden(resource, metadata::name(new), why))
}

/// Gives a pod its service account, if this server has any.
fn account(api: &Api, namespace: &str, pod: &mut Value) -> Result<(), String> {
    if !api.has_accounts() {
        return Ok(());
    }
    service_account::choose(pod);
    let account = service_account::name(pod);
    let found = api.get(&SERVICE_ACCOUNTS, namespace, account);
    let found = found.ok_or_else(|| {
        format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} \
             not found"
        )
    })?;
    service_account::mount(pod, &found);
    Ok(())
}

fn pod(api: &Api, namespace: &str, pod: &mut Value) -> Result<(), String> {
    account(api, namespace, pod)?;
    let wanted = priority::class_name(pod);
    let class = if wanted.is_empty() {
        priority::default_class(&api.list(&PRIORITY_CLASSES, None).0)
    } else {
        let class = api.get(&PRIORITY_CLASSES, "", wanted);
        Some(class.ok_or_else(|| format!("no PriorityClass with name {wanted} was found"))?)
    };
    priority::set(pod, class.as_deref())?;
    let ranges = api.list(&LIMIT_RANGES, Some(namespace)).0;
    if ranges.is_empty() {
        return Ok(());
    }
    if limit_range::fill(&ranges, pod) {
        // The quality of service follows from the resources.
        if let Some(status) = pod["status"].as_object_mut() {
            status.remove("qosClass");
        }
        default::apply(&PODS, pod);
    }
    limit_range::check_pod(&ranges, pod)
}
