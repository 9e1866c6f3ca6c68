//! The directives of strategic merge patches.

use serde_json::{Map, Value};

use super::{key_of, nonsense};
use crate::{go, status::Status};

/// What is done with a map or an item of a list.
pub(super) const DIRECTIVE: &str = "$patch";
/// Which items a list of simple values loses.
pub(super) const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";
/// In which order the items of a list come.
pub(super) const SET_ORDER: &str = "$setElementOrder/";
/// Which fields of a map stay.
pub(super) const RETAIN_KEYS: &str = "$retainKeys";

/// The field that a directive is about.
pub(super) fn field(name: &str, directive: &str) -> Result<String, Status> {
    let field = name
        .strip_prefix(directive)
        .filter(|field| !field.is_empty());
    let text = if directive == DELETE_ITEMS {
        "invalid patch format of primitive list"
    } else {
        "invalid patch format of setElementOrder list"
    };
    field
        .map(str::to_owned)
        .ok_or_else(|| Status::bad_request(text))
}

/// A directive that nobody knows.
pub(super) fn unknown(directive: &Value, patch: &Map<String, Value>) -> Status {
    let shown = match directive {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("%!s(float64={number})"),
        Value::Number(number) => format!("%!s(int64={number})"),
        Value::Bool(value) => format!("%!s(bool={value})"),
        Value::Null => "%!s(<nil>)".to_owned(),
        other => go::plain(other),
    };
    let patch = go::plain(&Value::Object(patch.clone()));
    nonsense(format!("unknown patch type: {shown} in map: {patch}"))
}

/// Drops the fields that a patch does not retain.
pub(super) fn retain(
    fields: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    retained: &Value,
) -> Result<(), Status> {
    let wrong = || Status::bad_request("invalid patch format of retainKeys");
    let retained = retained.as_array().ok_or_else(wrong)?;
    let stays = |field: &str| retained.iter().any(|name| name == field);
    let set = patch.iter().filter(|(field, value)| {
        !value.is_null() && !field.starts_with(DELETE_ITEMS) && !field.starts_with(SET_ORDER)
    });
    if set.map(|(field, _)| field).any(|field| !stays(field)) {
        return Err(wrong());
    }
    fields.retain(|field, _| stays(field));
    Ok(())
}

/// Does what the directives among the items of a list say. Returns the list, and the items that
/// are left to be merged.
pub(super) fn apply_to_items(
    mut old: Vec<Value>,
    items: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Status> {
    let mut rest = Vec::with_capacity(items.len());
    let mut replaces = false;
    for item in items {
        let directive = item.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default());
        match directive {
            None => rest.push(item),
            Some("delete") => {
                let gone = key_of(&item, key)?;
                old.retain(|item| item.get(key) != Some(gone));
            }
            Some("replace") => replaces = true,
            Some("merge") => {
                return Err(nonsense(
                    "merging lists cannot yet be specified in the patch",
                ));
            }
            Some(_) => {
                let map = item.as_object().cloned().unwrap_or_default();
                return Err(unknown(&item[DIRECTIVE], &map));
            }
        }
    }
    if replaces {
        return Ok((rest, Vec::new()));
    }
    Ok((old, rest))
}

/// A value that is new in an object, without nulls and directives.
pub(super) fn plain(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(map) => {
            if map
                .get(DIRECTIVE)
                .is_some_and(|directive| directive == "delete")
            {
                return None;
            }
            let fields = map
                .into_iter()
                .filter(|(field, _)| !is_directive(field))
                .filter_map(|(field, value)| Some((field, plain(value)?)));
            Some(Value::Object(fields.collect()))
        }
        Value::Array(items) => {
            let items = items.into_iter().filter(|item| {
                item.as_object()
                    .is_none_or(|map| map.len() != 1 || !map.contains_key(DIRECTIVE))
            });
            Some(items.filter_map(plain).collect())
        }
        simple => Some(simple),
    }
}

fn is_directive(field: &str) -> bool {
    field == DIRECTIVE
        || field == RETAIN_KEYS
        || field.starts_with(DELETE_ITEMS)
        || field.starts_with(SET_ORDER)
}
