//! The pod of one attempt of a Job.

use serde_json::{Map, Value, json};

use super::view::ANNOTATION_ATTEMPT;
use crate::object::metadata;

/// Letters of names: no vowels, so no words.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// A longer name of a Job is cut so that a pod's name fits a label.
const PREFIX_MAX: usize = 63 - 1 - SUFFIX_LENGTH;

/// Returns the pod of an attempt. The same attempt has the same name.
pub(super) fn pod(job: &Value, node: &str, attempt: u32) -> Value {
    let template = &job["spec"]["template"];
    let (name, uid) = (metadata(job, "name"), metadata(job, "uid"));
    let mut labels = map(&template["metadata"]["labels"]);
    for prefix in ["", "batch.kubernetes.io/"] {
        labels.insert(format!("{prefix}controller-uid"), json!(uid));
        labels.insert(format!("{prefix}job-name"), json!(name));
    }
    let mut annotations = map(&template["metadata"]["annotations"]);
    annotations.insert(ANNOTATION_ATTEMPT.to_owned(), json!(attempt.to_string()));
    let mut spec = map(&template["spec"]);
    // There is one node, and a pod that has it is asked to end before it is removed.
    spec.entry("nodeName").or_insert_with(|| json!(node));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{}-{}", prefix(name), suffix(uid, attempt)),
            "generateName": format!("{}-", prefix(name)),
            "namespace": metadata(job, "namespace"),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn prefix(name: &str) -> &str {
    name.get(..PREFIX_MAX).unwrap_or(name)
}

/// Five letters from the Job and the attempt: FNV-1a, which is the same in every build.
fn suffix(uid: &str, attempt: u32) -> String {
    let bytes = uid.bytes().chain(attempt.to_le_bytes());
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The last bytes have moved only the lower half much.
    hash ^= hash >> 32;
    let mut text = String::with_capacity(SUFFIX_LENGTH);
    for _ in 0..SUFFIX_LENGTH {
        text.push(char::from(LETTERS[(hash % LETTERS.len() as u64) as usize]));
        hash /= LETTERS.len() as u64;
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_attempt_has_one_name_and_others_have_others() {
        let names: HashSet<String> = (0..1000)
            .map(|attempt| suffix("some-uid", attempt))
            .collect();
        assert_eq!(names.len(), 1000);
        assert_eq!(suffix("some-uid", 3), suffix("some-uid", 3));
    }

    #[test]
    fn a_pod_belongs_to_its_job_and_keeps_the_template() {
        let job = json!({
            "metadata": { "name": "j".repeat(80), "namespace": "n", "uid": "u" },
            "spec": { "template": {
                "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } },
                "spec": { "containers": [{ "name": "x" }] },
            }},
        });
        let pod = pod(&job, "node", 2);
        assert!(metadata(&pod, "name").len() <= 63);
        assert_eq!(pod["metadata"]["labels"]["a"], "b");
        assert_eq!(
            pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"],
            "u"
        );
        assert_eq!(
            pod["metadata"]["annotations"],
            json!({ "c": "d", "diwan.dev/attempt": "2" })
        );
        assert_eq!(
            pod["metadata"]["ownerReferences"][0]["blockOwnerDeletion"],
            true
        );
        assert_eq!(pod["spec"]["containers"][0]["name"], "x");
        assert_eq!(pod["spec"]["nodeName"], "node");
    }
}
