//! The experiment planner: compares what is wanted with what is observed. No I/O, no clock.

use std::time::Duration;

use diwan_api::metadata::ANNOTATION_STOP_RUNNING_AT_GOAL;
use diwan_api::{Experiment, ExperimentStatus, Suggestion, SuggestionStatus, TrialAssignment};
use jiff::Timestamp;

use super::completion::{self, Transition};
use super::ledger::Ledger;
use super::status::status as told;

/// How many trials run at a time when nothing is said.
const PARALLEL: usize = 3;
/// Over which time the pace of trials is measured.
const PACE_WINDOW: Duration = Duration::from_secs(1);
/// Assignments are asked for this part of the pace window ahead.
const AHEAD_PART: usize = 4;
/// At most so many assignments are asked for ahead of need.
const AHEAD_LIMIT: usize = 64;

/// However often trials change, counts are written after so many intervals.
const LONGEST_UNREST: u32 = 4;

/// What is observed of one experiment.
pub struct Snapshot<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Its suggestion, once it is there.
    pub suggestion: Option<&'a Suggestion>,
    /// Its trials.
    pub ledger: &'a Ledger,
    /// When its status was last written, if it was since the start.
    pub recorded: Option<Recorded>,
    /// The least time between two status writes that only count trials.
    pub status_interval: Duration,
    /// How long trials must have stayed as they are before that.
    pub status_quiet: Duration,
    /// What has kept trials from being made for too long.
    pub trouble: Option<&'a str>,
}

/// A status write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When it was.
    pub at: Timestamp,
    /// The ledger's version that was written.
    pub version: u64,
}

/// What is to be done for one experiment.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The experiment is being deleted: let it go.
    pub release: bool,
    /// The change of state that is due.
    pub transition: Option<Transition>,
    /// The status to write.
    pub status: Option<ExperimentStatus>,
    /// How many assignments to ask for in all.
    pub requests: Option<i32>,
    /// The assignments to make trials of.
    pub create: Vec<TrialAssignment>,
    /// The trials to delete.
    pub delete: Vec<String>,
    /// The trials to stop.
    pub kill: Vec<String>,
    /// After which time to look again.
    pub again: Option<Duration>,
}

/// Compares what is wanted with what is observed and returns the difference.
pub fn plan(snapshot: &Snapshot<'_>, now: Timestamp) -> Plan {
    let Snapshot {
        experiment, ledger, ..
    } = snapshot;
    if experiment.metadata.deletion_timestamp.is_some() {
        return Plan {
            release: true,
            ..Plan::default()
        };
    }
    let unused = unused(snapshot);
    let transition = completion::transition(snapshot, unused.len());
    let mut plan = Plan::default();
    let was_completed = experiment
        .status
        .as_ref()
        .is_some_and(ExperimentStatus::is_completed);
    if was_completed || transition.as_ref().is_some_and(Transition::is_end) {
        if transition != Some(Transition::Restart) && stops_at_goal(experiment) {
            plan.kill = ledger.unfinished().map(str::to_owned).collect();
        }
    } else {
        trials(&mut plan, snapshot, &unused, now);
    }
    record(&mut plan, snapshot, transition, now);
    plan
}

/// The assignments that have no trial, in the order in which they were given. Trials are made in
/// that order, so as many as there are trials too few stand at the end; only where trials were
/// deleted since has one to look further.
fn unused<'a>(snapshot: &Snapshot<'a>) -> Vec<&'a TrialAssignment> {
    let listed = status(snapshot).map_or(&[][..], |status| &status.suggestions);
    let is_unused = |given: &&TrialAssignment| !snapshot.ledger.contains(&given.name);
    let missing = given(snapshot).saturating_sub(snapshot.ledger.total());
    let newest: Vec<_> = listed.iter().rev().take_while(is_unused).collect();
    if newest.len() == missing {
        return newest.into_iter().rev().collect();
    }
    listed.iter().filter(is_unused).collect()
}

fn status<'a>(snapshot: &Snapshot<'a>) -> Option<&'a SuggestionStatus> {
    snapshot.suggestion?.status.as_ref()
}

