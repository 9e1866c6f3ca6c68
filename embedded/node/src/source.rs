//! What variables and volumes take their values from: ConfigMaps, Secrets, fields of the pod.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::ResourceFieldSelector;
use serde_json::Value;

use crate::pod::Pod;
use crate::quantity;
use crate::refusal::Refusal;

/// The entries of a ConfigMap or Secret.
pub(crate) type Entries = BTreeMap<String, Vec<u8>>;

/// Finds objects of the pod's namespace.
pub(crate) trait Lookup {
    /// The pod of that name.
    fn pod(&self, name: &str) -> Option<Arc<Value>>;
    /// The ConfigMap of that name.
    fn config_map(&self, name: &str) -> Option<Arc<Value>>;
    /// The Secret of that name.
    fn secret(&self, name: &str) -> Option<Arc<Value>>;
    /// The PersistentVolumeClaim of that name.
    fn claim(&self, name: &str) -> Option<Arc<Value>>;
    /// The services of the namespace.
    fn services(&self) -> Vec<Arc<Value>>;
    /// The PersistentVolume of that name, which is in no namespace.
    fn volume(&self, name: &str) -> Option<Arc<Value>>;
}

/// Returns the entries of a ConfigMap; an optional one that is missing has none.
///
/// # Errors
/// It is missing and not optional.
pub(crate) fn config_map(
    lookup: &dyn Lookup,
    name: &str,
    optional: bool,
) -> Result<Option<Entries>, Refusal> {
    let Some(object) = lookup.config_map(name) else {
        return missing(optional, format!("configmap {name:?} not found"));
    };
    let mut entries = texts(&object["data"]);
    entries.extend(encoded(&object["binaryData"]));
    Ok(Some(entries))
}

/// Returns the entries of a Secret; an optional one that is missing has none.
///
/// # Errors
/// It is missing and not optional.
pub(crate) fn secret(
    lookup: &dyn Lookup,
    name: &str,
    optional: bool,
) -> Result<Option<Entries>, Refusal> {
    let Some(object) = lookup.secret(name) else {
        return missing(optional, format!("secret {name:?} not found"));
    };
    let mut entries = encoded(&object["data"]);
    entries.extend(texts(&object["stringData"]));
    Ok(Some(entries))
}

/// Nothing when that is allowed.
fn missing(optional: bool, message: String) -> Result<Option<Entries>, Refusal> {
    if optional {
        Ok(None)
    } else {
        Err(Refusal::Waiting(message))
    }
}

fn texts(data: &Value) -> Entries {
    let pairs = data.as_object().into_iter().flatten();
    pairs
        .filter_map(|(k, v)| Some((k.clone(), v.as_str()?.as_bytes().to_vec())))
        .collect()
}

fn encoded(data: &Value) -> Entries {
    let pairs = data.as_object().into_iter().flatten();
    pairs
        .filter_map(|(k, v)| Some((k.clone(), BASE64_STANDARD.decode(v.as_str()?).ok()?)))
        .collect()
}

/// Returns the value of a field of the pod.
///
/// # Errors
/// The field is not one that pods can ask for.
pub(crate) fn field(pod: &Pod, path: &str) -> Result<String, Refusal> {
    let metadata = &pod.object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some((map, key)) = path.strip_suffix("']").and_then(|p| p.split_once("['")) {
        match map {
            "metadata.labels" => return Ok(text(&metadata["labels"][key])),
            "metadata.annotations" => return Ok(text(&metadata["annotations"][key])),
            _ => {}
        }
    }
    Ok(match path {
        "metadata.name" => pod.name.clone(),
        "metadata.namespace" => pod.namespace.clone(),
        "metadata.uid" => pod.uid.clone(),
        "metadata.labels" => lines(&metadata["labels"]),
        "metadata.annotations" => lines(&metadata["annotations"]),
        "spec.nodeName" => pod.node_name.clone(),
        "spec.serviceAccountName" => pod.account().to_owned(),
        "status.hostIP" | "status.hostIPs" => "127.0.0.1".into(),
        "status.podIP" | "status.podIPs" => pod.address().to_string(),
        _ => return Err(Refusal::Broken(format!("field {path:?} is not supported"))),
    })
}

/// A map as a downward API volume shows it: sorted, the values quoted.
fn lines(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let sorted: BTreeMap<&String, &Value> = pairs.collect();
    let lines = sorted
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a container's request or limit, in units of the divisor, rounded up.
///
/// # Errors
/// The container or the resource does not exist, or a number cannot be read.
pub(crate) fn resource(
    pod: &Pod,
    container: &str,
    selector: &ResourceFieldSelector,
) -> Result<String, Refusal> {
    let broken = |what: &str| Refusal::Broken(format!("resource {what:?} is not supported"));
    let name = selector.container_name.as_deref().unwrap_or(container);
    let resources = pod
        .containers()
        .find(|c| c.name == name)
        .ok_or_else(|| Refusal::Broken(format!("container {name:?} not found")))?
        .resources
        .as_ref();
    let (kind, resource) = selector
        .resource
        .split_once('.')
        .ok_or_else(|| broken(&selector.resource))?;
    let map = match kind {
        "limits" => resources.and_then(|r| r.limits.as_ref()),
        "requests" => resources.and_then(|r| r.requests.as_ref()),
        _ => return Err(broken(&selector.resource)),
    };
    let amount = match map.and_then(|m| m.get(resource)) {
        Some(amount) => quantity::parse(&amount.0),
        // Without a limit the container may use the machine.
        None if kind == "limits" => pod.machine(resource),
        None => Some(0.0),
    };
    let divisor = selector
        .divisor
        .as_ref()
        .map_or(Some(1.0), |d| match d.0.as_str() {
            "" | "0" => Some(1.0),
            text => quantity::parse(text),
        });
    match (amount, divisor) {
        (Some(amount), Some(divisor)) if divisor > 0.0 => {
            Ok(format!("{}", (amount / divisor).ceil()))
        }
        _ => Err(broken(&selector.resource)),
    }
}
