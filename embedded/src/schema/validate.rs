//! Checking values against a schema, in the words of Kubernetes.

mod list;
mod number;
mod text;

use serde_json::{Map, Value};

use super::{Schema, path::Path};
use crate::{custom::problem, status::Cause};

impl Schema {
    /// Everything about an object that the schema does not allow. What is as it was in `old` is
    /// not looked at again: it was allowed when it came, and a stricter schema since must not keep
    /// anybody from changing the rest (Kubernetes calls this ratcheting).
    pub(crate) fn validate(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.check(&self.root, object, old, &mut Path::default(), &mut causes);
        causes
    }

    pub(super) fn check(
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
        self.check_branches(node, value, path, causes);
        if !has_type(node, value) {
            causes.push(wrong_type(node, value, path.as_str()));
            return;
        }
        check_enum(node, value, path.as_str(), causes);
        match value {
            Value::Number(number) => number::check(node, number, path.as_str(), causes),
            Value::String(text) => text::check(node, text, path.as_str(), causes),
            Value::Object(fields) => {
                check_required(node, fields, path, causes);
                list::check_properties(node, fields, path.as_str(), causes);
            }
            _ => {}
        }
        each_child(node, value, old, path, |node, value, old, path| {
            // A null in an optional field counts as absent, as Kubernetes prunes it.
            if !value.is_null() || path.as_str().ends_with(']') {
                self.check(node, value, old, path, causes);
            }
        });
        if let Value::Array(items) = value {
            list::check(node, items, path, causes);
        }
    }
}

fn check_required(
    node: &Value,
    fields: &Map<String, Value>,
    path: &mut Path,
    causes: &mut Vec<Cause>,
) {
    for name in node["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !fields.contains_key(name) {
            path.within(name, |path| {
                causes.push(problem::required(path.to_string(), ""));
            });
        }
    }
}

/// What an item of a list was before: only the items of lists with keys have a counterpart.
pub(crate) fn correlated<'a>(node: &Value, item: &Value, old: &'a Value) -> Option<&'a Value> {
    if node["x-kubernetes-list-type"] != "map" {
        return None;
    }
    let keys = node["x-kubernetes-list-map-keys"].as_array()?;
    let mut items = old.as_array()?.iter();
    items.find(|old| {
        keys.iter()
            .filter_map(Value::as_str)
            .all(|key| old[key] == item[key])
    })
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
                let old = old.and_then(|old| correlated(node, item, old));
                path.at(i, |path| visit(&node["items"], item, old, path));
            }
        }
        _ => {}
    }
}

fn wrong_type(node: &Value, value: &Value, path: &str) -> Cause {
    let wanted = if node["x-kubernetes-int-or-string"] == true {
        "integer,string"
    } else {
        node["type"].as_str().unwrap_or("string")
    };
    let given = type_name(value);
    let field = if path.is_empty() { "<nil>" } else { path };
    let detail = format!("{path} in body must be of type {wanted}: {given:?}");
    problem::mistyped(field, given, &detail)
}

pub(super) fn has_type(node: &Value, value: &Value) -> bool {
    if node["x-kubernetes-int-or-string"] == true {
        return value.is_string() || is_integer(value);
    }
    match node["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => is_integer(value),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        _ => true,
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
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

fn check_enum(node: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(allowed) = node["enum"]
        .as_array()
        .filter(|allowed| !allowed.is_empty())
    else {
        return;
    };
    if allowed.contains(value) {
        return;
    }
    let texts: Vec<String> = allowed
        .iter()
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        })
        .collect();
    let known: Vec<&str> = texts.iter().map(String::as_str).collect();
    causes.push(problem::unsupported(path, value, &known));
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
        assert_eq!(fields(Some(&old)), ["l[0]", "l[1]", "l[2]"]);
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
