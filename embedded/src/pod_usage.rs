//! The port to whoever knows what pods use, and what it says as the API `metrics.k8s.io` has it.

use jiff::Timestamp;
use serde_json::{Value, json};

/// What a container, or the machine, uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// The container's name; the node's for the machine.
    pub name: String,
    /// Processors, in billionths of one.
    pub cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
}

/// What is known of one pod, or of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// When it was measured.
    pub at: Timestamp,
    /// Over how many seconds the use of processors is the average.
    pub window: f64,
    /// A row for each container, or one for the machine.
    pub usage: Vec<Usage>,
}

/// Knows what pods use.
pub trait PodUsage: Send + Sync {
    /// What a pod's containers use; none when it does not run.
    fn pod(&self, pod: &Value) -> Option<Measured>;

    /// What the machine uses.
    fn node(&self) -> Option<Measured>;
}

/// The group of the API, of which nothing is stored.
pub(crate) const GROUP: &str = "metrics.k8s.io";
/// Its version.
pub(crate) const VERSION: &str = "v1beta1";
/// Both.
pub(crate) const GROUP_VERSION: &str = "metrics.k8s.io/v1beta1";
/// What there is in it: names, kinds, and whether they are in namespaces.
const RESOURCES: [(&str, &str, bool); 2] = [
    ("nodes", "NodeMetrics", false),
    ("pods", "PodMetrics", true),
];

/// The `PodMetrics` of a pod.
pub(crate) fn pod_metrics(pod: &Value, measured: &Measured) -> Value {
    let containers = measured
        .usage
        .iter()
        .map(|usage| json!({ "name": usage.name, "usage": amounts(usage) }));
    let mut object = metrics("PodMetrics", pod, measured);
    object["metadata"]["namespace"] = pod["metadata"]["namespace"].clone();
    object["containers"] = containers.collect();
    object
}

/// The `NodeMetrics` of the machine.
pub(crate) fn node_metrics(node: &Value, measured: &Measured) -> Value {
    let mut object = metrics("NodeMetrics", node, measured);
    object["usage"] = measured.usage.first().map_or(Value::Null, amounts);
    object
}

fn metrics(kind: &str, of: &Value, measured: &Measured) -> Value {
    let at = crate::metadata::time(measured.at);
    let mut metadata = json!({ "name": of["metadata"]["name"], "creationTimestamp": at });
    if of["metadata"]["labels"].is_object() {
        metadata["labels"] = of["metadata"]["labels"].clone();
    }
    json!({
        "kind": kind,
        "apiVersion": GROUP_VERSION,
        "metadata": metadata,
        "timestamp": at,
        "window": format!("{:.3}s", measured.window),
    })
}

fn amounts(usage: &Usage) -> Value {
    json!({
        "cpu": format!("{}n", usage.cpu),
        "memory": format!("{}Ki", usage.memory / 1024),
    })
}

/// The group as discovery says it.
pub(crate) fn group() -> Value {
    let version = json!({ "groupVersion": GROUP_VERSION, "version": VERSION });
    json!({ "name": GROUP, "versions": [version], "preferredVersion": version })
}

/// What there is in it, as discovery says it.
pub(crate) fn resources() -> Value {
    let list = RESOURCES.map(|(name, kind, namespaced)| {
        json!({
            "name": name, "singularName": "", "namespaced": namespaced, "kind": kind,
            "verbs": ["get", "list"],
        })
    });
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": list,
    })
}

/// The group with what there is in it, as discovery says it in one document.
pub(crate) fn aggregated() -> Value {
    let list = RESOURCES.map(|(name, kind, namespaced)| {
        json!({
            "resource": name,
            "responseKind": { "group": GROUP, "version": VERSION, "kind": kind },
            "scope": if namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": "",
            "verbs": ["get", "list"],
        })
    });
    json!({
        "metadata": { "name": GROUP, "creationTimestamp": null },
        "versions": [{ "version": VERSION, "resources": list, "freshness": "Current" }],
    })
}
