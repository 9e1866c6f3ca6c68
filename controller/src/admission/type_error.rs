//! Fields whose type is wrong: found one after the other, so that they hide no other error.

use std::mem;

use diwan_api::FieldError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

/// More wrong types than this are not looked for.
const MOST: usize = 64;

/// Reads an object as far as its fields have the right types; the others are left out and named.
///
/// # Errors
/// The object is something else altogether, or has too many wrong types.
pub(super) fn read<T: DeserializeOwned>(
    mut object: Value,
) -> Result<(T, Vec<FieldError>), serde_json::Error> {
    let mut wrong: Vec<FieldError> = Vec::new();
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize(&object) {
            Ok(read) => return Ok((read, wrong)),
            Err(error) => error,
        };
        let Some((field, value)) = take(&mut object, error.path()) else {
            return Err(error.into_inner());
        };
        // What stands in for an element of a list may have the wrong type, too.
        if wrong.iter().all(|known| known.field != field) {
            let rule = rule(&error.into_inner().to_string());
            wrong.push(FieldError::invalid(field, shown(&value), rule));
        }
    }
    serde_json::from_value(object).map(|read| (read, wrong))
}

/// Whether an error is about a field, or about something in it.
pub(super) fn is_within(error: &FieldError, field: &str) -> bool {
    error
        .field
        .strip_prefix(field)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Takes a field out of an object. In place of an element of a list something empty stays, so that
/// those after it keep their places.
fn take(object: &mut Value, path: &Path) -> Option<(String, Value)> {
    let steps: Vec<&Segment> = path
        .iter()
        .take_while(|step| matches!(step, Segment::Map { .. } | Segment::Seq { .. }))
        .collect();
    let (last, parents) = steps.split_last()?;
    let mut at = object;
    let mut field = String::new();
    for step in parents {
        at = match step {
            Segment::Map { key } => at.get_mut(key)?,
            Segment::Seq { index } => at.get_mut(*index)?,
            _ => return None,
        };
        extend(&mut field, step);
    }
    extend(&mut field, last);
    let value = match last {
        Segment::Map { key } => at.as_object_mut()?.remove(key)?,
        Segment::Seq { index } => {
            let element = at.get_mut(*index)?;
            let empty = if element.is_object() {
                json!("")
            } else {
                json!({})
            };
            mem::replace(element, empty)
        }
        _ => return None,
    };
    Some((field, value))
}

fn extend(field: &mut String, step: &Segment) {
    let step = step.to_string();
    if !field.is_empty() && !step.starts_with('[') {
        field.push('.');
    }
    field.push_str(&step);
}

/// A value as far as it fits into a message.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
        other => other.to_string(),
    }
}

/// What would be right, from what the reader says that it expected.
fn rule(error: &str) -> String {
    let expected = error.rsplit_once("expected ").map(|(_, expected)| expected);
    let kind = match expected {
        Some("i32") => "a whole number of 32 bits",
        Some("i64") => "a whole number of 64 bits",
        Some("f64") => "a number",
        Some("a boolean") => "a boolean",
        Some("a string") => "a string",
        Some("a sequence") => "a list",
        Some(kind) if kind == "a map" || kind.starts_with("struct ") => "an object",
        // Our enums keep any other text, so only what is no text fits none of their variants.
        _ if error.starts_with("data did not match any variant") => "a string",
        _ => return format!("can't be read: {error}"),
    };
    format!("must be {kind}")
}

#[cfg(test)]
mod tests {
    use diwan_api::Experiment;

    use super::*;

    #[test]
    fn every_wrong_type_is_named_and_the_rest_is_read() {
        let object = json!({
            "metadata": {"name": "tune"},
            "spec": {
                "parallelTrialCount": "three",
                "maxTrialCount": 3_000_000_000_u64,
                "objective": {"goal": "high", "objectiveMetricName": "loss"},
                "algorithm": 5,
                "resumePolicy": 7,
                "parameters": ["x", {"name": "lr", "feasibleSpace": {"list": ["1", 2, {}]}}],
                "trialTemplate": {"retain": "yes", "trialParameters": {"name": "lr"}}
            }
        });
        let (read, mut wrong) = read::<Experiment>(object).unwrap();
        wrong.sort_by(|a, b| a.field.cmp(&b.field));
        let texts: Vec<String> = wrong.iter().map(FieldError::to_string).collect();
        assert_eq!(
            texts,
            [
                "spec.algorithm: Invalid value: 5: must be an object",
                "spec.maxTrialCount: Invalid value: 3000000000: must be a whole number of 32 bits",
                "spec.objective.goal: Invalid value: \"high\": must be a number",
                "spec.parallelTrialCount: Invalid value: \"three\": must be a whole number of 32 \
                 bits",
                "spec.parameters[0]: Invalid value: \"x\": must be an object",
                "spec.parameters[1].feasibleSpace.list[1]: Invalid value: 2: must be a string",
                "spec.parameters[1].feasibleSpace.list[2]: Invalid value: \"object\": must be a \
                 string",
                "spec.resumePolicy: Invalid value: 7: must be a string",
                "spec.trialTemplate.retain: Invalid value: \"yes\": must be a boolean",
                "spec.trialTemplate.trialParameters: Invalid value: \"object\": must be a list",
            ]
        );
        assert_eq!(read.metadata.name.as_deref(), Some("tune"));
        let parameters = read.spec.parameters;
        assert_eq!((parameters.len(), parameters[1].name.as_str()), (2, "lr"));
        let objective = read.spec.objective.unwrap();
        assert_eq!(objective.objective_metric_name, "loss");
    }

    #[test]
    fn what_is_no_object_at_all_can_t_be_read() {
        assert!(read::<Experiment>(json!("text")).is_err());
    }

    #[test]
    fn an_error_is_within_its_field_and_those_around_it() {
        let error = FieldError::required("spec.parameters[1].name", "");
        for (field, expected) in [
            ("spec.parameters[1].name", true),
            ("spec.parameters[1]", true),
            ("spec.parameters", true),
            ("spec.parameters[1].na", false),
            ("spec.parameters[10]", false),
        ] {
            assert_eq!(is_within(&error, field), expected, "{field}");
        }
    }
}
