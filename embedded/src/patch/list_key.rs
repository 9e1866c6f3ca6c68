//! Which lists of built-in kinds are merged item by item, and by which key.

use serde_json::Value;

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKey {
    /// By a field of each item.
    Field(&'static str),
    /// By the item itself: a set of simple values.
    Set,
}

/// How the list in a field is merged; `None` when it is replaced as a whole. `items` decides
/// where the name of the field alone does not: a container's and a service's ports differ.
pub(super) fn of(field: &str, items: &[Value]) -> Option<ListKey> {
    let key = match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "secrets"
        | "resourceClaims" => "name",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "conditions" | "addresses" => "type",
        "ownerReferences" => "uid",
        "hostAliases" | "podIPs" | "hostIPs" => "ip",
        "topologySpreadConstraints" => "topologyKey",
        "taints" => "key",
        "ports" if items.iter().any(|port| port.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "finalizers" => return Some(ListKey::Set),
        _ => return None,
    };
    // Without the key in every item, as in a set of names, the list is replaced.
    let keyed = |item: &Value| item.get(key).is_some() || item.get("$patch").is_some();
    items.iter().all(keyed).then_some(ListKey::Field(key))
}
