//! Values of other types than their fields in what a strategic merge made of an object: Kubernetes
//! puts it straight into a struct, and says so in other words than those of a reader of JSON.

use serde_json::Value;

use super::{Schema, mistyped::malformed, validate::has_type};

impl Schema {
    /// What is wrong with the first value that its field can't hold. What `old` has in the same
    /// place is not looked at.
    pub(crate) fn misfit(&self, object: &Value, old: &Value) -> Option<String> {
        self.find_misfit(&self.root, object, Some(old))
    }

    fn find_misfit(&self, reference: &Value, value: &Value, old: Option<&Value>) -> Option<String> {
        if value.is_null() || old == Some(value) {
            return None;
        }
        let node = self.resolve(reference);
        if !has_type(node, value) {
            return Some(misfit(node, value));
        }
        match value {
            Value::String(text) => {
                let wrong = malformed(reference, node, text)?;
                let is_read_as_json = node["format"] == "byte";
                let heading = if is_read_as_json {
                    "error decoding from json: "
                } else {
                    ""
                };
                Some(format!("{heading}{wrong}"))
            }
            Value::Object(fields) => fields.iter().find_map(|(field, child)| {
                let known = node["properties"].get(field);
                let node = known.or_else(|| node.get("additionalProperties"))?;
                self.find_misfit(node, child, old.and_then(|old| old.get(field)))
            }),
            Value::Array(items) => {
                let node = node.get("items")?;
                let mut items = items.iter().enumerate();
                items.find_map(|(i, item)| {
                    self.find_misfit(node, item, old.and_then(|old| old.get(i)))
                })
            }
            _ => None,
        }
    }
}

/// Why a field can't hold a value, as Go's reflection says it.
fn misfit(node: &Value, value: &Value) -> String {
    let given = match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    };
    let wanted = match node["type"].as_str().unwrap_or_default() {
        "object" if node["additionalProperties"].is_object() => {
            return format!("cannot restore map from {given}");
        }
        "object" => return format!("cannot restore struct from: {given}"),
        "array" => return format!("cannot restore slice from {given}"),
        "string" if node["format"] == "byte" => {
            return format!("cannot restore slice from {given}");
        }
        "boolean" => "bool",
        "integer" => node["format"].as_str().unwrap_or("int64"),
        "number" => "float64",
        _ => "string",
    };
    // Go converts a number to a text, if to another one than is meant.
    match (given, wanted) {
        ("int64", "string") | ("float64", "int32" | "int64") => {
            format!("cannot convert {given} to {wanted}")
        }
        _ => format!("unrecognized type: {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use crate::{
        resource::{CONFIG_MAPS, PODS, Resource, SECRETS},
        schema,
    };

    #[track_caller]
    fn check(resource: &Resource, object: Value, expected: &str) {
        let schema = schema::builtin(resource).unwrap();
        assert_eq!(schema.misfit(&object, &json!({})).unwrap(), expected);
        assert_eq!(schema.misfit(&object, &object), None);
    }

    #[test]
    fn what_a_field_can_not_hold_is_said_as_go_says_it() {
        let data = |value: Value| json!({ "data": { "sky": value } });
        check(
            &CONFIG_MAPS,
            data(json!(7)),
            "cannot convert int64 to string",
        );
        check(&CONFIG_MAPS, data(json!(true)), "unrecognized type: string");
        check(
            &CONFIG_MAPS,
            json!({ "data": "x" }),
            "cannot restore map from string",
        );
        check(
            &SECRETS,
            data(json!("x!")),
            "error decoding from json: illegal base64 data at input byte 1",
        );
        let spec = |spec: Value| json!({ "spec": spec });
        check(&PODS, spec(json!([])), "cannot restore struct from: slice");
        check(
            &PODS,
            spec(json!({ "containers": {} })),
            "cannot restore slice from map",
        );
        check(
            &PODS,
            spec(json!({ "priority": 1.5 })),
            "cannot convert float64 to int32",
        );
    }
}
