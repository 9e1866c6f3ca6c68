//! What controllers that keep pods running see of a pod.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::object::{condition, is_deleting, metadata, read_time};

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It waits, runs, or is about to.
    Active,
    /// It is being deleted and has not ended.
    Terminating,
    /// It ended by itself.
    Ended,
    /// The node ended it: it is not to blame.
    Disrupted,
}

/// A pod among others like it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replica {
    /// Its name.
    pub(crate) name: String,
    /// How far it is.
    pub(crate) life: Life,
    /// It runs on the machine.
    pub(crate) running: bool,
    /// Since when it has been ready.
    pub(crate) ready: Option<Timestamp>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it ended, or is known to have.
    pub(crate) ended: Option<Timestamp>,
}

impl Replica {
    /// Reads a pod.
    pub(crate) fn read(pod: &Value) -> Self {
        let phase = pod["status"]["phase"].as_str().unwrap_or_default();
        let is_over = matches!(phase, "Succeeded" | "Failed");
        let holds = |kind: &str| condition(pod, kind).filter(|c| c["status"] == "True");
        let life = match (is_over, is_deleting(pod)) {
            (true, _) if holds("DisruptionTarget").is_some() => Life::Disrupted,
            (true, _) => Life::Ended,
            (false, true) => Life::Terminating,
            (false, false) => Life::Active,
        };
        let since = |c: &Value| read_time(&c["lastTransitionTime"]);
        let created = read_time(&pod["metadata"]["creationTimestamp"]).unwrap_or_default();
        Self {
            name: metadata(pod, "name").to_owned(),
            life,
            running: phase == "Running",
            ready: holds("Ready").and_then(since),
            created,
            ended: is_over.then(|| condition(pod, "Ready").and_then(since).unwrap_or(created)),
        }
    }

    /// Whether it takes a place: it is not over and nobody has it end.
    pub(crate) fn is_active(&self) -> bool {
        self.life == Life::Active
    }

    /// Whether it has been ready for so long.
    pub(crate) fn is_available(&self, least: Duration, now: Timestamp) -> bool {
        self.ready
            .is_some_and(|since| remaining(since, least, now).is_zero())
    }

    /// How long until it is available, if it is going to be.
    pub(crate) fn available_in(&self, least: Duration, now: Timestamp) -> Option<Duration> {
        let wait = remaining(self.ready?, least, now);
        (!wait.is_zero()).then_some(wait)
    }
}

/// What is left of a time that began at `start`.
pub(crate) fn remaining(start: Timestamp, time: Duration, now: Timestamp) -> Duration {
    let end = start.saturating_add(time).unwrap_or(Timestamp::MAX);
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}
