//! What a CronJob needs next. Pure: looks at it and its Jobs, changes nothing, reads no clock.

use std::time::Duration;

use diwan_embedded::cron::{Schedule, zone};
use diwan_embedded::event::Event;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::object::{is_deleting, metadata, number, read_time, reference, time};

/// On Jobs: the time for which they were made.
const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// A CronJob as it is seen.
pub(super) struct Situation<'a> {
    /// The CronJob.
    pub(super) cron: &'a Value,
    /// Its Jobs.
    pub(super) jobs: &'a [&'a Value],
    /// Now.
    pub(super) now: Timestamp,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// The Job to make.
    pub(super) create: Option<Value>,
    /// Jobs to delete, with their pods.
    pub(super) delete: Vec<String>,
    /// What people are told.
    pub(super) events: Vec<Event>,
    /// The status, once the Job is made.
    pub(super) status: Value,
    /// When to look again.
    pub(super) again: Option<Duration>,
}

/// How a Job ended.
fn end(job: &Value) -> Option<&str> {
    let conditions = job["status"]["conditions"].as_array()?;
    let ended = conditions
        .iter()
        .find(|c| c["status"] == "True" && (c["type"] == "Complete" || c["type"] == "Failed"));
    ended?["type"].as_str()
}

/// Says what a CronJob needs.
pub(super) fn plan(seen: &Situation<'_>) -> Plan {
    let (cron, spec) = (seen.cron, &seen.cron["spec"]);
    let mut plan = Plan {
        create: None,
        delete: Vec::new(),
        events: seen.ended(),
        status: Value::Null,
        again: None,
    };
    let mut last = cron["status"]["lastScheduleTime"].clone();
    if !is_deleting(cron) {
        plan.delete = seen.surplus("Complete", "successfulJobsHistoryLimit", 3);
        plan.delete
            .extend(seen.surplus("Failed", "failedJobsHistoryLimit", 1));
        if spec["suspend"] != true {
            seen.schedule(&mut plan, &mut last);
        }
    }
    plan.status = seen.status(last, &plan);
    plan
}

