//! What the server puts into new objects by itself, which nobody owns: what Kubernetes does on
//! admission and in its strategies, as opposed to defaults, which belong to who left them out.

use serde_json::Value;

use super::{element, entry::Entries, set::FieldSet};
use crate::resource::Resource;

/// Kinds, and paths of such fields.
const MADE: [(&str, &[&str]); 17] = [
    ("Event", &["reportingComponent"]),
    ("Event", &["reportingInstance"]),
    ("Namespace", &["spec", "finalizers"]),
    ("Pod", &["spec", "preemptionPolicy"]),
    ("Pod", &["spec", "priority"]),
    ("Pod", &["spec", "serviceAccount"]),
    ("Pod", &["spec", "serviceAccountName"]),
    ("Service", &["spec", "clusterIP"]),
    ("Service", &["spec", "clusterIPs"]),
    ("Service", &["spec", "ipFamilies"]),
    ("Service", &["spec", "ipFamilyPolicy"]),
    ("Job", &["spec", "selector"]),
    ("Job", &["spec", "template", "metadata", "labels"]),
    (
        "Job",
        &["spec", "template", "metadata", "labels", "job-name"],
    ),
    (
        "Job",
        &["spec", "template", "metadata", "labels", "controller-uid"],
    ),
    (
        "Job",
        &[
            "spec",
            "template",
            "metadata",
            "labels",
            "batch.kubernetes.io/job-name",
        ],
    ),
    (
        "Job",
        &[
            "spec",
            "template",
            "metadata",
            "labels",
            "batch.kubernetes.io/controller-uid",
        ],
    ),
];

/// The fields that the server makes in an object, of those that the client has not sent.
pub(crate) fn made(resource: &Resource, sent: &Value) -> FieldSet {
    let mut fields = FieldSet::default();
    for (_, path) in MADE.iter().filter(|(kind, _)| *kind == resource.kind) {
        let value = path.iter().try_fold(sent, |value, name| value.get(name));
        if value.is_none_or(Value::is_null) {
            let steps: Vec<String> = path.iter().map(|name| element::field(name)).collect();
            fields.insert(&steps);
        }
    }
    fields
}

/// Takes the fields away from who owns them in an object.
pub(crate) fn disown(object: &mut Value, fields: &FieldSet) {
    if fields.is_empty() {
        return;
    }
    let mut entries = Entries::of_live(Some(object));
    entries.lose(fields, None);
    entries.write(object);
}
