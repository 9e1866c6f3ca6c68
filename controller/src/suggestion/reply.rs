//! What the algorithm's answer makes of a suggestion's status. No I/O.

use std::collections::HashSet;

use diwan_api::suggestion::{condition_reason, condition_type};
use diwan_api::{
    AlgorithmSetting, ConditionStatus, Conditions, EarlyStoppingRule, SuggestionStatus,
    TrialAssignment,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::name::trial_name;
use crate::port::{SuggestReply, SuggesterError};

/// The status of a suggestion whose algorithm has accepted the settings.
pub(crate) fn accepted(mut status: SuggestionStatus, now: Timestamp) -> SuggestionStatus {
    created(&mut status, now);
    let yes = ConditionStatus::True;
    let (ready, running) = (
        condition_reason::DEPLOYMENT_READY,
        condition_reason::RUNNING,
    );
    status.set(
        condition_type::DEPLOYMENT_READY,
        yes,
        ready,
        "Deployment is ready",
        now,
    );
    status.set(
        condition_type::RUNNING,
        yes,
        running,
        "Suggestion is running",
        now,
    );
    status
}

fn created(status: &mut SuggestionStatus, now: Timestamp) {
    let yes = ConditionStatus::True;
    let reason = condition_reason::CREATED;
    if status.set(
        condition_type::CREATED,
        yes,
        reason,
        "Suggestion is created",
        now,
    ) {
        status.start_time.get_or_insert(Time(now));
    }
}

/// How many assignments of trials that exist stay listed. A status has room for 1.5 MiB, and is
/// written as a whole.
const LISTED: usize = 100;

/// Adds what the algorithm gave, at most `count` assignments, and tells how many those were.
/// Those without a name get one that is not taken; a name that is taken is passed over.
pub(crate) fn taken_in(
    status: &mut SuggestionStatus,
    reply: SuggestReply,
    count: usize,
    experiment: &str,
    is_taken: impl Fn(&str) -> bool,
    mut draw: impl FnMut() -> u64,
    now: Timestamp,
) -> usize {
    let (given, before) = (status.given(), status.suggestions.len());
    let mut names: HashSet<String> = status.suggestions.iter().map(|s| s.name.clone()).collect();
    let is_cut = reply.assignments.len() > count;
    for mut assignment in reply.assignments.into_iter().take(count) {
        if assignment.name.is_empty() {
            let is_taken = |name: &str| names.contains(name) || is_taken(name);
            assignment.name = fresh_name(experiment, is_taken, &mut draw);
        } else if is_taken(&assignment.name) {
            continue;
        }
        if names.insert(assignment.name.clone()) {
            status.suggestions.push(assignment);
        }
    }
    let new = status.suggestions.len() - before;
    status.suggestion_count = i32::try_from(given + new).unwrap_or(i32::MAX);
    status.algorithm_settings = laid_over(&status.algorithm_settings, &reply.settings);
    if reply.exhausted && !is_cut {
        let (type_, reason) = (condition_type::EXHAUSTED, condition_reason::EXHAUSTED);
        let message = "the search space is exhausted, no further assignment will come";
        // The state that clients see stays Running: it is moved back to the end.
        status.set(type_, ConditionStatus::True, reason, message, now);
        let last = |c: &diwan_api::Condition| c.type_ == condition_type::RUNNING;
        if let Some(at) = status.conditions.iter().position(last) {
            let running = status.conditions.remove(at);
            status.conditions.push(running);
        }
    }
    new
}

/// Takes the oldest assignments off the list, as far as trials were made of them.
pub(crate) fn shortened(status: &mut SuggestionStatus, is_used: impl Fn(&str) -> bool) {
    status.suggestion_count = i32::try_from(status.given()).unwrap_or(i32::MAX);
    let surplus = status.suggestions.len().saturating_sub(LISTED);
    let oldest = status.suggestions.iter().take(surplus);
    let spent = oldest.take_while(|given| is_used(&given.name)).count();
    status.suggestions.drain(..spent);
}

/// Gives the newest `given` assignments the rules under which their trials are stopped, unless the
/// algorithm gave them some.
pub(crate) fn ruled(status: &mut SuggestionStatus, given: usize, rules: &[EarlyStoppingRule]) {
    let newest = status.suggestions.iter_mut().rev().take(given);
    for assignment in newest.filter(|a| a.early_stopping_rules.is_empty()) {
        assignment.early_stopping_rules = rules.to_vec();
    }
}

fn fresh_name(
    experiment: &str,
    is_taken: impl Fn(&str) -> bool,
    draw: &mut impl FnMut() -> u64,
) -> String {
    loop {
        let name = trial_name(experiment, draw());
        if !is_taken(&name) {
            return name;
        }
    }
}

/// `below` with the settings of `above` laid over it, by name.
pub(super) fn laid_over(
    below: &[AlgorithmSetting],
    above: &[AlgorithmSetting],
) -> Vec<AlgorithmSetting> {
    let mut settings = below.to_vec();
    for setting in above {
        match settings.iter_mut().find(|s| s.name == setting.name) {
            Some(found) => found.value.clone_from(&setting.value),
            None => settings.push(setting.clone()),
        }
    }
    settings
}

/// What is to follow an error of the algorithm.
#[derive(Debug, PartialEq)]
pub(super) enum Reaction {
    /// The suggestion has failed.
    Fail(SuggestionStatus),
    /// The algorithm is asked again; the status says why.
    Retry(SuggestionStatus),
}

/// The status of a suggestion whose algorithm can't be asked for now.
pub(super) fn waiting(mut status: SuggestionStatus, why: &str, now: Timestamp) -> SuggestionStatus {
    created(&mut status, now);
    let (type_, reason) = (
        condition_type::DEPLOYMENT_READY,
        condition_reason::DEPLOYMENT_NOT_READY,
    );
    let is_set = status.set(type_, ConditionStatus::False, reason, why, now);
    // What it waits for changes, and people look at it.
    let said = status.conditions.iter_mut().find(|c| c.type_ == type_);
    if let (false, Some(said)) = (is_set, said)
        && said.message != why
    {
        why.clone_into(&mut said.message);
        said.last_update_time = Some(Time(now));
    }
    status
}

/// What an error makes of the status; `is_last` when it is not to be tried again.
pub(super) fn failed(
    mut status: SuggestionStatus,
    error: &SuggesterError,
    during: During,
    is_last: bool,
    now: Timestamp,
) -> Reaction {
    if let (SuggesterError::Retry(message), false) = (error, is_last) {
        return Reaction::Retry(waiting(status, message, now));
    }
    created(&mut status, now);
    let message = match during {
        During::Validation => {
            format!("Validation failed: ValidateAlgorithmSettings Error: {error}")
        }
        During::Suggestion => format!("GetSuggestions failed: {error}"),
    };
    let (yes, no) = (ConditionStatus::True, ConditionStatus::False);
    if status.is(condition_type::RUNNING) {
        let reason = condition_reason::FAILED;
        status.set(
            condition_type::RUNNING,
            no,
            reason,
            "Suggestion has failed",
            now,
        );
    }
    status.set(
        condition_type::FAILED,
        yes,
        condition_reason::FAILED,
        &message,
        now,
    );
    status.completion_time = Some(Time(now));
    Reaction::Fail(status)
}

/// What the algorithm was asked for when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum During {
    /// To validate its settings.
    Validation,
    /// To suggest.
    Suggestion,
}

