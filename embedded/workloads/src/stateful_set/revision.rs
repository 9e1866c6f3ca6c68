//! The revisions of a StatefulSet's template, kept as ControllerRevisions. Pure.

use serde_json::{Value, json};

use crate::object::{metadata, number, reference};
use crate::template::{is_same, word};

/// On ControllerRevisions: the word for the template.
const HASH: &str = "controller.kubernetes.io/hash";

/// The template that a revision keeps.
pub(super) fn template(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    template
}

/// The revision of the set's template, if there is one.
pub(super) fn of<'a>(set: &Value, revisions: &[&'a Value]) -> Option<&'a Value> {
    let wanted = &set["spec"]["template"];
    revisions
        .iter()
        .copied()
        .find(|revision| is_same(&template(revision), wanted))
}

/// The number of the newest revision and one more.
pub(super) fn next(revisions: &[&Value]) -> u64 {
    let numbers = revisions
        .iter()
        .map(|revision| number(&revision["revision"], 0));
    numbers.max().unwrap_or(0) + 1
}

/// A new revision of the set's template.
pub(super) fn make(set: &Value, number: u64, collisions: u64) -> Value {
    let word = word(&set["spec"]["template"], collisions);
    let mut labels = set["spec"]["template"]["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.insert(HASH.to_owned(), json!(word));
    // As a patch that puts the template back: `kubectl rollout undo` sends it as it is.
    let mut template = set["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    json!({
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{}-{word}", metadata(set, "name")),
            "namespace": metadata(set, "namespace"),
            "labels": labels,
            "ownerReferences": [reference(set)],
        },
        "data": { "spec": { "template": template } },
        "revision": number,
    })
}
