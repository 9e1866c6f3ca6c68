//! The suggestion planner: when the algorithm is asked, and what the suggestion says. No I/O.

use diwan_api::suggestion::{condition_reason, condition_type};
use diwan_api::{
    ConditionStatus, Conditions, Experiment, ExperimentStatus, ResumePolicy, Suggestion,
    SuggestionStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What is observed of one suggestion.
pub struct Snapshot<'a> {
    /// The suggestion.
    pub suggestion: &'a Suggestion,
    /// The experiment that it belongs to.
    pub experiment: &'a Experiment,
}

/// What is to be done for one suggestion.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Nothing.
    Rest,
    /// Write this status.
    Record(Box<SuggestionStatus>),
    /// Ask the algorithm.
    Ask {
        /// Whether its settings are to be validated before.
        validate: bool,
        /// How many assignments are wanted now; 0 when only the settings are to be validated.
        count: usize,
        /// How many assignments are wanted in all.
        total: usize,
    },
}

/// Compares what is wanted with what is observed and returns the difference.
pub fn plan(snapshot: &Snapshot<'_>, now: Timestamp) -> Plan {
    let Snapshot {
        suggestion,
        experiment,
    } = snapshot;
    let nothing = SuggestionStatus::default();
    let status = suggestion.status.as_ref().unwrap_or(&nothing);
    let is_leaving = suggestion.metadata.deletion_timestamp.is_some()
        || experiment.metadata.deletion_timestamp.is_some();
    if is_leaving || status.is(condition_type::FAILED) {
        return Plan::Rest;
    }
    if experiment
        .status
        .as_ref()
        .is_some_and(ExperimentStatus::is_completed)
    {
        return finish(status, suggestion.spec.resume_policy.as_ref(), now);
    }
    if status.is(condition_type::SUCCEEDED) {
        return Plan::Record(Box::new(restarted(status.clone(), now)));
    }
    let validate = !status.is(condition_type::RUNNING);
    let total = usize::try_from(suggestion.spec.requests).unwrap_or_default();
    let count = if status.is(condition_type::EXHAUSTED) {
        0
    } else {
        total.saturating_sub(status.given())
    };
    if validate || count > 0 {
        Plan::Ask {
            validate,
            count,
            total,
        }
    } else {
        Plan::Rest
    }
}

/// What becomes of the suggestion of a completed experiment. That of a long-running one stays as
/// it is, ready to go on.
fn finish(status: &SuggestionStatus, policy: Option<&ResumePolicy>, now: Timestamp) -> Plan {
    let message = match policy {
        Some(ResumePolicy::LongRunning) => return Plan::Rest,
        Some(ResumePolicy::FromVolume) => {
            "Suggestion is succeeded, suggestion volume is not deleted, can be restarted"
        }
        _ => "Suggestion is succeeded, can't be restarted",
    };
    if status.is(condition_type::SUCCEEDED) {
        return Plan::Rest;
    }
    let mut status = status.clone();
    let (yes, no) = (ConditionStatus::True, ConditionStatus::False);
    status.set(
        condition_type::RUNNING,
        no,
        "Suggestion is succeeded",
        message,
        now,
    );
    status.set(
        condition_type::SUCCEEDED,
        yes,
        condition_reason::SUCCEEDED,
        message,
        now,
    );
    status.completion_time = Some(Time(now));
    Plan::Record(Box::new(status))
}

fn restarted(mut status: SuggestionStatus, now: Timestamp) -> SuggestionStatus {
    let reason = "Experiment is restarting";
    status
        .conditions
        .retain(|c| c.type_ != condition_type::SUCCEEDED);
    status.completion_time = None;
    status.set(
        condition_type::RUNNING,
        ConditionStatus::False,
        reason,
        reason,
        now,
    );
    status
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn conditions(types: &[&str]) -> Value {
        types
            .iter()
            .map(|type_| json!({"type": type_, "status": "True"}))
            .collect()
    }

    /// Plans a suggestion with these conditions, and so many assignments asked for and given.
    fn check(
        own: &[&str],
        experiment: &[&str],
        policy: &str,
        (asked, given): (i32, usize),
    ) -> Plan {
        let suggestion: Suggestion = from(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Suggestion", "metadata": {},
            "spec": {"requests": asked, "resumePolicy": policy},
            "status": {"conditions": conditions(own), "suggestions": vec![json!({}); given]}
        }));
        let experiment: Experiment = from(json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {},
            "spec": {}, "status": {"conditions": conditions(experiment)}
        }));
        let snapshot = Snapshot {
            suggestion: &suggestion,
            experiment: &experiment,
        };
        plan(&snapshot, Timestamp::UNIX_EPOCH)
    }

    fn ask(validate: bool, count: usize, total: usize) -> Plan {
        Plan::Ask {
            validate,
            count,
            total,
        }
    }

    #[test]
    fn settings_are_validated_before_anything_is_asked() {
        assert_eq!(check(&[], &["Created"], "Never", (3, 0)), ask(true, 3, 3));
        assert_eq!(check(&[], &["Created"], "Never", (0, 0)), ask(true, 0, 0));
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        assert_eq!(
            check(&["Running"], &["Running"], "Never", (5, 3)),
            ask(false, 2, 5)
        );
        assert_eq!(
            check(&["Running"], &["Running"], "Never", (5, 5)),
            Plan::Rest
        );
        assert_eq!(
            check(&["Running"], &["Running"], "Never", (5, 7)),
            Plan::Rest
        );
    }

    #[test]
    fn nothing_is_asked_of_one_that_failed_or_is_exhausted() {
        assert_eq!(
            check(&["Failed"], &["Running"], "Never", (5, 3)),
            Plan::Rest
        );
        assert_eq!(
            check(&["Running", "Exhausted"], &["Running"], "Never", (5, 3)),
            Plan::Rest
        );
    }

    #[test]
    fn the_end_of_the_experiment_ends_it_as_the_policy_says() {
        let message = |policy| match check(&["Running"], &["Succeeded"], policy, (5, 3)) {
            Plan::Record(status) => status.last_condition().unwrap().message.clone(),
            _ => "nothing".to_owned(),
        };
        assert_eq!(
            message("Never"),
            "Suggestion is succeeded, can't be restarted"
        );
        assert_eq!(
            message("FromVolume"),
            "Suggestion is succeeded, suggestion volume is not deleted, can be restarted"
        );
        assert_eq!(message("LongRunning"), "nothing");
        assert_eq!(
            check(&["Succeeded"], &["Succeeded"], "Never", (5, 3)),
            Plan::Rest
        );
    }

    #[test]
    fn a_restart_takes_its_end_back() {
        let restarted = check(
            &["Running", "Succeeded"],
            &["Restarting"],
            "FromVolume",
            (5, 3),
        );
        let Plan::Record(status) = restarted else {
            panic!("not restarted")
        };
        assert!(!status.is(condition_type::SUCCEEDED));
        let last = status.last_condition().unwrap();
        assert_eq!(last.reason, "Experiment is restarting");
        assert_eq!(last.status, ConditionStatus::False);
    }
}
