//! Experiments: defaults, our finalizer, validation.

use diwan_api::defaults::{default_experiment, fill_in};
use diwan_api::metadata::FINALIZER_EXPERIMENT;
use diwan_api::validation::{self, ValidationContext};
use diwan_api::{Experiment, FieldError, FieldErrors};
use serde_json::{Map, Value, json};

use super::{Denied, type_error};

/// Fills in the defaults, and on creation the finalizer, so that it costs no write later. Fields
/// that we don't know stay, and so do wrong ones: validation names them. Doing so twice changes
/// nothing.
pub fn mutate_experiment(object: &mut Value, creating: bool) -> Result<(), Denied> {
    let (given, _) = read(object)?;
    let mut experiment = given.clone();
    default_experiment(&mut experiment);
    if experiment != given {
        let defaults = serde_json::to_value(&experiment.spec).unwrap_or_default();
        let Some(root) = object.as_object_mut() else {
            return Ok(());
        };
        fill_in(root.entry("spec").or_insert_with(|| json!({})), defaults);
    }
    if creating {
        add_finalizer(object);
    }
    Ok(())
}

/// Checks an experiment that has its defaults; `old` is the stored one when it is updated. A field
/// of a wrong type is one error among the others.
pub fn validate_experiment(
    new: &Value,
    old: Option<&Value>,
    context: &ValidationContext<'_>,
) -> Result<(), Denied> {
    let (new, wrong) = read(new)?;
    // What was stored before a rule came up must not keep an object from being changed.
    let old = old.and_then(|old| read(old).ok()).map(|(old, _)| old);
    let checked = validation::validate_experiment(&new, old.as_ref(), context);
    // To the rules, a field that was left out is missing.
    let rest = checked.err().map(|errors| errors.0).unwrap_or_default();
    let rest = rest
        .into_iter()
        .filter(|error| !wrong.iter().any(|w| type_error::is_within(error, &w.field)));
    let mut errors = FieldErrors::default();
    errors.extend(wrong.iter().cloned().chain(rest));
    Ok(errors.into_result()?)
}

/// What is odd about an experiment that was accepted.
pub fn warnings(object: &Value) -> Vec<String> {
    let read = read(object).ok();
    read.map_or_else(Vec::new, |(experiment, _)| {
        validation::warnings(&experiment)
    })
}

/// The experiment, and the fields that are left out of it because their type is wrong.
fn read(object: &Value) -> Result<(Experiment, Vec<FieldError>), Denied> {
    let mut read = object.clone();
    // The status is ours to write and is not looked at.
    if let Some(root) = read.as_object_mut() {
        if let Some(status) = root.remove("status")
            && serde_json::from_value::<diwan_api::ExperimentStatus>(status.clone()).is_ok()
        {
            root.insert("status".to_owned(), status);
        }
        root.entry("spec")
            .or_insert_with(|| Value::Object(Map::new()));
    }
    type_error::read(read).map_err(|error| Denied::Unreadable {
        kind: "Experiment",
        detail: error.to_string(),
    })
}

fn add_finalizer(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let finalizers = metadata.entry("finalizers").or_insert_with(|| json!([]));
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|f| f == FINALIZER_EXPERIMENT)
    {
        list.push(json!(FINALIZER_EXPERIMENT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment() -> Value {
        json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": {"name": "tune", "namespace": "team"},
            "spec": {
                "mine": 1,
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "parameters": [{
                    "name": "lr", "parameterType": "double", "note": "kept",
                    "feasibleSpace": {"min": "0.1", "max": "1"}
                }]
            }
        })
    }

    #[test]
    fn defaults_are_added_and_unknown_fields_stay() {
        let mut object = experiment();
        mutate_experiment(&mut object, true).unwrap();
        let spec = &object["spec"];
        assert_eq!(spec["mine"], 1);
        assert_eq!(spec["parallelTrialCount"], 3);
        assert_eq!(spec["resumePolicy"], "Never");
        assert_eq!(spec["parameters"][0]["note"], "kept");
        assert_eq!(
            spec["parameters"][0]["feasibleSpace"]["distribution"],
            "uniform"
        );
        let strategies = json!([{"name": "loss", "value": "min"}]);
        assert_eq!(spec["objective"]["metricStrategies"], strategies);
        assert_eq!(
            object["metadata"]["finalizers"],
            json!([FINALIZER_EXPERIMENT])
        );
    }

    #[test]
    fn filling_in_twice_changes_nothing() {
        let mut once = experiment();
        mutate_experiment(&mut once, true).unwrap();
        let mut twice = once.clone();
        mutate_experiment(&mut twice, true).unwrap();
        assert_eq!(once, twice);
    }

    #[test]
    fn an_update_gets_no_finalizer() {
        let mut object = experiment();
        mutate_experiment(&mut object, false).unwrap();
        assert_eq!(object["metadata"].get("finalizers"), None);
    }

    #[test]
    fn what_can_t_be_read_is_named() {
        let denied = mutate_experiment(&mut json!("text"), true).unwrap_err();
        let text = denied.to_string();
        assert!(text.starts_with("Experiment can't be read: "), "{text}");
    }

    #[test]
    fn a_wrong_type_hides_no_other_error_and_is_named_once() {
        let mut object = experiment();
        object["spec"]["parallelTrialCount"] = json!("three");
        object["spec"]["objective"]["type"] = json!("best");
        object["spec"]["parameters"][0]["name"] = json!(["lr"]);
        mutate_experiment(&mut object, true).unwrap();
        assert_eq!(object["spec"]["parallelTrialCount"], "three");
        let denied = validate_experiment(&object, None, &ValidationContext::default());
        let Err(Denied::Fields(FieldErrors(errors))) = denied else {
            panic!("{denied:?}");
        };
        for field in [
            "spec.parallelTrialCount",
            "spec.parameters[0].name",
            "spec.objective.type",
            "spec.algorithm",
            "spec.trialTemplate",
        ] {
            let count = errors.iter().filter(|e| e.field == field).count();
            assert_eq!(count, 1, "{field} in {errors:?}");
        }
    }

    #[test]
    fn a_broken_experiment_is_denied_with_every_error() {
        let mut object = experiment();
        object["spec"]["parallelTrialCount"] = json!(0);
        object["spec"]["objective"]["type"] = json!("best");
        let denied = validate_experiment(&object, None, &ValidationContext::default());
        let text = denied.unwrap_err().to_string();
        for field in [
            "spec.parallelTrialCount",
            "spec.objective.type",
            "spec.algorithm",
        ] {
            assert!(text.contains(field), "{field} is not in {text}");
        }
    }
}