impl Situation<'_> {
    fn active(&self) -> impl Iterator<Item = &Value> {
        self.jobs.iter().copied().filter(|job| end(job).is_none())
    }

    /// Tells of Jobs that were active and have ended.
    fn ended(&self) -> Vec<Event> {
        let active = self.cron["status"]["active"].as_array();
        let was_active = |job: &Value| {
            let uid = &job["metadata"]["uid"];
            active
                .into_iter()
                .flatten()
                .any(|known| known["uid"] == *uid)
        };
        let ended = self.jobs.iter().filter(|job| was_active(job));
        let told = ended.filter_map(|job| Some((metadata(job, "name"), end(job)?)));
        told.map(|(name, how)| {
            let text = format!("Saw completed job: {name}, condition: {how}");
            Event::normal("SawCompletedJob", text)
        })
        .collect()
    }

    /// The oldest Jobs that ended in some way, beyond those that are kept.
    fn surplus(&self, how: &str, field: &str, default: u64) -> Vec<String> {
        let limit = number(&self.cron["spec"][field], default) as usize;
        let mut ended: Vec<&Value> = self
            .jobs
            .iter()
            .copied()
            .filter(|job| end(job) == Some(how))
            .collect();
        ended.sort_by_key(|job| (job["status"]["startTime"].as_str(), metadata(job, "name")));
        let surplus = ended.len().saturating_sub(limit);
        ended
            .into_iter()
            .take(surplus)
            .map(|job| metadata(job, "name").to_owned())
            .collect()
    }

    fn schedule(&self, plan: &mut Plan, last: &mut Value) {
        let spec = &self.cron["spec"];
        let schedule = Schedule::parse(spec["schedule"].as_str().unwrap_or_default());
        let zone = zone(spec["timeZone"].as_str());
        let (Ok(schedule), Some(zone)) = (schedule, zone) else {
            let text = "the schedule or its time zone cannot be read on this machine";
            plan.events
                .push(Event::warning("UnparseableSchedule", text));
            return;
        };
        if let Some(due) = self.due(&schedule, &zone, read_time(last)) {
            self.start(due, plan, last);
        }
        // Intervals are counted from the last time, not from now.
        let from = match schedule {
            Schedule::Every(_) => read_time(last).or_else(|| self.created()),
            Schedule::Calendar(_) => None,
        };
        let next = schedule.next(from.unwrap_or(self.now), &zone);
        plan.again = next.map(|next| {
            let wait = Duration::try_from(next.duration_since(self.now)).unwrap_or_default();
            wait.max(Duration::from_secs(1))
        });
    }

    fn created(&self) -> Option<Timestamp> {
        read_time(&self.cron["metadata"]["creationTimestamp"])
    }

    /// The last time that has come and for which there was no Job.
    fn due(
        &self,
        schedule: &Schedule,
        zone: &TimeZone,
        last: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let mut earliest = last.or_else(|| self.created())?;
        if let Some(deadline) = self.cron["spec"]["startingDeadlineSeconds"].as_i64() {
            let limit = self
                .now
                .saturating_sub(SignedDuration::from_secs(deadline))
                .ok()?;
            earliest = earliest.max(limit);
        }
        if let Schedule::Every(every) = schedule {
            let passed =
                self.now.duration_since(earliest).as_secs() / every.as_secs().max(1) as i64;
            let steps = SignedDuration::from_secs(passed * every.as_secs() as i64);
            return (passed > 0).then(|| earliest + steps);
        }
        // Few steps back from now, unless nothing was due then: years may have passed.
        let mut window = SignedDuration::from_mins(1);
        loop {
            let start = self.now.saturating_sub(window).ok()?.max(earliest);
            let is_due = |at: &Timestamp| *at <= self.now;
            let first = schedule.next(start, zone).filter(is_due);
            if let Some(mut found) = first {
                while let Some(next) = schedule.next(found, zone).filter(is_due) {
                    found = next;
                }
                return Some(found);
            }
            if start == earliest {
                return None;
            }
            window = window.saturating_add(window);
        }
    }

    fn start(&self, due: Timestamp, plan: &mut Plan, last: &mut Value) {
        let active: Vec<&Value> = self.active().collect();
        match self.cron["spec"]["concurrencyPolicy"].as_str() {
            Some("Forbid") if !active.is_empty() => {
                let text = "Not starting job because prior execution is running and concurrency \
                            policy is Forbid";
                plan.events.push(Event::normal("JobAlreadyActive", text));
                return;
            }
            Some("Replace") => {
                plan.delete
                    .extend(active.iter().map(|job| metadata(job, "name").to_owned()));
            }
            _ => {}
        }
        plan.create = Some(job(self.cron, due));
        *last = time(due);
    }

    fn status(&self, last: Value, plan: &Plan) -> Value {
        let mut status = Map::new();
        let active: Vec<Value> = self
            .active()
            .filter(|job| !plan.delete.iter().any(|gone| gone == metadata(job, "name")))
            .map(active)
            .collect();
        if !active.is_empty() {
            status.insert("active".into(), active.into());
        }
        if !last.is_null() {
            status.insert("lastScheduleTime".into(), last);
        }
        let completed = self.jobs.iter().filter(|job| end(job) == Some("Complete"));
        let times = completed.filter_map(|job| job["status"]["completionTime"].as_str());
        let known = self.cron["status"]["lastSuccessfulTime"].as_str();
        if let Some(success) = times.chain(known).max() {
            status.insert("lastSuccessfulTime".into(), json!(success));
        }
        Value::Object(status)
    }
}

/// How a CronJob names a Job that runs.
pub(super) fn active(job: &Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": metadata(job, "name"),
        "namespace": metadata(job, "namespace"), "uid": metadata(job, "uid"),
        "resourceVersion": metadata(job, "resourceVersion"),
    })
}

/// The Job of a time. The same time has the same name, so it is made once.
fn job(cron: &Value, due: Timestamp) -> Value {
    let template = &cron["spec"]["jobTemplate"];
    let map = |field: &str| {
        template["metadata"][field]
            .as_object()
            .cloned()
            .unwrap_or_default()
    };
    let mut annotations = map("annotations");
    annotations.insert(SCHEDULED.to_owned(), time(due));
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": format!("{}-{}", metadata(cron, "name"), due.as_second() / 60),
            "namespace": metadata(cron, "namespace"),
            "labels": map("labels"),
            "annotations": annotations,
            "ownerReferences": [reference(cron)],
        },
        "spec": template["spec"],
    })
}

#[cfg(test)]
mod tests;