/// How many assignments were given in all.
fn given(snapshot: &Snapshot<'_>) -> usize {
    status(snapshot).map_or(0, SuggestionStatus::given)
}

fn stops_at_goal(experiment: &Experiment) -> bool {
    let annotations = experiment.metadata.annotations.as_ref();
    annotations
        .and_then(|a| a.get(ANNOTATION_STOP_RUNNING_AT_GOAL))
        .is_some_and(|v| v == "true")
}

/// Which trials to make and delete, and how many assignments that takes.
fn trials(plan: &mut Plan, snapshot: &Snapshot<'_>, unused: &[&TrialAssignment], now: Timestamp) {
    let Snapshot {
        experiment, ledger, ..
    } = snapshot;
    let parallel = experiment.spec.parallel_trial_count;
    let parallel = parallel.map_or(PARALLEL, |n| usize::try_from(n).unwrap_or_default());
    let excess = (ledger.active() - ledger.leaving()).saturating_sub(parallel);
    plan.delete = ledger
        .unfinished()
        .take(excess)
        .map(str::to_owned)
        .collect();

    let left = completion::budget(experiment).map_or(usize::MAX, |max| {
        max.saturating_sub(ledger.finished())
            .saturating_sub(ledger.active())
    });
    let slots = parallel.saturating_sub(ledger.active()).min(left);
    plan.create = unused
        .iter()
        .take(slots)
        .map(|&given| given.clone())
        .collect();

    let pace = ledger.ended_within(PACE_WINDOW, now);
    let ahead = (pace / AHEAD_PART).min(AHEAD_LIMIT);
    plan.requests = requests(
        snapshot,
        unused.len(),
        slots,
        slots.saturating_add(ahead).min(left),
    );
}

/// How many assignments to ask for in all, if that is more than was asked for. `slots` could be
/// used at once, `wanted` includes those that will be soon. While trials end slower than a few a
/// second nothing is asked for ahead, so that the algorithm knows all results; faster ones would
/// else cost a round of writes each.
fn requests(snapshot: &Snapshot<'_>, unused: usize, slots: usize, wanted: usize) -> Option<i32> {
    let given = given(snapshot);
    let Some(suggestion) = snapshot.suggestion else {
        return (wanted > 0).then(|| i32::try_from(wanted).unwrap_or(i32::MAX));
    };
    if completion::is_exhausted(suggestion) {
        return None;
    }
    let asked = usize::try_from(suggestion.spec.requests).unwrap_or_default();
    let stock = unused + asked.saturating_sub(given);
    let is_short = stock < slots || (stock == unused && stock < slots + (wanted - slots) / 2);
    if !is_short {
        return None;
    }
    let total = i32::try_from(given + wanted.saturating_sub(unused)).unwrap_or(i32::MAX);
    (total > suggestion.spec.requests).then_some(total)
}

/// Whether the status is to be written now, later or not at all.
fn record(
    plan: &mut Plan,
    snapshot: &Snapshot<'_>,
    transition: Option<Transition>,
    now: Timestamp,
) {
    let Snapshot {
        experiment,
        ledger,
        recorded,
        status_interval,
        status_quiet,
        ..
    } = snapshot;
    if let (None, Some(recorded)) = (&transition, recorded) {
        if recorded.version == ledger.version() {
            return;
        }
        let since = |at| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        let ago = since(recorded.at);
        let quiet = ledger.changed_at().map_or(Duration::MAX, since);
        let wait = status_interval.saturating_sub(ago);
        let rest = status_quiet
            .saturating_sub(quiet)
            .min((*status_interval * LONGEST_UNREST).saturating_sub(ago));
        let left = wait.max(rest);
        if !left.is_zero() {
            plan.again = Some(left);
            return;
        }
    }
    let status = told(experiment, ledger, transition.as_ref(), now);
    if experiment.status.as_ref() != Some(&status) {
        plan.status = Some(status);
    }
    plan.transition = transition;
}

#[cfg(test)]
mod tests;
