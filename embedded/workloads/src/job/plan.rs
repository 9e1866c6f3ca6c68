//! What a Job needs next. Pure: looks at the Job and its pods, changes nothing, reads no clock.

mod indexed;

use std::time::Duration;

use diwan_embedded::event::Event;
use jiff::Timestamp;
use serde_json::Value;

use super::status::{self, Condition, Counts};
use super::view::{Phase, PodView};
use crate::object::is_deleting;

/// The wait after the first failure; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LONGEST_BACKOFF: Duration = Duration::from_mins(6);
/// As many pods are made at once, whatever a Job asks for; the others follow.
const MOST_AT_ONCE: u64 = 500;

/// A Job as it is seen.
pub(super) struct Situation<'a> {
    /// The Job.
    pub(super) job: &'a Value,
    /// Its pods.
    pub(super) pods: Vec<&'a PodView>,
    /// Pods that are being created and are not among them, with their indexes.
    pub(super) creating: Vec<Option<u32>>,
    /// Now.
    pub(super) now: Timestamp,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// How many pods to create.
    pub(super) create: usize,
    /// Which parts of the work of an indexed Job they get.
    pub(super) indexes: Vec<u32>,
    /// What else to do.
    pub(super) actions: Vec<Action>,
    /// The status, when it differs from the one the Job has.
    pub(super) status: Option<Value>,
    /// The status says more than counts: clients wait for it.
    pub(super) urgent: bool,
    /// The Job is to be planned again after this time.
    pub(super) wake_after: Option<Duration>,
}

impl Plan {
    /// Whether there is nothing to do now.
    pub(super) fn is_empty(&self) -> bool {
        self.create == 0 && self.actions.is_empty() && self.status.is_none()
    }

    /// Leaves the pods for later: the status does not count what is not there.
    pub(super) fn forgo_pods(&mut self) {
        if let Some(status) = &mut self.status {
            let active = status["active"].as_u64().unwrap_or(0);
            status["active"] = active.saturating_sub(self.create as u64).into();
            if status["active"] == 0
                && let Some(fields) = status.as_object_mut()
            {
                fields.remove("active");
            }
        }
        self.create = 0;
        self.indexes.clear();
    }
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The pod of this name is deleted.
    DeletePod(String),
    /// The Job is deleted, with its pods.
    DeleteJob,
    /// People are told.
    Event(Event),
}

/// How a Job ends.
struct Verdict {
    success: bool,
    reason: String,
    message: String,
}

