//! What the algorithm is told about the trials so far. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use diwan_api::{Experiment, SuggestionStatus, Trial, TrialAssignment};
use jiff::Timestamp;
use kube::ResourceExt;

use super::reply::names;
use crate::experiment::ledger::Ledger;

/// The trials of all assignments, in the order in which these were given; trials that don't know
/// their place come first. An assignment that has no trial yet stands as one without a
/// status. Those that ended without their objective are among them: an algorithm that learns
/// nothing from them still must not propose their points again. Who speaks to services that can't
/// bear them leaves them out.
pub(super) fn history(
    experiment: &Experiment,
    status: &SuggestionStatus,
    ledger: &Ledger,
) -> Vec<Arc<Trial>> {
    let places: HashMap<&str, usize> = names(&status.suggestions)
        .zip(status.first_place()..)
        .collect();
    let place = |own: Option<u64>, trial: &Trial| {
        let listed = places.get(trial.metadata.name.as_deref()?);
        listed.map(|place| *place as u64).or(own)
    };
    let mut made: Vec<_> = ledger
        .trials()
        .map(|(own, trial)| (place(own, trial), trial.clone()))
        .collect();
    let unmade = status.suggestions.iter().zip(status.first_place()..);
    let unmade = unmade.filter(|(assignment, _)| !ledger.contains(&assignment.name));
    made.extend(unmade.map(|(assignment, place)| {
        let planned = planned(experiment, assignment);
        (Some(place as u64), Arc::new(planned))
    }));
    made.sort_by(|(a, one), (b, other)| a.cmp(b).then_with(|| age(one).cmp(&age(other))));
    made.into_iter().map(|(_, trial)| trial).collect()
}

/// When a trial was made; of the same second, by name.
fn age(trial: &Trial) -> (Option<Timestamp>, Option<&str>) {
    let meta = &trial.metadata;
    let created = meta.creation_timestamp.as_ref().map(|time| time.0);
    (created, meta.name.as_deref())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn trials_come_in_the_order_of_their_assignments() {
        let mut ledger = Ledger::default();
        for (name, place) in [("b", Some("1")), ("a", Some("0")), ("d", None), ("x", None)] {
            let trial: Trial = serde_json::from_value(json!({
                "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "spec": {},
                "metadata": {"name": name, "annotations": place.map(|p| json!({"diwan.dev/suggestion": p}))}
            }))
            .unwrap();
            ledger.apply(Arc::new(trial), Timestamp::UNIX_EPOCH);
        }
        // The first two have left the list; "c" has no trial yet.
        let status: SuggestionStatus = serde_json::from_value(json!({
            "suggestionCount": 4, "suggestions": [{"name": "c"}, {"name": "d"}]
        }))
        .unwrap();
        let trials = history(&Experiment::default(), &status, &ledger);
        let names: Vec<_> = trials.iter().map(|trial| trial.name_any()).collect();
        assert_eq!(names, ["x", "a", "b", "c", "d"]);
    }
}
