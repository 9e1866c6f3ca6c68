//! The status of a Job as clients read it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::index::Indexes;
use crate::object::time;

/// A condition that a Job has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Its type.
    pub(super) kind: &'static str,
    /// Whether it holds.
    pub(super) on: bool,
    /// One word.
    pub(super) reason: String,
    /// A sentence.
    pub(super) message: String,
}

/// Whether a condition holds.
pub(super) fn has(job: &Value, kind: &str) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

/// When a condition began to hold.
pub(super) fn since(job: &Value, kind: &str) -> Option<Timestamp> {
    let conditions = job["status"]["conditions"].as_array();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|c| c["type"] == kind && c["status"] == "True");
    found?["lastTransitionTime"].as_str()?.parse().ok()
}

/// The counts of a Job's pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Pods that have not ended and are not being deleted.
    pub(super) active: u64,
    /// Pods whose containers all run.
    pub(super) ready: u64,
    /// Pods that are being deleted and have not ended.
    pub(super) terminating: u64,
    /// Pods that succeeded.
    pub(super) succeeded: u64,
    /// Pods that failed.
    pub(super) failed: u64,
}

/// Returns a status with these counts and conditions, and everything else as it was. Of an indexed
/// Job it says which parts are done.
pub(super) fn status(
    old: &Value,
    counts: Counts,
    done: Option<&Indexes>,
    started: Option<Timestamp>,
    conditions: &[Condition],
    now: Timestamp,
) -> Value {
    let mut status = old.as_object().cloned().unwrap_or_default();
    // As on the wire: counts of nothing are left out, but for these two.
    count(&mut status, "active", counts.active);
    count(&mut status, "succeeded", counts.succeeded);
    count(&mut status, "failed", counts.failed);
    match done.filter(|done| !done.is_empty()) {
        Some(done) => status.insert("completedIndexes".into(), json!(done.to_string())),
        None => status.remove("completedIndexes"),
    };
    status.insert("ready".into(), json!(counts.ready));
    status.insert("terminating".into(), json!(counts.terminating));
    status.insert("uncountedTerminatedPods".into(), json!({}));
    match started {
        Some(started) => status.insert("startTime".into(), time(started)),
        None => status.remove("startTime"),
    };
    for condition in conditions {
        set(&mut status, condition, now);
        if condition.kind == "Complete" && condition.on {
            status.insert("completionTime".into(), time(now));
        }
    }
    Value::Object(status)
}

fn count(status: &mut Map<String, Value>, field: &str, count: u64) {
    if count == 0 {
        status.remove(field);
    } else {
        status.insert(field.into(), json!(count));
    }
}

fn set(status: &mut Map<String, Value>, condition: &Condition, now: Timestamp) {
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = list.as_array_mut() else {
        return;
    };
    list.retain(|c| c["type"] != condition.kind);
    list.push(json!({
        "type": condition.kind,
        "status": if condition.on { "True" } else { "False" },
        "lastProbeTime": time(now),
        "lastTransitionTime": time(now),
        "reason": condition.reason,
        "message": condition.message,
    }));
}
