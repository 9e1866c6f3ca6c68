//! The status of a Deployment as clients read it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::size::{Bounds, size};
use crate::object::{condition, metadata, number, read_time, time};
use crate::replica::remaining;

/// The reason of a rollout that is complete.
const COMPLETE: &str = "NewReplicaSetAvailable";
/// The reason of a rollout that takes too long.
const LATE: &str = "ProgressDeadlineExceeded";
/// A deadline of so many seconds is none.
const NO_DEADLINE: u64 = i32::MAX as u64;

/// What a status is made from.
pub(super) struct Observed<'a> {
    /// The Deployment.
    pub(super) deployment: &'a Value,
    /// All its ReplicaSets.
    pub(super) sets: &'a [&'a Value],
    /// The one with its template.
    pub(super) new: Option<&'a Value>,
    /// What is known of its progress beside what is seen now: a reason and a message.
    pub(super) news: Option<(&'static str, String)>,
    /// The number of names that others had.
    pub(super) collisions: u64,
    /// Now.
    pub(super) now: Timestamp,
}

/// The numbers of a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    all: u64,
    updated: u64,
    ready: u64,
    available: u64,
}

impl Counts {
    fn read(status: &Value) -> Self {
        let field = |field: &str| number(&status[field], 0);
        Self {
            all: field("replicas"),
            updated: field("updatedReplicas"),
            ready: field("readyReplicas"),
            available: field("availableReplicas"),
        }
    }

    /// Whether something has moved since.
    fn is_beyond(self, old: Self) -> bool {
        self.updated > old.updated
            || (self.all.saturating_sub(self.updated) < old.all.saturating_sub(old.updated))
            || self.ready > old.ready
            || self.available > old.available
    }
}

