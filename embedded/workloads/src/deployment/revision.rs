//! Which revision of a Deployment a ReplicaSet is, and what it carries of the Deployment. Pure.

use serde_json::{Map, Value, json};

use super::size::{Bounds, DESIRED, MOST};
use crate::object::{metadata, reference};
use crate::template::HASH;

/// On Deployments and ReplicaSets: the revision.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// On ReplicaSets: the revisions they were before.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// Annotations that are the Deployment's own.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
];

/// The revision of a ReplicaSet; 0 when it has none.
pub(super) fn revision(set: &Value) -> u64 {
    let text = set["metadata"]["annotations"][REVISION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The annotations of a ReplicaSet that is this revision.
pub(super) fn annotations(
    deployment: &Value,
    set: Option<&Value>,
    revision: u64,
) -> Map<String, Value> {
    let map = |object: &Value| object["metadata"]["annotations"].as_object().cloned();
    let mut annotations = set.and_then(map).unwrap_or_default();
    let inherited = map(deployment).unwrap_or_default().into_iter();
    annotations.extend(inherited.filter(|(key, _)| !OWN.contains(&key.as_str())));
    let old = set.map_or(0, self::revision);
    if old < revision {
        annotations.insert(REVISION.into(), json!(revision.to_string()));
        if old > 0 {
            let history = annotations.get(HISTORY).and_then(Value::as_str);
            let history = history.map_or_else(|| old.to_string(), |known| format!("{known},{old}"));
            annotations.insert(HISTORY.into(), json!(history));
        }
    }
    annotations
}

/// The annotations that say for which size of the Deployment a ReplicaSet has its own.
pub(super) fn sized(annotations: &mut Map<String, Value>, bounds: Bounds) {
    annotations.insert(DESIRED.into(), json!(bounds.wanted.to_string()));
    annotations.insert(MOST.into(), json!(bounds.most.to_string()));
}

/// The ReplicaSet of a Deployment's template.
pub(super) fn replica_set(deployment: &Value, word: &str, size: u64, revision: u64) -> Value {
    let spec = &deployment["spec"];
    let mut template = spec["template"].clone();
    template["metadata"]["labels"][HASH] = json!(word);
    let mut selector = spec["selector"].clone();
    selector["matchLabels"][HASH] = json!(word);
    let mut annotations = annotations(deployment, None, revision);
    sized(&mut annotations, Bounds::of(deployment));
    let mut set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{word}", metadata(deployment, "name")),
            "namespace": metadata(deployment, "namespace"),
            "labels": template["metadata"]["labels"],
            "annotations": annotations,
            "ownerReferences": [reference(deployment)],
        },
        "spec": { "replicas": size, "selector": selector, "template": template },
    });
    if !spec["minReadySeconds"].is_null() {
        set["spec"]["minReadySeconds"] = spec["minReadySeconds"].clone();
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_used_again_becomes_the_newest_and_remembers_what_it_was() {
        let deployment = json!({ "metadata": { "annotations": {
            "kubernetes.io/change-cause": "back", REVISION: "4",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        }}});
        let set = json!({ "metadata": { "annotations": { REVISION: "2", HISTORY: "1" } } });
        let annotations = annotations(&deployment, Some(&set), 5);
        assert_eq!(
            Value::Object(annotations),
            json!({ REVISION: "5", HISTORY: "1,2", "kubernetes.io/change-cause": "back" })
        );
    }
}
