//! What the Job controller sees of a pod.

use jiff::Timestamp;
use serde_json::Value;

use crate::object::{is_deleting, metadata};

/// On pods of Jobs: the number of the attempt.
pub(super) const ANNOTATION_ATTEMPT: &str = "diwan.dev/attempt";
/// On pods of indexed Jobs, as an annotation and as a label: which part of the work is theirs.
pub(super) const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not ended.
    Active,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
}

/// What the Job controller sees of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodView {
    /// Its name.
    pub(super) name: String,
    /// The number of the attempt.
    pub(super) attempt: u32,
    /// Which part of the work of an indexed Job is its.
    pub(super) index: Option<u32>,
    /// How far it is.
    pub(super) phase: Phase,
    /// All its containers run.
    pub(super) ready: bool,
    /// It is being deleted.
    pub(super) deleting: bool,
    /// When its last container ended.
    pub(super) ended: Option<Timestamp>,
    /// Why a program of it could not be started.
    pub(super) start_error: Option<String>,
    /// How often its containers were started again.
    pub(super) restarts: u64,
    /// The node ended it: it is not to blame.
    pub(super) disrupted: bool,
}

impl PodView {
    /// Reads a pod.
    pub(super) fn read(pod: &Value) -> Self {
        let status = &pod["status"];
        let phase = match status["phase"].as_str() {
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            _ => Phase::Active,
        };
        let condition = |kind: &str| {
            let list = status["conditions"].as_array();
            list.into_iter()
                .flatten()
                .any(|c| c["type"] == kind && c["status"] == "True")
        };
        let containers = || {
            ["initContainerStatuses", "containerStatuses"]
                .into_iter()
                .flat_map(|list| status[list].as_array().into_iter().flatten())
        };
        let ended = containers()
            .filter_map(|c| {
                c["state"]["terminated"]["finishedAt"]
                    .as_str()?
                    .parse()
                    .ok()
            })
            .max();
        let start_error = containers()
            .map(|c| &c["state"]["terminated"])
            .find(|state| state["reason"] == "StartError")
            .map(|state| state["message"].as_str().unwrap_or_default().to_owned());
        let annotation = |name: &str| {
            let text = pod["metadata"]["annotations"][name].as_str()?;
            text.parse().ok()
        };
        Self {
            name: metadata(pod, "name").to_owned(),
            attempt: annotation(ANNOTATION_ATTEMPT).unwrap_or(0),
            index: annotation(COMPLETION_INDEX),
            phase,
            ready: condition("Ready"),
            deleting: is_deleting(pod),
            ended,
            start_error,
            restarts: containers()
                .filter_map(|c| c["restartCount"].as_u64())
                .sum(),
            disrupted: condition("DisruptionTarget"),
        }
    }
}

/// The unique identifier of the Job that controls a pod.
pub(super) fn owner(pod: &Value) -> Option<&str> {
    let owners = pod["metadata"]["ownerReferences"].as_array()?;
    let job = owners
        .iter()
        .find(|o| o["controller"] == true && o["kind"] == "Job")?;
    job["uid"].as_str()
}
