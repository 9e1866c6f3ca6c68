//! The pods of a StatefulSet and their claims. Pure.

use serde_json::{Map, Value, json};

use crate::object::{metadata, reference};

/// On pods: the revision of the template they were made from.
pub(super) const REVISION: &str = "controller-revision-hash";

/// The name of the pod with that number.
pub(super) fn name(set: &Value, ordinal: u64) -> String {
    format!("{}-{ordinal}", metadata(set, "name"))
}

/// The number of a pod, if its name is one of the set's.
pub(super) fn ordinal(set: &Value, pod: &str) -> Option<u64> {
    pod.strip_prefix(metadata(set, "name"))?
        .strip_prefix('-')?
        .parse()
        .ok()
}

/// The names of the claims of the pod with that number, by the volume that they are mounted as.
pub(super) fn claims(set: &Value, ordinal: u64) -> Vec<(String, Value)> {
    let pod = name(set, ordinal);
    let templates = set["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten();
    templates
        .map(|template| {
            let volume = metadata(template, "name");
            let mut claim = json!({
                "metadata": {
                    "name": format!("{volume}-{pod}"),
                    "labels": labels(&template["metadata"]["labels"], &set["spec"]["selector"]["matchLabels"]),
                },
                "spec": template["spec"],
            });
            if template["metadata"]["annotations"].is_object() {
                claim["metadata"]["annotations"] = template["metadata"]["annotations"].clone();
            }
            if set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete" {
                let mut owner = reference(set);
                owner["controller"] = json!(true);
                claim["metadata"]["ownerReferences"] = json!([owner]);
            }
            (volume.to_owned(), claim)
        })
        .collect()
}

fn labels(own: &Value, more: &Value) -> Map<String, Value> {
    let mut labels = own.as_object().cloned().unwrap_or_default();
    labels.extend(more.as_object().cloned().unwrap_or_default());
    labels
}

/// The pod with that number, from a revision's template.
pub(super) fn pod(
    set: &Value,
    template: &Value,
    revision: &str,
    ordinal: u64,
    node: &str,
) -> Value {
    let name = name(set, ordinal);
    let mut spec = template["spec"].clone();
    spec["hostname"] = json!(name);
    spec["subdomain"] = set["spec"]["serviceName"].clone();
    if spec["nodeName"].is_null() {
        spec["nodeName"] = json!(node);
    }
    let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    for (volume, claim) in claims(set, ordinal) {
        volumes.retain(|known| known["name"] != *volume);
        let source = json!({ "claimName": metadata(&claim, "name") });
        volumes.push(json!({ "name": volume, "persistentVolumeClaim": source }));
    }
    if !volumes.is_empty() {
        spec["volumes"] = json!(volumes);
    }
    let mut labels = template["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), json!(name));
    labels.insert(
        "apps.kubernetes.io/pod-index".to_owned(),
        json!(ordinal.to_string()),
    );
    labels.insert(REVISION.to_owned(), json!(revision));
    let mut metadata = json!({
        "name": name, "generateName": format!("{}-", crate::object::metadata(set, "name")),
        "labels": labels, "ownerReferences": [reference(set)],
    });
    if template["metadata"]["annotations"].is_object() {
        metadata["annotations"] = template["metadata"]["annotations"].clone();
    }
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
}
