//! The trial planner: what is to be done next for one trial. No I/O, no clock.

use diwan_api::job_condition::{JobCondition, JobReason, job_condition};
use diwan_api::trial::condition_type;
use diwan_api::{Conditions, Trial, TrialStatus};
use serde_json::Value;

/// The object that runs a trial, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub enum Run<'a> {
    /// There is none.
    Absent,
    /// There is one.
    Present {
        /// The whole object.
        object: &'a Value,
        /// Whether it is being deleted.
        leaving: bool,
    },
}

/// What is observed of one trial.
pub struct Snapshot<'a> {
    /// The trial.
    pub trial: &'a Trial,
    /// The object that runs it.
    pub run: Run<'a>,
}

/// What is to be done next for one trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing until something changes.
    Rest,
    /// Create the object that runs it, and say that it runs.
    Start,
    /// Say that it runs, which it does.
    ConfirmRunning,
    /// It runs: see that its pods get going.
    Oversee,
    /// Its run has succeeded: look at what was observed and conclude.
    Conclude(JobReason),
    /// Its run has failed.
    Fail(JobReason),
    /// A rule has stopped it: complete its status with what was observed.
    CompleteStopped,
    /// It has ended: delete the object that ran it.
    RemoveRun,
    /// It is being deleted: stop its run and wait for that to be gone.
    StopRun,
    /// It is being deleted and nothing runs: delete its observation log and let it go.
    Release,
}

/// Decides what is to be done next.
pub fn plan(snapshot: &Snapshot<'_>) -> Plan {
    let Snapshot { trial, run } = snapshot;
    if trial.metadata.deletion_timestamp.is_some() {
        return match run {
            Run::Absent => Plan::Release,
            Run::Present { leaving: true, .. } => Plan::Rest,
            Run::Present { leaving: false, .. } => Plan::StopRun,
        };
    }
    let status = trial.status.as_ref();
    if status.is_some_and(TrialStatus::is_completed) {
        return completed(snapshot);
    }
    let Run::Present { object, .. } = run else {
        return Plan::Start;
    };
    let spec = &trial.spec;
    match job_condition(object, &spec.success_condition, &spec.failure_condition) {
        JobCondition::Failed(reason) => Plan::Fail(reason),
        JobCondition::Succeeded(reason) => Plan::Conclude(reason),
        JobCondition::Running => {
            let is_said = status.is_some_and(|s| s.condition(condition_type::RUNNING).is_some());
            if is_said {
                Plan::Oversee
            } else {
                Plan::ConfirmRunning
            }
        }
    }
}

fn completed(snapshot: &Snapshot<'_>) -> Plan {
    let Snapshot { trial, run } = snapshot;
    let status = trial.status.as_ref();
    let stopped =
        status.is_some_and(|s| s.is(condition_type::EARLY_STOPPED) && s.completion_time.is_none());
    if stopped {
        return Plan::CompleteStopped;
    }
    match run {
        Run::Present {
            object,
            leaving: false,
        } if !is_kept(trial, object) => Plan::RemoveRun,
        _ => Plan::Rest,
    }
}

/// Whether the run stays after the end. That of a trial which was killed or stopped early goes
/// unless it has ended by itself: to end it is what that means.
fn is_kept(trial: &Trial, run: &Value) -> bool {
    let (success, failure) = (&trial.spec.success_condition, &trial.spec.failure_condition);
    let is_cut = trial
        .status
        .as_ref()
        .is_some_and(|s| s.is(condition_type::KILLED) || s.is(condition_type::EARLY_STOPPED));
    let runs = || job_condition(run, success, failure) == JobCondition::Running;
    trial.spec.retain_run && !(is_cut && runs())
}

#[cfg(test)]
mod tests {
    use diwan_api::TrialStatus;
    use serde_json::json;

    use super::*;

    const COMPLETE: &str = r#"status.conditions.#(type=="Complete")#|#(status=="True")#"#;
    const FAILED: &str = r#"status.conditions.#(type=="Failed")#|#(status=="True")#"#;

    /// Plans a trial with these conditions (`!` for False) and a run in this state.
    fn check(conditions: &str, run: &str, expected: Plan) {
        let conditions: Vec<_> = conditions
            .split_whitespace()
            .map(|word| match word.strip_prefix('!') {
                Some(type_) => json!({"type": type_, "status": "False"}),
                None => json!({"type": word, "status": "True"}),
            })
            .collect();
        let status = json!({"conditions": conditions});
        let mut trial = Trial {
            status: Some(serde_json::from_value::<TrialStatus>(status).unwrap()),
            ..Trial::default()
        };
        trial.spec.success_condition = COMPLETE.to_owned();
        trial.spec.failure_condition = FAILED.to_owned();
        trial.spec.retain_run = run.contains("retained");
        if run.contains("deleted") {
            trial.metadata.deletion_timestamp =
                serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        }
        let of = |type_: &str| {
            json!({"status": {"conditions": [{
                "type": type_, "status": "True", "reason": "R", "message": "M"
            }]}})
        };
        let object = match run {
            run if run.contains("complete") => of("Complete"),
            run if run.contains("failed") => of("Failed"),
            _ => json!({}),
        };
        let leaving = run.contains("leaving");
        let run = if run.contains("absent") {
            Run::Absent
        } else {
            Run::Present {
                object: &object,
                leaving,
            }
        };
        assert_eq!(plan(&Snapshot { trial: &trial, run }), expected);
    }

    fn said() -> JobReason {
        JobReason {
            reason: "R".to_owned(),
            message: "M".to_owned(),
        }
    }

    #[test]
    fn a_trial_without_a_run_is_started() {
        check("", "absent", Plan::Start);
        check("Created", "absent", Plan::Start);
        check("Created Running", "absent", Plan::Start);
    }

    #[test]
    fn a_running_trial_is_said_to_run_once() {
        check("", "active", Plan::ConfirmRunning);
        check("Created Running", "active", Plan::Oversee);
        check("Created !Running", "active", Plan::Oversee);
    }

    #[test]
    fn the_end_of_the_run_decides() {
        check("Created Running", "complete", Plan::Conclude(said()));
        check("", "complete", Plan::Conclude(said()));
        check("Created Running", "failed", Plan::Fail(said()));
    }

    #[test]
    fn the_run_of_an_ended_trial_is_removed_once() {
        for end in ["Succeeded", "Failed", "MetricsUnavailable", "Killed"] {
            check(end, "complete", Plan::RemoveRun);
            check(end, "complete leaving", Plan::Rest);
            check(end, "absent", Plan::Rest);
        }
    }

    #[test]
    fn a_retained_run_stays_unless_the_trial_was_killed() {
        check("Succeeded", "complete retained", Plan::Rest);
        check("Killed", "active retained", Plan::RemoveRun);
        check("Killed", "complete retained", Plan::Rest);
    }

    #[test]
    fn a_trial_stopped_by_a_rule_is_completed_before_its_run_goes() {
        check("Running EarlyStopped", "active", Plan::CompleteStopped);
    }

    #[test]
    fn a_deleted_trial_stops_its_run_before_it_goes() {
        check("Running", "active deleted", Plan::StopRun);
        check("Running", "active deleted leaving", Plan::Rest);
        check("Running", "absent deleted", Plan::Release);
        check("Succeeded", "absent deleted", Plan::Release);
    }
}
