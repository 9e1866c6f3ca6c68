//! Trials and suggestions: what would make no sense is refused. Both are made by our controllers;
//! these rules meet what a user writes.

use diwan_api::{FieldError, FieldErrors, Suggestion, Trial};
use serde_json::{Map, Value};

use super::Denied;

/// Checks a trial; `old` is the stored one when it is updated. Of its spec only the rules under
/// which it is stopped can be changed.
pub fn validate_trial(new: &Value, old: Option<&Value>) -> Result<(), Denied> {
    let trial: Trial = read(new, "Trial")?;
    let mut errors = FieldErrors::default();
    if let Some(mut old) = old.and_then(|old| read::<Trial>(old, "Trial").ok()) {
        old.spec
            .early_stopping_rules
            .clone_from(&trial.spec.early_stopping_rules);
        if old.spec != trial.spec {
            let detail = "a trial can't be changed, but for its earlyStoppingRules";
            errors.push(FieldError::forbidden("spec", detail));
        }
        return Ok(errors.into_result()?);
    }
    let run = trial.spec.run_spec.unwrap_or_default();
    for field in ["apiVersion", "kind"] {
        if !run.get(field).is_some_and(Value::is_string) {
            errors.push(FieldError::required(
                format!("spec.runSpec.{field}"),
                "must be specified",
            ));
        }
    }
    let texts = [
        (
            "spec.primaryContainerName",
            &trial.spec.primary_container_name,
        ),
        ("spec.successCondition", &trial.spec.success_condition),
        ("spec.failureCondition", &trial.spec.failure_condition),
    ];
    for (field, text) in texts {
        if text.is_empty() {
            errors.push(FieldError::required(field, "must be specified"));
        }
    }
    let objective = trial.spec.objective.unwrap_or_default();
    if objective.objective_metric_name.is_empty() {
        let field = "spec.objective.objectiveMetricName";
        errors.push(FieldError::required(field, "must be specified"));
    }
    Ok(errors.into_result()?)
}

/// Checks a suggestion.
pub fn validate_suggestion(new: &Value) -> Result<(), Denied> {
    let suggestion: Suggestion = read(new, "Suggestion")?;
    let mut errors = FieldErrors::default();
    if suggestion.spec.requests < 0 {
        let requests = suggestion.spec.requests;
        errors.push(FieldError::invalid(
            "spec.requests",
            requests,
            "should not be less than 0",
        ));
    }
    let algorithm = suggestion.spec.algorithm.unwrap_or_default();
    if algorithm.algorithm_name.is_empty() {
        let field = "spec.algorithm.algorithmName";
        errors.push(FieldError::required(field, "must be specified"));
    }
    Ok(errors.into_result()?)
}

fn read<K: serde::de::DeserializeOwned>(object: &Value, kind: &'static str) -> Result<K, Denied> {
    let mut object = object.clone();
    if let Some(root) = object.as_object_mut() {
        root.entry("spec")
            .or_insert_with(|| Value::Object(Map::new()));
    }
    serde_json::from_value(object).map_err(|error| Denied::Unreadable {
        kind,
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trial() -> Value {
        json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": {"name": "t"},
            "spec": {
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "parameterAssignments": [],
                "runSpec": {"apiVersion": "batch/v1", "kind": "Job"},
                "primaryContainerName": "main", "successCondition": "a", "failureCondition": "b"
            }
        })
    }

    #[test]
    fn a_whole_trial_passes_and_an_empty_one_is_told_all_that_is_missing() {
        assert_eq!(validate_trial(&trial(), None), Ok(()));
        let empty = json!({"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": {}});
        let Err(Denied::Fields(errors)) = validate_trial(&empty, None) else {
            panic!("passed")
        };
        assert_eq!(errors.0.len(), 6);
    }

    #[test]
    fn the_spec_of_a_trial_can_t_be_changed() {
        let mut new = trial();
        new["metadata"]["labels"] = json!({"a": "b"});
        assert_eq!(validate_trial(&new, Some(&trial())), Ok(()));
        new["spec"]["retainRun"] = json!(true);
        assert!(validate_trial(&new, Some(&trial())).is_err());
    }

    #[test]
    fn the_rules_under_which_a_trial_is_stopped_can_be_changed() {
        let mut new = trial();
        new["spec"]["earlyStoppingRules"] = json!([{
            "name": "loss", "value": "0.5", "comparison": "greater", "startStep": 3
        }]);
        assert_eq!(validate_trial(&new, Some(&trial())), Ok(()));
    }

    #[test]
    fn a_suggestion_needs_an_algorithm() {
        let object = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Suggestion", "metadata": {"name": "s"},
            "spec": {"requests": -1}
        });
        let Err(Denied::Fields(errors)) = validate_suggestion(&object) else {
            panic!("passed")
        };
        assert_eq!(errors.0.len(), 2);
    }
}
