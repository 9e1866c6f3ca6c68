//! What the algorithm is told about the trials so far. No I/O.

use std::collections::HashSet;
use std::sync::Arc;

use diwan_api::{Experiment, SuggestionStatus, Trial, TrialAssignment};
use kube::{Resource, ResourceExt};

use crate::experiment::ledger::Ledger;

/// The trials of all assignments in the order in which these were given, then those whose
/// assignment is no longer listed. An assignment that has no trial yet stands as one without a
/// status. Those that ended without their objective are among them: an algorithm that learns
/// nothing from them still must not propose their points again. Who speaks to services that can't
/// bear them leaves them out.
pub(super) fn history(
    experiment: &Experiment,
    status: &SuggestionStatus,
    ledger: &Ledger,
) -> Vec<Arc<Trial>> {
    let mut trials = Vec::with_capacity(status.suggestions.len());
    for assignment in &status.suggestions {
        match ledger.get(&assignment.name) {
            Some(trial) => trials.push(trial.clone()),
            None => trials.push(Arc::new(planned(experiment, assignment))),
        }
    }
    let listed: HashSet<&str> = status.suggestions.iter().map(|s| s.name.as_str()).collect();
    if ledger.total() > listed.len() {
        let mut others: Vec<_> = ledger
            .trials()
            .filter(|t| !listed.contains(&*t.name_any()))
            .cloned()
            .collect();
        others.sort_by_key(|t| {
            (
                t.meta().creation_timestamp.clone().map(|t| t.0),
                t.name_any(),
            )
        });
        trials.extend(others);
    }
    trials
}

fn planned(experiment: &Experiment, assignment: &TrialAssignment) -> Trial {
    let mut trial = Trial::default();
    trial.metadata.name = Some(assignment.name.clone());
    trial.metadata.namespace = experiment.namespace();
    trial.metadata.labels = Some(
        assignment
            .labels
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    );
    trial.spec.objective.clone_from(&experiment.spec.objective);
    trial
        .spec
        .parameter_assignments
        .clone_from(&assignment.parameter_assignments);
    trial.spec.labels.clone_from(&assignment.labels);
    trial
}
