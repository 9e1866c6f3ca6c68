//! One step of a path: a field (`f:name`), an item by its keys (`k:{"name":"a"}`) or by its value
//! (`v:"a"`), or by its place (`i:0`).

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::schema::place::{Items, Place};

/// The step to a field.
pub(super) fn field(name: &str) -> String {
    format!("f:{name}")
}

/// The step to an item of a list at a place. The error says why the item can't be told apart.
pub(super) fn item(
    place: Place<'_>,
    items: Items<'_>,
    index: usize,
    value: &Value,
) -> Result<String, String> {
    match items {
        Items::Atomic => Ok(format!("i:{index}")),
        Items::Set => match value {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            Value::Null => Err(
                "associative list without keys has an element that's an explicit null".to_owned(),
            ),
            _ => Ok(format!("v:{value}")),
        },
        Items::Keys(keys) => by_keys(place, keys, value),
    }
}

fn by_keys(place: Place<'_>, keys: &[Value], value: &Value) -> Result<String, String> {
    let Value::Object(fields) = value else {
        let what = if value.is_null() {
            "a null element"
        } else {
            "non-map elements"
        };
        return Err(format!("associative list with keys may not have {what}"));
    };
    let names = keys.iter().filter_map(Value::as_str);
    let found: BTreeMap<&str, &Value> = names
        .clone()
        .filter_map(|name| {
            let value = fields.get(name).or_else(|| place.items().default(name))?;
            Some((name, value))
        })
        .collect();
    if found.is_empty() {
        let list: Vec<String> = names.map(|name| format!("{name:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and \
             doesn't have default values for any key fields)",
            list.join(" ")
        ));
    }
    let text = serde_json::to_string(&found).map_err(|error| error.to_string())?;
    Ok(format!("k:{text}"))
}

/// A path as error texts name it: `.spec.ports[port=80,protocol="TCP"]`.
pub(super) fn path_text<S: AsRef<str>>(path: &[S]) -> String {
    let mut text = String::new();
    for step in path {
        // Writing to a string does not fail.
        let _ = match step.as_ref().split_once(':') {
            Some(("f", name)) => write!(text, ".{name}"),
            Some(("v", value)) => write!(text, "[={value}]"),
            Some(("k", keys)) => write!(text, "[{}]", keys_text(keys)),
            Some((_, index)) => write!(text, "[{index}]"),
            None => write!(text, "{}", step.as_ref()),
        };
    }
    text
}

fn keys_text(keys: &str) -> String {
    let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
    let parts: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
    parts.join(",")
}