impl Verdict {
    fn failed(reason: &str, message: &str) -> Self {
        Self {
            success: false,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// Says what a Job needs.
pub(super) fn plan(situation: &Situation<'_>) -> Plan {
    let job = situation.job;
    if status::has(job, "Complete") || status::has(job, "Failed") {
        return situation.finished();
    }
    let counts = situation.counts();
    if let Some(verdict) = situation.verdict(counts) {
        return situation.end(counts, &verdict);
    }
    if job["spec"]["suspend"] == true {
        return situation.suspend(counts);
    }
    situation.go_on(counts)
}

impl Situation<'_> {
    fn number(&self, field: &str) -> Option<u64> {
        self.job["spec"][field].as_u64()
    }

    /// The pods that have not ended and are not being deleted.
    fn active(&self) -> impl Iterator<Item = &PodView> {
        self.pods
            .iter()
            .copied()
            .filter(|pod| pod.phase == Phase::Active && !pod.deleting)
    }

    /// The pods that failed by themselves.
    fn failures(&self) -> impl Iterator<Item = &PodView> {
        self.pods
            .iter()
            .copied()
            .filter(|pod| pod.phase == Phase::Failed && !pod.disrupted)
    }

    fn counts(&self) -> Counts {
        let count =
            |of: &dyn Fn(&PodView) -> bool| self.pods.iter().filter(|pod| of(pod)).count() as u64;
        // Pods that were removed after they were counted stay counted.
        let counted = |field: &str| self.job["status"][field].as_u64().unwrap_or(0);
        let succeeded = match self.done() {
            Some(done) => done.len(),
            None => count(&|pod| pod.phase == Phase::Succeeded).max(counted("succeeded")),
        };
        Counts {
            active: (self.active().count() + self.creating.len()) as u64,
            ready: self.active().filter(|pod| pod.ready).count() as u64,
            terminating: count(&|pod| pod.phase == Phase::Active && pod.deleting),
            succeeded,
            failed: (self.failures().count() as u64).max(counted("failed")),
        }
    }

    /// When the Job started: what its status says, else when it was made.
    fn started(&self) -> Option<Timestamp> {
        let text = self.job["status"]["startTime"].as_str();
        let made = || self.job["metadata"]["creationTimestamp"].as_str();
        text.or_else(made)?.parse().ok()
    }

    /// How the Job ends, if it is decided.
    fn verdict(&self, counts: Counts) -> Option<Verdict> {
        if let Some(earlier) = self.earlier_verdict() {
            return Some(earlier);
        }
        if self.number("backoffLimitPerIndex").is_some() {
            let message = "backoffLimitPerIndex is not supported on this machine";
            return Some(Verdict::failed("NotSupported", message));
        }
        if let Some(message) = self.failures().find_map(|pod| pod.start_error.as_deref()) {
            return Some(Verdict::failed("StartError", message));
        }
        let limit = self.number("backoffLimit").unwrap_or(6);
        // Elsewhere only sidecars start again, and they are not what the limit is for.
        let counts_restarts = self.job["spec"]["template"]["spec"]["restartPolicy"] == "OnFailure";
        let restarting = self.active().filter(|_| counts_restarts);
        let restarts: u64 = restarting.map(|pod| pod.restarts).sum();
        let restarted_too_often = restarts > 0 && restarts >= limit.max(1);
        if counts.failed > limit || restarted_too_often {
            let message = "Job has reached the specified backoff limit";
            return Some(Verdict::failed("BackoffLimitExceeded", message));
        }
        if self.deadline().is_some_and(|left| left.is_zero()) {
            let message = "Job was active longer than specified deadline";
            return Some(Verdict::failed("DeadlineExceeded", message));
        }
        let complete = match self.number("completions") {
            Some(wanted) => counts.succeeded >= wanted,
            None => counts.succeeded > 0 && counts.active + counts.terminating == 0,
        };
        complete.then(|| Verdict {
            success: true,
            reason: "CompletionsReached".into(),
            message: "Reached expected number of succeeded pods".into(),
        })
    }

    /// A verdict that is on record while pods are still ending.
    fn earlier_verdict(&self) -> Option<Verdict> {
        let conditions = self.job["status"]["conditions"].as_array()?;
        let found = conditions.iter().find(|c| {
            (c["type"] == "FailureTarget" || c["type"] == "SuccessCriteriaMet")
                && c["status"] == "True"
        })?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        let success = found["type"] == "SuccessCriteriaMet";
        Some(Verdict {
            success,
            reason: text("reason"),
            message: text("message"),
        })
    }

    /// How long the Job may still run.
    fn deadline(&self) -> Option<Duration> {
        let seconds = self.number("activeDeadlineSeconds")?;
        if self.job["spec"]["suspend"] == true {
            return None;
        }
        Some(remaining(
            self.started()?,
            Duration::from_secs(seconds),
            self.now,
        ))
    }

    /// Deletes the pods that have not ended.
    fn delete_active(&self) -> Vec<Action> {
        self.active()
            .map(|pod| Action::DeletePod(pod.name.clone()))
            .collect()
    }

    /// Ends a Job: at once when no pod is left, else after its pods.
    fn end(&self, mut counts: Counts, verdict: &Verdict) -> Plan {
        let condition = |kind| Condition {
            kind,
            on: true,
            reason: verdict.reason.clone(),
            message: verdict.message.clone(),
        };
        let (target, last) = if verdict.success {
            ("SuccessCriteriaMet", "Complete")
        } else {
            ("FailureTarget", "Failed")
        };
        let mut conditions = Vec::new();
        if !status::has(self.job, target) {
            conditions.push(condition(target));
        }
        let mut actions = self.delete_active();
        let over = counts.active + counts.terminating == 0;
        if over {
            conditions.push(condition(last));
            actions.push(Action::Event(if verdict.success {
                Event::normal("Completed", "Job completed")
            } else {
                Event {
                    kind: "Warning",
                    reason: reason(&verdict.reason),
                    message: verdict.message.clone(),
                }
            }));
        } else {
            counts.ready = 0;
        }
        let mut plan = self.write(counts, self.started(), &conditions, actions);
        if over {
            plan.wake_after = self
                .number("ttlSecondsAfterFinished")
                .map(Duration::from_secs);
        }
        plan
    }

    /// A Job that has ended: what is left of it goes.
    fn finished(&self) -> Plan {
        let mut plan = Plan {
            actions: self.delete_active(),
            ..Plan::default()
        };
        let ended = ["Complete", "Failed"]
            .into_iter()
            .find_map(|c| status::since(self.job, c));
        if let (Some(ttl), Some(ended)) = (self.number("ttlSecondsAfterFinished"), ended)
            && !is_deleting(self.job)
        {
            let left = remaining(ended, Duration::from_secs(ttl), self.now);
            if left.is_zero() {
                plan.actions.push(Action::DeleteJob);
            } else {
                plan.wake_after = Some(left);
            }
        }
        plan
    }

    /// A Job that must not run now.
    fn suspend(&self, counts: Counts) -> Plan {
        let mut actions = self.delete_active();
        let mut conditions = Vec::new();
        if !status::has(self.job, "Suspended") {
            let (reason, message) = ("JobSuspended".into(), "Job suspended".into());
            conditions.push(Condition {
                kind: "Suspended",
                on: true,
                reason,
                message,
            });
            actions.push(Action::Event(Event::normal("Suspended", "Job suspended")));
        }
        self.write(counts, None, &conditions, actions)
    }

    /// A Job that runs: creates the pods it lacks.
    fn go_on(&self, counts: Counts) -> Plan {
        let mut conditions = Vec::new();
        let mut actions = Vec::new();
        let mut started = self.started();
        if status::has(self.job, "Suspended") {
            let (reason, message) = ("JobResumed".into(), "Job resumed".into());
            conditions.push(Condition {
                kind: "Suspended",
                on: false,
                reason,
                message,
            });
            actions.push(Action::Event(Event::normal("Resumed", "Job resumed")));
            started = Some(self.now);
        }
        let wanted = self.wanted(counts);
        let lacking = wanted.saturating_sub(counts.active);
        let surplus = counts.active.saturating_sub(wanted) as usize;
        // Those whose indexes are not wanted any more go first, then the youngest: they lose the least.
        let end = self.number("completions").unwrap_or(u64::MAX);
        let is_outside = |pod: &PodView| pod.index.is_some_and(|index| u64::from(index) >= end);
        let mut active: Vec<&PodView> = self.active().collect();
        active.sort_by_key(|pod| std::cmp::Reverse((is_outside(pod), pod.attempt)));
        let gone = active
            .into_iter()
            .take(surplus)
            .map(|pod| Action::DeletePod(pod.name.clone()));
        actions.extend(gone);
        let wait = if lacking > 0 {
            self.backoff(counts.failed)
        } else {
            Duration::ZERO
        };
        let mut create = if wait.is_zero() && !is_deleting(self.job) {
            lacking.min(MOST_AT_ONCE)
        } else {
            0
        };
        let indexes = self.open_indexes(create);
        if self.is_indexed() {
            create = indexes.len() as u64;
        }
        let seen = Counts {
            active: counts.active + create,
            ..counts
        };
        let mut plan = self.write(seen, started, &conditions, actions);
        plan.create = create as usize;
        plan.indexes = indexes;
        plan.wake_after = [Some(wait), self.deadline()]
            .into_iter()
            .flatten()
            .filter(|w| !w.is_zero())
            .min();
        plan
    }

    /// How many pods should run now.
    fn wanted(&self, counts: Counts) -> u64 {
        let parallelism = self.number("parallelism").unwrap_or(1);
        match self.number("completions") {
            Some(completions) => parallelism.min(completions.saturating_sub(counts.succeeded)),
            // Once one has succeeded no new ones are made, and those that run go on.
            None if counts.succeeded > 0 => counts.active.min(parallelism),
            None => parallelism,
        }
    }

    /// How long to wait after the last failure.
    fn backoff(&self, failed: u64) -> Duration {
        let Some(last) = self.failures().filter_map(|pod| pod.ended).max() else {
            return Duration::ZERO;
        };
        let doublings = failed.saturating_sub(1).min(16) as u32;
        let wait = (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF);
        remaining(last, wait, self.now)
    }

    /// A plan with a status, if that changes anything.
    fn write(
        &self,
        counts: Counts,
        started: Option<Timestamp>,
        conditions: &[Condition],
        actions: Vec<Action>,
    ) -> Plan {
        let old = &self.job["status"];
        let done = self.done();
        let new = status::status(old, counts, done.as_ref(), started, conditions, self.now);
        Plan {
            actions,
            status: (new != *old).then_some(new),
            urgent: !conditions.is_empty(),
            ..Plan::default()
        }
    }
}

/// The reason of an event; reasons are words known to the program.
fn reason(text: &str) -> &'static str {
    match text {
        "BackoffLimitExceeded" => "BackoffLimitExceeded",
        "DeadlineExceeded" => "DeadlineExceeded",
        "StartError" => "StartError",
        _ => "Failed",
    }
}

/// What is left of a time that began at `start`.
fn remaining(start: Timestamp, time: Duration, now: Timestamp) -> Duration {
    let end = start.saturating_add(time).unwrap_or(Timestamp::MAX);
    Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
