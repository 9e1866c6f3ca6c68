//! The rules for the specification of a job.

use diwan_api::FieldError;
use serde_json::Value;

use super::pod;

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
