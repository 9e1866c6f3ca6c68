//! What the Kubernetes API would say about a `batch/v1` Job: fields that it does not know, and
//! values of another type than the field's.

use std::collections::HashSet;

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Map, Value};

use crate::template::has_placeholder;

/// What is wrong with a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// JSON pointer of the field.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// Whether an object is a `batch/v1` Job.
pub fn is_job(object: &Map<String, Value>) -> bool {
    let text = |key| object.get(key).and_then(Value::as_str);
    text("apiVersion") == Some("batch/v1") && text("kind") == Some("Job")
}

/// Everything that is wrong with the fields of a Job: the first value of a wrong type, or every
/// unknown field.
pub fn job_errors(object: &Map<String, Value>) -> Vec<JobError> {
    let job = match typed(object) {
        Ok(job) => job,
        Err(error) => return vec![error],
    };
    let known = serde_json::to_value(job).unwrap_or_default();
    let mut errors = Vec::new();
    let mut pointer = String::new();
    for (key, value) in object {
        unknown_fields(key, value, known.get(key), &mut pointer, &mut errors);
    }
    errors
}

/// The names of the containers in a Job's pods.
pub fn container_names(object: &Map<String, Value>) -> Vec<&str> {
    let spec = object
        .get("spec")
        .and_then(|s| s.pointer("/template/spec/containers"));
    let containers = spec
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    containers
        .iter()
        .filter_map(|c| c.get("name")?.as_str())
        .collect()
}

fn typed(object: &Map<String, Value>) -> Result<Job, JobError> {
    serde_path_to_error::deserialize(object).map_err(|e| JobError {
        pointer: e.path().iter().fold(String::new(), |pointer, segment| {
            format!("{pointer}/{}", segment.to_string().trim_matches(['[', ']']))
        }),
        detail: e.into_inner().to_string(),
    })
}

fn unknown_fields(
    key: &str,
    value: &Value,
    known: Option<&Value>,
    pointer: &mut String,
    errors: &mut Vec<JobError>,
) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    match (value, known) {
        // Null and an empty list or object say as little as an absent field.
        (Value::Null, _) => {}
        (Value::Object(map), None) if map.is_empty() => {}
        (Value::Array(list), None) if list.is_empty() => {}
        (_, None) => {
            errors.push(JobError {
                pointer: pointer.clone(),
                detail: "unknown field".to_owned(),
            });
        }
        (Value::Object(map), Some(known)) => {
            for (key, value) in map {
                unknown_fields(key, value, known.get(key), pointer, errors);
            }
        }
        (Value::Array(items), Some(known)) => {
            for (i, item) in items.iter().enumerate() {
                unknown_fields(&i.to_string(), item, known.get(i), pointer, errors);
            }
        }
        _ => {}
    }
    pointer.truncate(length);
}

/// Corrects for a Job which placeholders become numbers, given by JSON pointer: where the field
/// takes no number, as `env[0].value`, the value stays a text, and where it takes no text, as
/// `spec.parallelism`, it becomes a number even if the template has it in quotes. Other kinds are
/// not known, there nothing is corrected.
pub(crate) fn fit_numbers(object: &Map<String, Value>, numbers: &mut HashSet<String>) {
    if !is_job(object) {
        return;
    }
    let mut document = Value::Object(object.clone());
    for pointer in numbers.iter() {
        if let Some(field) = document.pointer_mut(pointer) {
            *field = 1.into();
        }
    }
    // Each field is changed once at most, so this comes to an end.
    let mut changed = HashSet::new();
    while let Some(Err(error)) = document.as_object().map(typed) {
        let Some(field) = document.pointer_mut(&error.pointer) else {
            return;
        };
        let first = changed.insert(error.pointer.clone());
        *field = match field {
            Value::Number(_) if first && numbers.remove(&error.pointer) => "text".into(),
            Value::String(text) if first && has_placeholder(text) => {
                numbers.insert(error.pointer);
                1.into()
            }
            Value::Null => return,
            // An error that has nothing to do with placeholders is left to validation; here it
            // must not hide those behind it.
            _ => Value::Null,
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{container_names, is_job, job_errors};

    fn job(spec: Value) -> Map<String, Value> {
        let Value::Object(object) = json!({"apiVersion": "batch/v1", "kind": "Job", "spec": spec})
        else {
            unreachable!("an object literal")
        };
        object
    }

    #[track_caller]
    fn check(spec: Value, expected: &[(&str, &str)]) {
        let errors = job_errors(&job(spec));
        let errors: Vec<_> = errors
            .iter()
            .map(|e| (e.pointer.as_str(), e.detail.as_str()))
            .collect();
        assert_eq!(errors, expected);
    }

    #[test]
    fn a_right_job_has_no_errors() {
        check(
            json!({"backoffLimit": 0, "suspend": false, "template": {
                "metadata": {"labels": {"a/b": "c"}, "creationTimestamp": null},
                "spec": {"restartPolicy": "Never", "volumes": [], "containers": [{
                    "name": "main", "image": "i", "args": ["--x=1"],
                    "env": [{"name": "A", "value": "1"}],
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"cpu": 0.5, "memory": "1Gi"}, "requests": {"cpu": 1}},
                }]},
            }}),
            &[],
        );
    }

    #[test]
    fn unknown_fields_are_all_named() {
        check(
            json!({"paralelism": 2, "template": {"spec": {
                "containers": [{"name": "a"}, {"name": "b", "imag": "x", "comand": ["y"]}],
            }}}),
            &[
                ("/spec/paralelism", "unknown field"),
                ("/spec/template/spec/containers/1/comand", "unknown field"),
                ("/spec/template/spec/containers/1/imag", "unknown field"),
            ],
        );
    }

    #[test]
    fn a_value_of_a_wrong_type_is_named() {
        check(
            json!({"parallelism": "two"}),
            &[(
                "/spec/parallelism",
                "invalid type: string \"two\", expected i32",
            )],
        );
        check(
            json!({"template": {"spec": {"containers": [{"name": "a", "args": [1]}]}}}),
            &[(
                "/spec/template/spec/containers/0/args/0",
                "invalid type: integer `1`, expected a string",
            )],
        );
    }

    #[test]
    fn a_number_in_a_text_field_is_named() {
        check(
            json!({"template": {"spec": {"containers": [{"name": "a", "env": [{"name": "N", "value": 1}]}]}}}),
            &[(
                "/spec/template/spec/containers/0/env/0/value",
                "invalid type: integer `1`, expected a string",
            )],
        );
    }

    #[test]
    fn a_job_is_known_by_kind_and_version() {
        assert!(is_job(&job(json!({}))));
        let mut other = job(json!({}));
        other.insert("apiVersion".into(), "batch/v2".into());
        assert!(!is_job(&other));
        let object = job(json!({"template": {"spec": {"containers": [{"name": "a"}, {}]}}}));
        assert_eq!(container_names(&object), ["a"]);
    }
}
