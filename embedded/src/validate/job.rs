//! The rules for the specification of a job.

use diwan_api::FieldError;
use serde_json::Value;

use super::{immutable::immutable, pod};

const INDEXED: &str = "Indexed";

/// Checks the specification of a job.
pub(super) fn check(spec: &Value, errors: &mut Vec<FieldError>) {
    for name in [
        "parallelism",
        "completions",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    ] {
        not_negative(spec, name, errors);
    }
    if let Some(seconds) = spec["activeDeadlineSeconds"].as_i64().filter(|s| *s < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(
            "spec.activeDeadlineSeconds",
            seconds,
            detail,
        ));
    }
    check_mode(spec, errors);
    let template = &spec["template"]["spec"];
    let policy = template["restartPolicy"].as_str().unwrap_or_default();
    pod::check(template, "spec.template.spec", errors);
    if policy == "Always" {
        errors.push(FieldError::required(
            "spec.template.spec.restartPolicy",
            "valid values: \"OnFailure\", \"Never\"",
        ));
    }
    super::labels(
        "spec.template.labels",
        &spec["template"]["metadata"]["labels"],
        errors,
    );
}

fn not_negative(spec: &Value, name: &str, errors: &mut Vec<FieldError>) {
    if let Some(value) = spec[name].as_i64().filter(|value| *value < 0) {
        let detail = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(format!("spec.{name}"), value, detail));
    }
}

fn check_mode(spec: &Value, errors: &mut Vec<FieldError>) {
    // The template of a CronJob has none.
    let Some(mode) = spec["completionMode"].as_str() else {
        return;
    };
    let known = ["NonIndexed", INDEXED];
    if !known.contains(&mode) {
        let field = "spec.completionMode";
        errors.push(FieldError::not_supported(field, mode, &known));
    }
    if mode == INDEXED && spec["completions"].is_null() {
        let detail = format!("when completion mode is {INDEXED}");
        errors.push(FieldError::required("spec.completions", detail));
    }
}

/// What of a job must not have changed, and has.
pub(super) fn changed(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let (was, is) = (&old["spec"]["completions"], &new["spec"]["completions"]);
    if new["spec"]["completionMode"] != INDEXED {
        immutable(old, new, "spec", "completions", errors);
    } else if was != is && *is != new["spec"]["parallelism"] {
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid("spec.completions", is, detail));
    }
    immutable(old, new, "spec", "selector", errors);
    let suspended = old["spec"]["suspend"] == true;
    let template = |job| template_essence(job, suspended);
    if template(old) != template(new) {
        let value = shown(&new["spec"]["template"]);
        let detail = "field is immutable";
        errors.push(FieldError::invalid("spec.template", value, detail));
    }
    immutable(old, new, "spec", "completionMode", errors);
}

/// A template as Kubernetes shows it: its metadata is no field of its own.
fn shown(template: &Value) -> String {
    let metadata = template["metadata"].as_object().into_iter().flatten();
    let mut fields: Vec<String> = metadata
        .map(|(field, value)| format!("{field:?}:{value}"))
        .collect();
    fields.push(format!("\"Spec\":{}", template["spec"]));
    format!("{{{}}}", fields.join(","))
}

/// A job's template without what may change: while it is suspended, where its pods may run and
/// what they take.
fn template_essence(job: &Value, suspended: bool) -> Value {
    const PLACE: [&str; 4] = ["nodeSelector", "tolerations", "affinity", "schedulingGates"];
    let mut template = job["spec"]["template"].clone();
    if !suspended {
        return template;
    }
    if let Some(fields) = template.as_object_mut() {
        fields.remove("metadata");
    }
    let Some(spec) = template["spec"].as_object_mut() else {
        return template;
    };
    spec.retain(|field, _| !PLACE.contains(&field.as_str()));
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(fields) = container.as_object_mut() {
                fields.remove("resources");
            }
        }
    }
    template
}
