//! Checking values against a schema, in the words of Kubernetes.

use diwan_api::FieldError;
use regex::Regex;
use serde_json::Value;

use super::{Schema, path::Path};
use crate::{status::Cause, validate::cause};

impl Schema {
    /// Everything about an object that the schema does not allow. What is as it was in `old` is
    /// not looked at again: it was allowed when it came, and a stricter schema since must not keep
    /// anybody from changing the rest (Kubernetes calls this ratcheting).
    pub(crate) fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.check(&self.root, object, old, &mut Path::default(), &mut causes);
        causes
    }

    fn check(
        &self,
        node: &Value,
        value: &Value,
        old: Option<&Value>,
        path: &mut Path,
        causes: &mut Vec<Cause>,
    ) {
        let node = self.resolve(node);
        if old == Some(value) || (value.is_null() && node["nullable"] == true) {
            return;
        }
        if !has_type(node, value) {
            causes.push(wrong_type(node, value, path.as_str()));
            return;
        }
        let mut errors = Vec::new();
        check_enum(node, value, path.as_str(), &mut errors);
        match value {
            Value::Number(number) => {
                check_number(node, number.as_f64(), path.as_str(), &mut errors);
            }
            Value::String(text) => check_text(node, text, path.as_str(), &mut errors),
            Value::Array(items) => check_count(node, items.len(), path.as_str(), &mut errors),
            Value::Object(fields) => {
                for name in node["required"].as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap_or_default();
                    if !fields.contains_key(name) {
                        path.within(name, |path| {
                            errors.push(FieldError::required(path.to_string(), ""));
                        });
                    }
                }
            }
            _ => {}
        }
        causes.extend(errors.into_iter().map(cause));
        each_child(node, value, old, path, |node, value, old, path| {
            // A null in an optional field counts as absent, as Kubernetes prunes it.
            if !value.is_null() || path.as_str().ends_with(']') {
                self.check(node, value, old, path, causes);
            }
        });
    }
}

/// Visits the parts of a value that the schema describes, each beside what was in its place.
fn each_child(
    node: &Value,
    value: &Value,
    old: Option<&Value>,
    path: &mut Path,
    mut visit: impl FnMut(&Value, &Value, Option<&Value>, &mut Path),
) {
    match value {
        Value::Object(fields) => {
            let properties = node["properties"].as_object();
            let additional = node.get("additionalProperties");
            for (field, child) in fields {
                let known = properties.and_then(|properties| properties.get(field));
                if let Some(node) = known.or(additional).filter(|node| node.is_object()) {
                    let old = old.and_then(|old| old.get(field));
                    path.within(field, |path| visit(node, child, old, path));
                }
            }
        }
        Value::Array(items) if node["items"].is_object() => {
            for (i, item) in items.iter().enumerate() {
                let old = old.and_then(|old| old.get(i));
                path.at(i, |path| visit(&node["items"], item, old, path));
            }
        }
        _ => {}
    }
}

fn wrong_type(node: &Value, value: &Value, path: &str) -> Cause {
    let wanted = node["type"].as_str().unwrap_or("string");
    let given = type_name(value);
    let field = if path.is_empty() { "<nil>" } else { path };
    Cause {
        field: field.to_owned(),
        reason: "FieldValueTypeInvalid",
        message: format!(
            "Invalid value: {given:?}: {path} in body must be of type {wanted}: {given:?}"
        ),
    }
}

pub(super) fn has_type(node: &Value, value: &Value) -> bool {
    if node["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_number();
    }
    match node["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        _ => true,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_enum(node: &Value, value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let Some(allowed) = node["enum"].as_array() else {
        return;
    };
    if allowed.contains(value) {
        return;
    }
    let given = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
    errors.push(FieldError::not_supported(path, given, &names));
}

fn check_number(node: &Value, number: Option<f64>, path: &str, errors: &mut Vec<FieldError>) {
    let Some(number) = number else { return };
    let mut complain = |relation: &str, bound: f64| {
        let detail = format!("{path} in body should be {relation} {bound}");
        errors.push(FieldError::invalid(path, number, detail));
    };
    match node["minimum"].as_f64() {
        Some(least) if number < least => complain("greater than or equal to", least),
        _ => {}
    }
    match node["maximum"].as_f64() {
        Some(most) if number > most => complain("less than or equal to", most),
        _ => {}
    }
    let bounds = match node["format"].as_str() {
        Some("int32") => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        Some("uint32") => Some((0.0, f64::from(u32::MAX))),
        _ => None,
    };
    if let Some((least, most)) = bounds
        && !(least..=most).contains(&number)
    {
        let format = node["format"].as_str().unwrap_or_default();
        let detail = format!("{path} in body must be of type {format}: \"number\"");
        errors.push(FieldError::invalid(path, number, detail));
    }
}

