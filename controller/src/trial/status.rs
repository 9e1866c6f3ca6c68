//! What a trial's status says. No I/O.

use diwan_api::job_condition::JobReason;
use diwan_api::trial::{condition_reason, condition_type};
use diwan_api::{ConditionStatus, Conditions, Observation, TrialStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// How a trial has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its run has succeeded and its objective was observed, or nothing was to be observed.
    Succeeded,
    /// Its run has succeeded but its objective was not observed.
    MetricsUnavailable,
    /// Its run has failed.
    Failed,
}

impl End {
    /// Type, reason and message of the condition.
    fn condition(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Succeeded => (
                condition_type::SUCCEEDED,
                condition_reason::SUCCEEDED,
                "Trial has succeeded",
            ),
            Self::MetricsUnavailable => (
                condition_type::METRICS_UNAVAILABLE,
                condition_reason::METRICS_UNAVAILABLE,
                "Metrics are not available",
            ),
            Self::Failed => (
                condition_type::FAILED,
                condition_reason::FAILED,
                "Trial has failed",
            ),
        }
    }

    /// The reason of the event.
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::Succeeded => "JobSucceeded",
            Self::MetricsUnavailable => "JobMetricsUnavailable",
            Self::Failed => "JobFailed",
        }
    }
}

/// The status of a trial that was seen for the first time.
pub(super) fn created(status: &mut TrialStatus, now: Timestamp) {
    let (type_, reason) = (condition_type::CREATED, condition_reason::CREATED);
    if status.set(
        type_,
        ConditionStatus::True,
        reason,
        "Trial is created",
        now,
    ) {
        status.start_time.get_or_insert(Time(now));
    }
}

/// The status of a trial whose run exists.
pub(super) fn running(status: &mut TrialStatus, now: Timestamp) {
    created(status, now);
    let (type_, reason) = (condition_type::RUNNING, condition_reason::RUNNING);
    status.set(
        type_,
        ConditionStatus::True,
        reason,
        "Trial is running",
        now,
    );
}

/// The status of a trial that waits for something: before it can run, or while it does.
pub(super) fn waiting(
    status: &mut TrialStatus,
    runs: ConditionStatus,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    created(status, now);
    let type_ = condition_type::RUNNING;
    let is_set = status.set(type_, runs, reason, message, now);
    let said = status.conditions.iter_mut().find(|c| c.type_ == type_);
    // The same again, of which more is known.
    if let (false, Some(said)) = (is_set, said) {
        message.clone_into(&mut said.message);
        said.last_update_time = Some(Time(now));
    }
}

/// What is known about the end of a trial.
#[derive(Clone, Debug, Default)]
pub(super) struct Epitaph {
    /// What the run says, appended to reason and message as upstream does.
    pub(super) job: JobReason,
    /// What else helps the user, on lines of its own.
    pub(super) note: Option<String>,
    /// What was observed.
    pub(super) observation: Option<Observation>,
}

/// The status of a trial that has ended.
pub(super) fn ended(status: &mut TrialStatus, end: End, epitaph: Epitaph, now: Timestamp) {
    let Epitaph {
        job,
        note,
        observation,
    } = epitaph;
    created(status, now);
    if status.is(condition_type::RUNNING) {
        let (type_, reason) = (condition_type::RUNNING, condition_reason::RUNNING);
        status.set(
            type_,
            ConditionStatus::False,
            reason,
            "Trial is running",
            now,
        );
    }
    let (type_, reason, message) = end.condition();
    let appended = |text: &str, what: &str, job: &str| match job {
        "" => text.to_owned(),
        job => format!("{text}. Job {what}: {job}"),
    };
    let reason = appended(reason, "reason", &job.reason);
    let mut message = appended(message, "message", &job.message);
    if let Some(note) = note {
        message.push('\n');
        message.push_str(&note);
    }
    status.set(type_, ConditionStatus::True, &reason, &message, now);
    status.completion_time = Some(Time(now));
    if observation.is_some() {
        status.observation = observation;
    }
}

/// The status of a trial that a rule has stopped, completed with what was observed.
pub(super) fn stopped_early(
    status: &mut TrialStatus,
    observation: Option<Observation>,
    now: Timestamp,
) {
    status.completion_time.get_or_insert(Time(now));
    if observation.is_some() {
        status.observation = observation;
    }
}
