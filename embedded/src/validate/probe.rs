//! The rules for probes.

use diwan_api::FieldError;
use serde_json::Value;

/// The rules for the probes of a container.
pub(super) fn check(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = &container[name];
        if !probe.is_object() {
            continue;
        }
        let field = format!("{path}.{name}");
        if !["exec", "httpGet", "tcpSocket", "grpc"]
            .iter()
            .any(|action| probe[action].is_object())
        {
            errors.push(FieldError::required(&field, "must specify a handler type"));
        }
        for number in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            if let Some(value) = probe[number].as_i64().filter(|value| *value < 0) {
                let detail = "must be greater than or equal to 0";
                errors.push(FieldError::invalid(
                    format!("{field}.{number}"),
                    value,
                    detail,
                ));
            }
        }
        let times = probe["successThreshold"].as_i64().unwrap_or(1);
        if name != "readinessProbe" && times != 1 {
            let field = format!("{field}.successThreshold");
            errors.push(FieldError::invalid(field, times, "must be 1"));
        }
    }
}
