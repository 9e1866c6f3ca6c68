//! Defaults of jobs.

use serde_json::{Value, json};

use super::{child, pod, set};
use crate::metadata;

/// Sets what a job leaves out: counts, and the labels by which it knows its pods.
pub(super) fn apply(job: &mut Value) {
    let name = metadata::name(job).to_owned();
    let uid = metadata::uid(job).to_owned();
    let Some(spec) = job.as_object_mut().and_then(|fields| child(fields, "spec")) else {
        return;
    };
    let has = |field: &str| spec.get(field).is_some_and(|value| !value.is_null());
    // One pod unless told otherwise; with parallelism alone, any pod's success ends the job.
    let queue = has("parallelism") && !has("completions");
    set(spec, "parallelism", json!(1));
    if !queue {
        set(spec, "completions", json!(1));
    }
    set(spec, "backoffLimit", json!(6));
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    set(spec, "podReplacementPolicy", json!("TerminatingOrFailed"));
    set(spec, "manualSelector", json!(false));
    let manual = spec["manualSelector"] == true;
    if !manual {
        let selector = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": uid } });
        set(spec, "selector", selector);
    }
    let Some(template) = child(spec, "template") else {
        return;
    };
    if let Some(spec) = child(template, "spec") {
        pod::specification(spec);
    }
    let labels = child(template, "metadata").and_then(|metadata| child(metadata, "labels"));
    if let Some(labels) = labels.filter(|_| !manual) {
        for prefix in ["", "batch.kubernetes.io/"] {
            labels.insert(format!("{prefix}controller-uid"), json!(uid));
            labels.insert(format!("{prefix}job-name"), json!(name));
        }
    }
    // A job without labels has those of its pods.
    let labels = job["spec"]["template"]["metadata"]["labels"].clone();
    if metadata::labels(job).is_none() && labels.is_object() {
        metadata::set(job, "labels", labels);
    }
    if let Some(fields) = job.as_object_mut() {
        set(fields, "status", json!({}));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::apply;

    #[test]
    fn a_job_knows_its_pods_by_its_uid() {
        let mut job =
            json!({ "metadata": { "name": "j", "uid": "u" }, "spec": { "template": {} } });
        apply(&mut job);
        assert_eq!(
            job["spec"]["selector"]["matchLabels"]["batch.kubernetes.io/controller-uid"],
            "u"
        );
        assert_eq!(
            job["spec"]["template"]["metadata"]["labels"]["job-name"],
            "j"
        );
        assert_eq!(
            (&job["spec"]["completions"], &job["spec"]["backoffLimit"]),
            (&json!(1), &json!(6))
        );
    }

    #[test]
    fn parallelism_alone_makes_a_work_queue() {
        let mut job = json!({ "spec": { "parallelism": 3 } });
        apply(&mut job);
        assert!(job["spec"].get("completions").is_none());
    }
}
