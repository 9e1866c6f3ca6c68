//! Counts of trials, and what of an experiment may change.

use crate::{
    Conditions, Experiment, ExperimentSpec, FieldError, FieldErrors, ResumePolicy,
    experiment::{condition_reason, condition_type},
};

/// The counts in themselves and among each other.
pub(super) fn counts(spec: &ExperimentSpec, errors: &mut FieldErrors) {
    let max = spec.max_trial_count;
    let positive = "must be greater than 0";
    if let Some(n) = spec.max_failed_trial_count.filter(|n| *n < 0) {
        let detail = "should not be less than 0";
        errors.push(FieldError::invalid("spec.maxFailedTrialCount", n, detail));
    }
    if let Some(n) = max.filter(|n| *n <= 0) {
        errors.push(FieldError::invalid("spec.maxTrialCount", n, positive));
    }
    if let Some(n) = spec.parallel_trial_count.filter(|n| *n <= 0) {
        errors.push(FieldError::invalid("spec.parallelTrialCount", n, positive));
    }
    let parallel = spec.parallel_trial_count;
    if let Some(n) = parallel.filter(|n| max.is_some_and(|max| *n > max)) {
        let detail = "should be less than or equal to spec.maxTrialCount";
        errors.push(FieldError::invalid("spec.parallelTrialCount", n, detail));
    }
}

/// What is odd about the counts and harms nobody. Katib refuses it, and with it its own example of
/// `pbt`.
pub(super) fn warnings(spec: &ExperimentSpec) -> Option<String> {
    let (failed, max) = spec.max_failed_trial_count.zip(spec.max_trial_count)?;
    (failed > max).then(|| {
        format!(
            "spec.maxFailedTrialCount: {failed} is more than spec.maxTrialCount ({max}): the \
             experiment does not fail however many trials do"
        )
    })
}

/// What an update may change. The specs are known to differ.
pub(super) fn update(new: &ExperimentSpec, old: &Experiment, errors: &mut FieldErrors) {
    let status = old.status.clone().unwrap_or_default();
    let completed = status.is_completed();
    if completed && !is_restartable(old) {
        let policy = new.resume_policy.as_ref().map_or("", policy_text);
        let detail = "Experiment can be restarted if it is in succeeded state by reaching max \
                      trials and spec.resumePolicy = LongRunning or spec.resumePolicy = \
                      FromVolume, when experiment is completed";
        errors.push(FieldError::invalid("spec.resumePolicy", policy, detail));
    }
    // A running experiment may change its other counts whatever its budget is.
    let budget_matters = completed || new.max_trial_count != old.spec.max_trial_count;
    if let Some(max) = new
        .max_trial_count
        .filter(|max| budget_matters && *max <= status.trials)
    {
        let detail = format!(
            "must be greater than status.trials count ({})",
            status.trials
        );
        errors.push(FieldError::invalid("spec.maxTrialCount", max, detail));
    }
    let mut with_new_counts = old.spec.clone();
    with_new_counts.parallel_trial_count = new.parallel_trial_count;
    with_new_counts.max_trial_count = new.max_trial_count;
    with_new_counts.max_failed_trial_count = new.max_failed_trial_count;
    if with_new_counts != *new {
        let detail = "only spec.parallelTrialCount, spec.maxTrialCount and \
                      spec.maxFailedTrialCount are editable";
        errors.push(FieldError::forbidden("spec", detail));
    }
}

/// Whether a completed experiment goes on when its budget is raised.
fn is_restartable(experiment: &Experiment) -> bool {
    let reached = experiment.status.as_ref().is_some_and(|status| {
        status.is(condition_type::SUCCEEDED)
            && status
                .condition(condition_type::SUCCEEDED)
                .is_some_and(|c| c.reason == condition_reason::MAX_TRIALS_REACHED)
    });
    let policy = experiment.spec.resume_policy.as_ref();
    reached
        && matches!(
            policy,
            Some(ResumePolicy::LongRunning | ResumePolicy::FromVolume)
        )
}

fn policy_text(policy: &ResumePolicy) -> &str {
    match policy {
        ResumePolicy::Never => "Never",
        ResumePolicy::LongRunning => "LongRunning",
        ResumePolicy::FromVolume => "FromVolume",
        ResumePolicy::Other(other) => other,
    }
}