impl Observed<'_> {
    fn sum(&self, field: &str) -> u64 {
        let counts = self.sets.iter().map(|set| number(&set["status"][field], 0));
        counts.sum()
    }

    fn counts(&self) -> Counts {
        Counts {
            all: self.sum("replicas"),
            updated: self
                .new
                .map_or(0, |set| number(&set["status"]["replicas"], 0)),
            ready: self.sum("readyReplicas"),
            available: self.sum("availableReplicas"),
        }
    }

    /// Whether all pods are new and available.
    fn is_complete(&self, counts: Counts) -> bool {
        let wanted = Bounds::of(self.deployment).wanted;
        counts.updated == wanted && counts.all == wanted && counts.available == wanted
    }

    /// The status, and when it changes by itself.
    pub(super) fn status(&self) -> (Value, Option<Duration>) {
        let counts = self.counts();
        let mut status = Map::new();
        let generation = self.deployment["metadata"]["generation"].clone();
        status.insert("observedGeneration".into(), generation);
        let sizes: u64 = self.sets.iter().map(|set| size(set)).sum();
        for (field, count) in [
            ("replicas", counts.all),
            ("updatedReplicas", counts.updated),
            ("readyReplicas", counts.ready),
            ("availableReplicas", counts.available),
            (
                "unavailableReplicas",
                sizes.saturating_sub(counts.available),
            ),
            ("collisionCount", self.collisions),
        ] {
            if count > 0 {
                status.insert(field.into(), json!(count));
            }
        }
        let terminating = self.sum("terminatingReplicas");
        status.insert("terminatingReplicas".into(), json!(terminating));
        let mut conditions = self.conditions();
        self.available(&mut conditions, counts);
        self.progress(&mut conditions, counts);
        self.failure(&mut conditions);
        let late_in = self.late_in(&conditions);
        status.insert("conditions".into(), conditions.into());
        (Value::Object(status), late_in)
    }

    fn conditions(&self) -> Vec<Value> {
        let old = self.deployment["status"]["conditions"].as_array();
        old.cloned().unwrap_or_default()
    }

    fn available(&self, conditions: &mut Vec<Value>, counts: Counts) {
        let least = Bounds::of(self.deployment).least;
        let (on, reason, message) = if counts.available >= least {
            (
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.",
            )
        } else {
            (
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.",
            )
        };
        self.set(conditions, "Available", on, reason, message);
    }

    fn deadline(&self) -> Option<Duration> {
        let seconds = number(
            &self.deployment["spec"]["progressDeadlineSeconds"],
            NO_DEADLINE,
        );
        (seconds < NO_DEADLINE).then(|| Duration::from_secs(seconds))
    }

    fn progress(&self, conditions: &mut Vec<Value>, counts: Counts) {
        if self.deadline().is_none() {
            conditions.retain(|c| c["type"] != "Progressing");
            return;
        }
        if let Some((reason, message)) = &self.news {
            let on = if reason.starts_with("Deployment") {
                "Unknown"
            } else {
                "True"
            };
            self.set(conditions, "Progressing", on, reason, message);
        }
        if self.deployment["spec"]["paused"] == true {
            return;
        }
        let current = conditions.iter().find(|c| c["type"] == "Progressing");
        let was_complete = current.is_some_and(|c| c["reason"] == COMPLETE);
        if was_complete && counts.all == counts.updated {
            return;
        }
        let who = match self.new {
            Some(set) => format!("ReplicaSet {:?}", metadata(set, "name")),
            None => format!("Deployment {:?}", metadata(self.deployment, "name")),
        };
        if self.is_complete(counts) {
            let message = format!("{who} has successfully progressed.");
            self.set(conditions, "Progressing", "True", COMPLETE, &message);
        } else if counts.is_beyond(Counts::read(&self.deployment["status"])) {
            let since = current.filter(|c| c["status"] == "True");
            let since = since.map(|c| c["lastTransitionTime"].clone());
            conditions.retain(|c| c["type"] != "Progressing");
            let message = format!("{who} is progressing.");
            self.set(
                conditions,
                "Progressing",
                "True",
                "ReplicaSetUpdated",
                &message,
            );
            if let (Some(since), Some(last)) = (since, conditions.last_mut()) {
                last["lastTransitionTime"] = since;
            }
        } else if self.late_in(conditions).is_some_and(|wait| wait.is_zero()) {
            let message = format!("{who} has timed out progressing.");
            self.set(conditions, "Progressing", "False", LATE, &message);
        }
    }

    /// When the rollout has taken too long, unless it is complete or that is known.
    fn late_in(&self, conditions: &[Value]) -> Option<Duration> {
        let current = conditions.iter().find(|c| c["type"] == "Progressing")?;
        let settled = current["reason"] == COMPLETE || current["reason"] == LATE;
        if settled || self.deployment["spec"]["paused"] == true {
            return None;
        }
        let last = read_time(&current["lastUpdateTime"])?;
        Some(remaining(last, self.deadline()?, self.now))
    }

    /// Why pods can't be made.
    fn failure(&self, conditions: &mut Vec<Value>) {
        let kind = "ReplicaFailure";
        let mut failures = self.new.into_iter().chain(self.sets.iter().copied());
        match failures.find_map(|set| condition(set, kind)) {
            Some(found) => {
                let text = |field: &str| found[field].as_str().unwrap_or_default();
                let (reason, message) = (text("reason"), text("message"));
                self.set(conditions, kind, "True", reason, message);
            }
            None => conditions.retain(|c| c["type"] != kind),
        }
    }

    /// Sets a condition, unless it holds for this reason already.
    fn set(&self, conditions: &mut Vec<Value>, kind: &str, on: &str, reason: &str, message: &str) {
        let old = conditions.iter().find(|c| c["type"] == kind);
        if old.is_some_and(|c| c["status"] == on && c["reason"] == reason) {
            return;
        }
        let kept = old.filter(|c| c["status"] == on);
        let since = kept.map_or_else(|| time(self.now), |c| c["lastTransitionTime"].clone());
        conditions.retain(|c| c["type"] != kind);
        conditions.push(json!({
            "type": kind, "status": on, "reason": reason, "message": message,
            "lastUpdateTime": time(self.now), "lastTransitionTime": since,
        }));
    }
}

/// Whether a rollout is complete, by its status.
pub(super) fn is_complete(deployment: &Value) -> bool {
    let counts = Counts::read(&deployment["status"]);
    let wanted = Bounds::of(deployment).wanted;
    let seen = number(&deployment["status"]["observedGeneration"], 0);
    counts.updated == wanted
        && counts.all == wanted
        && counts.available == wanted
        && seen >= number(&deployment["metadata"]["generation"], 0)
}