/// The given assignments that must be known to the algorithm beside the trials made of them.
pub(super) fn names(assignments: &[TrialAssignment]) -> impl Iterator<Item = &str> {
    assignments
        .iter()
        .map(|assignment| assignment.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn named(name: &str) -> TrialAssignment {
        TrialAssignment {
            name: name.to_owned(),
            ..TrialAssignment::default()
        }
    }

    fn take(status: &mut SuggestionStatus, reply: SuggestReply, count: usize) -> usize {
        let mut next = 0;
        let draw = || {
            next += 1;
            next
        };
        taken_in(
            status,
            reply,
            count,
            "e",
            |name| name == "e-cbbbbbbb",
            draw,
            now(),
        )
    }

    #[test]
    fn a_partial_reply_is_accepted() {
        let mut status = SuggestionStatus::default();
        let reply = SuggestReply {
            assignments: vec![named(""); 2],
            ..SuggestReply::default()
        };
        assert_eq!(take(&mut status, reply, 5), 2);
        assert_eq!(
            names(&status.suggestions).collect::<Vec<_>>(),
            ["e-dbbbbbbb", "e-fbbbbbbb"]
        );
        assert_eq!(status.suggestion_count, 2);
    }

    #[test]
    fn surplus_and_repeated_names_are_passed_over() {
        let mut status = SuggestionStatus {
            suggestions: vec![named("a")],
            ..Default::default()
        };
        let assignments = vec![named("a"), named("b"), named("c")];
        let reply = SuggestReply {
            assignments,
            exhausted: true,
            ..SuggestReply::default()
        };
        assert_eq!(take(&mut status, reply, 2), 1);
        assert_eq!(names(&status.suggestions).collect::<Vec<_>>(), ["a", "b"]);
        assert!(
            !status.is(condition_type::EXHAUSTED),
            "one assignment was cut off"
        );
    }

    #[test]
    fn spent_assignments_leave_the_list_but_not_the_count() {
        let all = (0..LISTED + 5).map(|n| named(&n.to_string()));
        let mut status = SuggestionStatus {
            suggestions: all.collect(),
            ..Default::default()
        };
        shortened(&mut status, |name| name != "3");
        assert_eq!(names(&status.suggestions).next(), Some("3"));
        assert_eq!((status.given(), status.first_place()), (LISTED + 5, 3));
        shortened(&mut status, |_| true);
        assert_eq!(names(&status.suggestions).next(), Some("5"));
        let reply = SuggestReply {
            assignments: vec![named("new")],
            ..SuggestReply::default()
        };
        assert_eq!(take(&mut status, reply, 1), 1);
        assert_eq!((status.given(), status.first_place()), (LISTED + 6, 5));
    }

    #[test]
    fn the_end_of_the_space_is_kept_and_running_stays_the_last_condition() {
        let mut status = accepted(SuggestionStatus::default(), now());
        let reply = SuggestReply {
            exhausted: true,
            ..SuggestReply::default()
        };
        assert_eq!(take(&mut status, reply, 2), 0);
        assert!(status.is(condition_type::EXHAUSTED));
        assert_eq!(
            status.last_condition().unwrap().type_,
            condition_type::RUNNING
        );
    }

    #[test]
    fn returned_settings_are_laid_over() {
        let setting = |name: &str, value: &str| AlgorithmSetting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let below = [setting("a", "1"), setting("b", "2")];
        let above = [setting("b", "3"), setting("c", "4")];
        let expected = vec![setting("a", "1"), setting("b", "3"), setting("c", "4")];
        assert_eq!(laid_over(&below, &above), expected);
    }

    #[test]
    fn an_unreachable_algorithm_is_said_first_and_fails_in_the_end() {
        let error = SuggesterError::Retry("no route".to_owned());
        let status = SuggestionStatus::default();
        let Reaction::Retry(status) = failed(status, &error, During::Suggestion, false, now())
        else {
            panic!("not tried again")
        };
        let condition = status.condition(condition_type::DEPLOYMENT_READY).unwrap();
        assert_eq!(condition.message, "no route");
        let status = waiting(status, "no name", now());
        let condition = status.condition(condition_type::DEPLOYMENT_READY).unwrap();
        assert_eq!(condition.message, "no name");
        let Reaction::Fail(status) = failed(status, &error, During::Suggestion, true, now()) else {
            panic!("tried for ever")
        };
        let condition = status.condition(condition_type::FAILED).unwrap();
        assert_eq!(condition.message, "GetSuggestions failed: no route");
    }

    #[test]
    fn refused_settings_fail_with_upstreams_text() {
        let error = SuggesterError::Invalid("unknown setting x".to_owned());
        let status = SuggestionStatus::default();
        let Reaction::Fail(status) = failed(status, &error, During::Validation, false, now())
        else {
            panic!("tried again")
        };
        assert_eq!(
            status.condition(condition_type::FAILED).unwrap().message,
            "Validation failed: ValidateAlgorithmSettings Error: unknown setting x"
        );
    }
}
