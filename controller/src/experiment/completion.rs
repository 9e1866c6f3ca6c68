//! When an experiment changes its state, and why. No I/O.

use diwan_api::experiment::{condition_reason, condition_type};
use diwan_api::{
    Conditions, Experiment, ObjectiveType, ResumePolicy, Suggestion, suggestion as suggestion_api,
};

use super::ledger::{Ledger, TrialState};
use super::plan::Snapshot;

/// A change of an experiment's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It was seen for the first time.
    Create,
    /// Its first trials are there, or again after a restart.
    Run,
    /// It was completed and got a larger budget.
    Restart,
    /// It has succeeded.
    Succeed {
        /// The reason of the condition.
        reason: &'static str,
        /// What has reached its end.
        because: &'static str,
    },
    /// It has failed.
    Fail {
        /// What went wrong.
        message: String,
    },
}

impl Transition {
    /// Type, reason and message of the condition that becomes True.
    pub(super) fn condition(&self) -> (&'static str, &'static str, String) {
        let (type_, reason, message) = match self {
            Self::Create => (
                condition_type::CREATED,
                condition_reason::CREATED,
                "Experiment is created",
            ),
            Self::Run => (
                condition_type::RUNNING,
                condition_reason::RUNNING,
                "Experiment is running",
            ),
            Self::Restart => (
                condition_type::RESTARTING,
                condition_reason::RESTARTING,
                "Experiment is restarted",
            ),
            Self::Succeed { reason, because } => {
                let message = format!("Experiment has succeeded because {because}");
                return (condition_type::SUCCEEDED, reason, message);
            }
            Self::Fail { message } => {
                return (
                    condition_type::FAILED,
                    condition_reason::FAILED,
                    message.clone(),
                );
            }
        };
        (type_, reason, message.to_owned())
    }

    /// Whether the experiment is completed by it.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Succeed { .. } | Self::Fail { .. })
    }
}

const GOAL: Transition = Transition::Succeed {
    reason: condition_reason::GOAL_REACHED,
    because: "Objective goal has reached",
};
const MAX_TRIALS: Transition = Transition::Succeed {
    reason: condition_reason::MAX_TRIALS_REACHED,
    because: "max trial count has reached",
};
const END: Transition = Transition::Succeed {
    reason: condition_reason::SUGGESTION_END_REACHED,
    because: "suggestion service has reached the end",
};

/// The change that is due, if one is. `unused` is how many assignments have no trial yet.
pub(super) fn transition(snapshot: &Snapshot<'_>, unused: usize) -> Option<Transition> {
    let Snapshot {
        experiment,
        suggestion,
        ledger,
        ..
    } = snapshot;
    let is = |type_| {
        experiment
            .status
            .as_ref()
            .is_some_and(|status| status.is(type_))
    };
    if !is(condition_type::CREATED) {
        return Some(Transition::Create);
    }
    if is(condition_type::SUCCEEDED) || is(condition_type::FAILED) {
        return is_restarted(experiment, ledger).then_some(Transition::Restart);
    }
    if is_goal_reached(experiment, ledger) {
        return Some(GOAL);
    }
    if let Some(failed) = failure(snapshot) {
        return Some(failed);
    }
    if budget(experiment).is_some_and(|max| ledger.finished() >= max) {
        return Some(MAX_TRIALS);
    }
    let exhausted = suggestion.is_some_and(is_exhausted);
    if exhausted && unused == 0 && ledger.active() == 0 {
        return Some(END);
    }
    (!is(condition_type::RUNNING) && ledger.total() > 0).then_some(Transition::Run)
}

/// `maxTrialCount`; `None` when there is no limit.
pub(super) fn budget(experiment: &Experiment) -> Option<usize> {
    experiment
        .spec
        .max_trial_count
        .map(|max| usize::try_from(max).unwrap_or_default())
}

/// Whether no further assignment will come.
pub(super) fn is_exhausted(suggestion: &Suggestion) -> bool {
    let status = suggestion.status.as_ref();
    status.is_some_and(|status| status.is(suggestion_api::condition_type::EXHAUSTED))
}

/// Only an experiment that used up its budget can go on, with a larger one. (Upstream also restarts
/// one without a budget that has reached its goal, for ever.)
fn is_restarted(experiment: &Experiment, ledger: &Ledger) -> bool {
    let succeeded = experiment
        .status
        .as_ref()
        .and_then(|s| s.condition(condition_type::SUCCEEDED));
    let by_budget = succeeded.is_some_and(|c| c.reason == condition_reason::MAX_TRIALS_REACHED);
    let resumable = matches!(
        experiment.spec.resume_policy,
        Some(ResumePolicy::LongRunning | ResumePolicy::FromVolume)
    );
    by_budget && resumable && budget(experiment).is_none_or(|max| max > ledger.total())
}

fn is_goal_reached(experiment: &Experiment, ledger: &Ledger) -> bool {
    let Some(objective) = &experiment.spec.objective else {
        return false;
    };
    let (Some(goal), Some((_, best))) = (objective.goal, ledger.best()) else {
        return false;
    };
    match objective.type_ {
        Some(ObjectiveType::Maximize) => best >= goal,
        _ => best <= goal,
    }
}

fn failure(snapshot: &Snapshot<'_>) -> Option<Transition> {
    let Snapshot {
        experiment,
        suggestion,
        ledger,
        trouble,
        ..
    } = snapshot;
    let failed = ledger.count(TrialState::Failed) + ledger.count(TrialState::MetricsUnavailable);
    let limit = experiment.spec.max_failed_trial_count;
    let limit = limit.map(|max| usize::try_from(max).unwrap_or_default());
    if failed > 0 && limit.is_some_and(|limit| failed >= limit) {
        let message = "Experiment has failed because max failed count has reached".to_owned();
        return Some(Transition::Fail { message });
    }
    let condition = suggestion
        .and_then(|s| s.status.as_ref())
        .filter(|status| status.is(suggestion_api::condition_type::FAILED))
        .and_then(|status| status.condition(suggestion_api::condition_type::FAILED));
    if let Some(condition) = condition {
        let message = format!("Suggestion has failed: {}", condition.message);
        return Some(Transition::Fail { message });
    }
    let trouble = (*trouble)?;
    Some(Transition::Fail {
        message: format!("Experiment has failed because {trouble}"),
    })
}
