//! Values that have other types than the fields of built-in kinds, in the words in which
//! Kubernetes, which is written in Go, says so.

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use regex::Regex;
use serde_json::Value;

use super::{REFERENCE_PREFIX, Schema, path::Path, validate::has_type};

static QUANTITY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$").expect("the pattern is valid")
});

impl Schema {
    /// What is wrong with the first value of a wrong type. What `old` has in the same place is
    /// not looked at.
    pub(crate) fn mistyped(&self, object: &Value, old: Option<&Value>) -> Option<String> {
        self.find_mistyped(&self.root, object, old, "", &mut Path::default())
    }

    /// The same for the metadata of a custom kind, whose other fields have other rules.
    pub(crate) fn mistyped_metadata(&self, object: &Value, old: Option<&Value>) -> Option<String> {
        let node = &self.root["properties"]["metadata"];
        let old = old.map(|old| &old["metadata"]);
        self.find_mistyped(node, &object["metadata"], old, "", &mut Path::default())
    }

    /// `owner` is the Go type that has the field.
    fn find_mistyped(
        &self,
        reference: &Value,
        value: &Value,
        old: Option<&Value>,
        owner: &str,
        path: &mut Path,
    ) -> Option<String> {
        if value.is_null() || old == Some(value) {
            return None;
        }
        let node = self.resolve(reference);
        if !has_type(node, value) {
            let (given, wanted) = (given(node, value), self.go_type(reference));
            return Some(format!(
                "json: cannot unmarshal {given} into Go struct field {owner}.{path} of type {wanted}"
            ));
        }
        if let Some(text) = value.as_str() {
            return malformed(reference, node, text);
        }
        let own = name(reference).map_or(owner, |(_, own)| own);
        match value {
            Value::Object(fields) => {
                let properties = node["properties"].as_object();
                fields.iter().find_map(|(field, child)| {
                    let old = old.and_then(|old| old.get(field));
                    let known = properties.and_then(|properties| properties.get(field));
                    if let Some(node) = known {
                        return path.within(field, |path| {
                            self.find_mistyped(node, child, old, own, path)
                        });
                    }
                    // The place of a value in a map, as in a list, is not named.
                    let node = node.get("additionalProperties")?;
                    self.find_mistyped(node, child, old, own, path)
                })
            }
            Value::Array(items) => {
                let node = node.get("items")?;
                items.iter().enumerate().find_map(|(i, item)| {
                    let old = old.and_then(|old| old.get(i));
                    self.find_mistyped(node, item, old, own, path)
                })
            }
            _ => None,
        }
    }

    fn go_type(&self, reference: &Value) -> String {
        let node = self.resolve(reference);
        if let Some((package, name)) = name(reference) {
            return format!("{package}.{name}");
        }
        match node["type"].as_str() {
            Some("boolean") => "bool".to_owned(),
            Some("integer") => node["format"].as_str().unwrap_or("int64").to_owned(),
            Some("number") => "float64".to_owned(),
            Some("array") => format!("[]{}", self.go_type(&node["items"])),
            Some("object") if node["additionalProperties"].is_object() => {
                format!("map[string]{}", self.go_type(&node["additionalProperties"]))
            }
            other => other.unwrap_or("string or integer").to_owned(),
        }
    }
}

/// The Go package and name of the type that a reference names.
fn name(reference: &Value) -> Option<(&str, &str)> {
    let path = reference["$ref"].as_str()?.strip_prefix(REFERENCE_PREFIX)?;
    let (package, name) = path.rsplit_once('.')?;
    Some((package.rsplit('.').next().unwrap_or(package), name))
}

fn given(node: &Value, value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if node["type"] == "integer" => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

/// What is wrong with a text that stands for something else.
pub(super) fn malformed(reference: &Value, node: &Value, text: &str) -> Option<String> {
    if node["format"] == "byte" {
        BASE64_STANDARD.decode(text).err()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let at = text.bytes().position(|b| !plain(b)).unwrap_or(text.len());
        return Some(format!("illegal base64 data at input byte {at}"));
    }
    let form = match name(reference)?.1 {
        "Quantity" if !QUANTITY.is_match(text) => {
            let pattern = QUANTITY.as_str();
            return Some(format!(
                "quantities must match the regular expression '{pattern}'"
            ));
        }
        "Time" => "2006-01-02T15:04:05Z07:00",
        "MicroTime" => "2006-01-02T15:04:05.000000Z07:00",
        _ => return None,
    };
    text.parse::<jiff::Timestamp>().err()?;
    Some(format!(
        "parsing time {text:?} as {form:?}: cannot parse {text:?} as \"2006\""
    ))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use crate::{resource::PODS, schema};

    #[track_caller]
    fn check(object: Value, expected: &str) {
        let schema = schema::builtin(&PODS).unwrap();
        let found = schema.mistyped(&object, None).unwrap();
        assert_eq!(found, expected);
        assert_eq!(schema.mistyped(&object, Some(&object)), None);
    }

    #[test]
    fn the_type_and_its_owner_are_named_as_in_go() {
        let cannot = "json: cannot unmarshal";
        check(
            json!({ "metadata": { "labels": { "a": 1 } } }),
            &format!(
                "{cannot} number into Go struct field ObjectMeta.metadata.labels of type string"
            ),
        );
        check(
            json!({ "spec": { "containers": {} } }),
            &format!(
                "{cannot} object into Go struct field PodSpec.spec.containers of type []v1.Container"
            ),
        );
        check(
            json!({ "spec": { "priority": 1.5 } }),
            &format!(
                "{cannot} number 1.5 into Go struct field PodSpec.spec.priority of type int32"
            ),
        );
        check(
            json!({ "spec": { "overhead": { "cpu": "lots" } } }),
            "quantities must match the regular expression \
             '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
    }
}