fn check_text(node: &Value, text: &str, path: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count() as u64;
    if let Some(least) = node["minLength"].as_u64().filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        errors.push(FieldError::invalid(path, text, detail));
    }
    if let Some(most) = node["maxLength"].as_u64().filter(|most| length > *most) {
        let detail = format!("{path} in body should be at most {most} chars long");
        errors.push(FieldError::invalid(path, text, detail));
    }
    if let Some(pattern) = node["pattern"].as_str()
        && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        let detail = format!("{path} in body should match '{pattern}'");
        errors.push(FieldError::invalid(path, text, detail));
    }
    if node["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        let detail = format!("{path} in body must be of type date-time: {text:?}");
        errors.push(FieldError::invalid(path, text, detail));
    }
}

fn check_count(node: &Value, count: usize, path: &str, errors: &mut Vec<FieldError>) {
    let count = count as u64;
    if let Some(least) = node["minItems"].as_u64().filter(|least| count < *least) {
        let detail = format!("{path} in body should have at least {least} items");
        errors.push(FieldError::invalid(path, count, detail));
    }
    if let Some(most) = node["maxItems"].as_u64().filter(|most| count > *most) {
        let detail = format!("{path} in body should have at most {most} items");
        errors.push(FieldError::invalid(path, count, detail));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretty_assertions::assert_eq;
    use serde_json::{Map, Value, json};

    use crate::schema::Schema;

    fn check(root: Value, value: Value, expected: &[&str]) {
        let schema = Schema {
            root: Arc::new(root),
            definitions: Arc::new(Map::new()),
        };
        let found: Vec<String> = schema
            .validate(&value, None)
            .into_iter()
            .map(|c| format!("{} {}: {}", c.reason, c.field, c.message))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_violation_is_named_as_kubernetes_names_it() {
        let schema = json!({ "type": "object", "required": ["must"], "properties": {
            "n": { "type": "integer", "minimum": 1.0 },
            "e": { "type": "string", "enum": ["a", "b"] },
            "l": { "type": "array", "items": { "type": "string" } },
        }});
        let value = json!({ "n": 0, "e": "c", "l": ["x", 1] });
        check(
            schema.clone(),
            value,
            &[
                "FieldValueRequired must: Required value",
                r#"FieldValueNotSupported e: Unsupported value: "c": supported values: "a", "b""#,
                r#"FieldValueTypeInvalid l[1]: Invalid value: "integer": l[1] in body must be of type string: "integer""#,
                "FieldValueInvalid n: Invalid value: 0: n in body should be greater than or equal to 1",
            ],
        );
        check(schema, json!({ "must": null, "n": null, "e": "a" }), &[]);
    }

    #[test]
    fn what_was_there_is_not_judged_again() {
        let root = json!({ "type": "object", "properties": {
            "n": { "type": "integer", "minimum": 1.0 },
            "l": { "type": "array", "items": { "type": "string" } },
        }});
        let schema = Schema {
            root: Arc::new(root),
            definitions: Arc::new(Map::new()),
        };
        let old = json!({ "n": 0, "l": [1, "a"] });
        let new = json!({ "n": 0, "l": [1, 2, 3] });
        let fields = |old| {
            let causes = schema.validate(&new, old);
            causes.into_iter().map(|c| c.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(None), ["l[0]", "l[1]", "l[2]", "n"]);
        assert_eq!(fields(Some(&old)), ["l[1]", "l[2]"]);
        assert_eq!(fields(Some(&new)), [""; 0]);
    }

    #[test]
    fn whole_numbers_written_as_floats_are_integers() {
        let schema = json!({ "type": "integer", "format": "int32" });
        check(schema.clone(), json!(3.0), &[]);
        check(
            schema,
            json!(3_000_000_000_u64),
            &[
                "FieldValueInvalid : Invalid value: 3000000000:  in body must be of type int32: \"number\"",
            ],
        );
    }
}
