//! What an experiment's status says, made from the ledger. No I/O.

use diwan_api::experiment::{condition_reason, condition_type};
use diwan_api::{ConditionStatus, Conditions, Experiment, ExperimentStatus, OptimalTrial};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::completion::Transition;
use super::ledger::{Ledger, TrialState};

/// Up to how many names a list of trials is complete.
const LIST_LIMIT: usize = 1_000;

/// The status of the experiment after `transition`, with all trials counted.
pub(super) fn status(
    experiment: &Experiment,
    ledger: &Ledger,
    transition: Option<&Transition>,
    now: Timestamp,
) -> ExperimentStatus {
    let mut status = ExperimentStatus {
        conditions: conditions(experiment).to_vec(),
        start_time: experiment
            .status
            .as_ref()
            .and_then(|s| s.start_time.clone()),
        completion_time: experiment
            .status
            .as_ref()
            .and_then(|s| s.completion_time.clone()),
        ..ExperimentStatus::default()
    };
    count(&mut status, ledger);
    if let Some(best) = ledger.optimal() {
        status.current_optimal_trial = OptimalTrial {
            best_trial_name: best.metadata.name.clone().unwrap_or_default(),
            parameter_assignments: best.spec.parameter_assignments.clone(),
            observation: best
                .status
                .as_ref()
                .and_then(|s| s.observation.clone())
                .unwrap_or_default(),
        };
    }
    if let Some(transition) = transition {
        change(&mut status, transition, now);
    }
    status
}

fn conditions(experiment: &Experiment) -> &[diwan_api::Condition] {
    experiment
        .status
        .as_ref()
        .map_or(&[], |status| &status.conditions)
}

fn count(status: &mut ExperimentStatus, ledger: &Ledger) {
    let names = |state| ledger.names(state, LIST_LIMIT);
    let number = |state| i32::try_from(ledger.count(state)).unwrap_or(i32::MAX);
    status.trials = i32::try_from(ledger.total()).unwrap_or(i32::MAX);
    status.trials_pending = number(TrialState::Pending);
    status.trials_running = number(TrialState::Running);
    status.trials_succeeded = number(TrialState::Succeeded);
    status.trials_failed = number(TrialState::Failed);
    status.trials_killed = number(TrialState::Killed);
    status.trials_early_stopped = number(TrialState::EarlyStopped);
    status.trial_metrics_unavailable = number(TrialState::MetricsUnavailable);
    status.pending_trial_list = names(TrialState::Pending);
    status.running_trial_list = names(TrialState::Running);
    status.succeeded_trial_list = names(TrialState::Succeeded);
    status.failed_trial_list = names(TrialState::Failed);
    status.killed_trial_list = names(TrialState::Killed);
    status.early_stopped_trial_list = names(TrialState::EarlyStopped);
    status.metrics_unavailable_trial_list = names(TrialState::MetricsUnavailable);
}

fn change(status: &mut ExperimentStatus, transition: &Transition, now: Timestamp) {
    let (type_, reason, message) = transition.condition();
    match transition {
        Transition::Create => status.start_time = Some(Time(now)),
        Transition::Run => {}
        Transition::Restart => {
            use condition_type::{FAILED, RESTARTING, SUCCEEDED};
            status.completion_time = None;
            status
                .conditions
                .retain(|c| ![SUCCEEDED, FAILED, RESTARTING].contains(&&*c.type_));
        }
        Transition::Succeed { .. } | Transition::Fail { .. } => {
            status.completion_time = Some(Time(now));
            if status.is(condition_type::RUNNING) {
                let running = ("Experiment is running", condition_reason::RUNNING);
                let (text, reason) = running;
                let not = ConditionStatus::False;
                status.set(condition_type::RUNNING, not, reason, text, now);
            }
        }
    }
    status.set(type_, ConditionStatus::True, reason, &message, now);
}
