//! Label selectors in specifications: what they select and what is wrong with them.

use diwan_api::FieldError;
use serde_json::Value;

/// Whether a selector says nothing.
pub(super) fn is_empty(selector: &Value) -> bool {
    let empty = |field: &str| match &selector[field] {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    };
    empty("matchLabels") && empty("matchExpressions")
}

/// Whether a selector selects objects with these labels.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let fits = |expression: &Value| {
        let value = &labels[expression["key"].as_str().unwrap_or_default()];
        let is_one = expression["values"]
            .as_array()
            .is_some_and(|values| values.contains(value));
        match expression["operator"].as_str() {
            Some("In") => is_one,
            Some("NotIn") => !is_one,
            Some("Exists") => !value.is_null(),
            Some("DoesNotExist") => value.is_null(),
            _ => false,
        }
    };
    equal.into_iter().all(|(key, value)| labels[key] == *value) && expressions.into_iter().all(fits)
}

/// The rules for a selector.
pub(super) fn check(selector: &Value, field: &str, errors: &mut Vec<FieldError>) {
    super::labels(
        &format!("{field}.matchLabels"),
        &selector["matchLabels"],
        errors,
    );
    let expressions = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    for (i, expression) in expressions.enumerate() {
        let field = format!("{field}.matchExpressions[{i}]");
        let is_listed = expression["values"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        let operator = expression["operator"].as_str().unwrap_or_default();
        match operator {
            "In" | "NotIn" if !is_listed => errors.push(FieldError::required(
                format!("{field}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            )),
            "Exists" | "DoesNotExist" if is_listed => errors.push(FieldError::forbidden(
                format!("{field}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(FieldError::invalid(
                format!("{field}.operator"),
                operator,
                "not a valid selector operator",
            )),
        }
    }
}
