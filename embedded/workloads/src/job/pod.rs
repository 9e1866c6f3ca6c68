//! The pod of one attempt of a Job.

use serde_json::{Map, Value, json};

use super::view::{ANNOTATION_ATTEMPT, COMPLETION_INDEX};
use crate::object::metadata;

/// Letters of names: no vowels, so no words.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// A longer name of a Job is cut so that a pod's name fits a label.
const PREFIX_MAX: usize = 63 - 1 - SUFFIX_LENGTH;

/// The variable in which a pod of an indexed Job finds its index.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// One pod that a Job is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Its number: no two pods of a Job have the same.
    pub(super) number: u32,
    /// Which part of the work of an indexed Job is its.
    pub(super) index: Option<u32>,
}

/// Returns the pod of an attempt. The same attempt has the same name.
pub(super) fn pod(job: &Value, node: &str, attempt: Attempt) -> Value {
    let template = &job["spec"]["template"];
    let (name, uid) = (metadata(job, "name"), metadata(job, "uid"));
    let mut labels = map(&template["metadata"]["labels"]);
    for prefix in ["", "batch.kubernetes.io/"] {
        labels.insert(format!("{prefix}controller-uid"), json!(uid));
        labels.insert(format!("{prefix}job-name"), json!(name));
    }
    let mut annotations = map(&template["metadata"]["annotations"]);
    annotations.insert(
        ANNOTATION_ATTEMPT.to_owned(),
        json!(attempt.number.to_string()),
    );
    let mut spec = map(&template["spec"]);
    let mut prefix = prefix(name, 0).to_owned();
    if let Some(index) = attempt.index {
        let text = index.to_string();
        prefix = format!("{}-{text}", self::prefix(name, text.len() + 1));
        labels.insert(COMPLETION_INDEX.to_owned(), json!(text));
        annotations.insert(COMPLETION_INDEX.to_owned(), json!(text));
        tell_index(&mut spec, &prefix);
    }
    // There is one node, and a pod that has it is asked to end before it is removed.
    spec.entry("nodeName").or_insert_with(|| json!(node));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{prefix}-{}", suffix(uid, attempt.number)),
            "generateName": format!("{prefix}-"),
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

/// The start of a pod's name, which leaves room for some letters more.
fn prefix(name: &str, room: usize) -> &str {
    name.get(..PREFIX_MAX - room).unwrap_or(name)
}

/// Makes a pod's index known to its programs, and gives it a name among the others.
fn tell_index(spec: &mut Map<String, Value>, host: &str) {
    spec.insert("hostname".to_owned(), json!(host));
    let path = format!("metadata.labels['{COMPLETION_INDEX}']");
    let variable = json!({
        "name": INDEX_VARIABLE, "valueFrom": { "fieldRef": { "fieldPath": path } },
    });
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let Some(fields) = container.as_object_mut() else {
                continue;
            };
            let variables = fields.entry("env").or_insert_with(|| json!([]));
            if let Some(variables) = variables.as_array_mut()
                && !variables
                    .iter()
                    .any(|known| known["name"] == INDEX_VARIABLE)
            {
                variables.push(variable.clone());
            }
        }
    }
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
        let attempt = Attempt {
            number: 2,
            index: None,
        };
        let pod = pod(&job, "node", attempt);
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
    #[test]
    fn a_pod_of_an_indexed_job_knows_its_part() {
        let job = json!({
            "metadata": { "name": "j".repeat(80), "namespace": "n", "uid": "u" },
            "spec": { "template": { "spec": { "containers": [{ "name": "x" }] } } },
        });
        let attempt = Attempt {
            number: 2,
            index: Some(12),
        };
        let pod = pod(&job, "node", attempt);
        let name = metadata(&pod, "name");
        assert!(name.len() <= 63 && name.contains("-12-"), "{name}");
        assert_eq!(pod["metadata"]["labels"][COMPLETION_INDEX], "12");
        assert_eq!(pod["metadata"]["annotations"][COMPLETION_INDEX], "12");
        let variable = &pod["spec"]["containers"][0]["env"][0];
        assert_eq!(variable["name"], "JOB_COMPLETION_INDEX");
    }
}
