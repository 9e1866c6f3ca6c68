//! Strategic merge patches: merges that know which lists have keys, and directives.

use serde_json::{Map, Value};

use super::list_key::{self, ListKey};

const DIRECTIVE: &str = "$patch";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";
const RETAIN_KEYS: &str = "$retainKeys";

/// Merges a patch into an object. The error says which directive makes no sense.
pub(super) fn merge(object: &mut Value, patch: &Value) -> Result<(), String> {
    let Some(changes) = patch.as_object() else {
        object.clone_from(patch);
        return Ok(());
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else {
        return Ok(());
    };
    match changes.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => {
            fields.clear();
            let rest = changes.iter().filter(|(field, _)| *field != DIRECTIVE);
            fields.extend(rest.map(|(field, value)| (field.clone(), value.clone())));
            return Ok(());
        }
        Some("delete") => {
            fields.clear();
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(format!("unknown patch directive {other:?}")),
    }
    if let Some(retained) = changes.get(RETAIN_KEYS).and_then(Value::as_array) {
        fields.retain(|field, _| retained.iter().any(|key| key == field));
    }
    for (field, change) in changes.iter().filter(|(field, _)| !field.starts_with('$')) {
        merge_field(fields, field, change)?;
    }
    for (field, change) in changes {
        if let Some(field) = field.strip_prefix(DELETE_ITEMS) {
            delete_items(fields, field, change);
        } else if let Some(field) = field.strip_prefix(SET_ORDER) {
            set_order(fields, field, change);
        }
    }
    Ok(())
}

fn merge_field(fields: &mut Map<String, Value>, field: &str, change: &Value) -> Result<(), String> {
    match change {
        Value::Null => {
            fields.remove(field);
        }
        Value::Object(_) => {
            let child = fields.entry(field).or_insert(Value::Null);
            if !child.is_object() {
                *child = Value::Object(Map::new());
            }
            merge(child, change)?;
        }
        Value::Array(items) => {
            let old = fields
                .entry(field)
                .or_insert_with(|| Value::Array(Vec::new()));
            let whole = items.iter().any(|item| {
                item[DIRECTIVE] == "replace" && item.as_object().is_some_and(|o| o.len() == 1)
            });
            match (list_key::of(field, items), old.as_array_mut()) {
                (Some(key), Some(old)) if !whole => merge_list(old, items, key)?,
                _ => {
                    *old = items
                        .iter()
                        .filter(|i| i.get(DIRECTIVE).is_none())
                        .cloned()
                        .collect();
                }
            }
        }
        _ => {
            fields.insert(field.to_owned(), change.clone());
        }
    }
    Ok(())
}

fn merge_list(old: &mut Vec<Value>, items: &[Value], key: ListKey) -> Result<(), String> {
    for item in items {
        let ListKey::Field(key) = key else {
            if !old.contains(item) {
                old.push(item.clone());
            }
            continue;
        };
        let place = old.iter().position(|o| o[key] == item[key]);
        if item[DIRECTIVE] == "delete" {
            if let Some(place) = place {
                old.remove(place);
            }
            continue;
        }
        let place = place.unwrap_or_else(|| {
            old.push(Value::Null);
            old.len() - 1
        });
        merge(&mut old[place], item)?;
    }
    Ok(())
}

fn delete_items(fields: &mut Map<String, Value>, field: &str, items: &Value) {
    let gone = items.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(list) = fields.get_mut(field).and_then(Value::as_array_mut) {
        list.retain(|item| !gone.contains(item));
    }
}

/// Orders a list as the patch says; items that it does not name keep their places at the end.
fn set_order(fields: &mut Map<String, Value>, field: &str, order: &Value) {
    let order = order.as_array().map_or(&[][..], Vec::as_slice);
    let Some(list) = fields.get_mut(field).and_then(Value::as_array_mut) else {
        return;
    };
    let key = match list_key::of(field, order) {
        Some(ListKey::Field(key)) => Some(key),
        _ => None,
    };
    let rank = |item: &Value| {
        let same = |other: &Value| key.map_or(other == item, |key| other[key] == item[key]);
        order.iter().position(same).unwrap_or(order.len())
    };
    list.sort_by_key(rank);
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::merge;

    #[track_caller]
    fn check(mut object: Value, patch: Value, expected: Value) {
        merge(&mut object, &patch).unwrap();
        assert_eq!(object, expected);
    }

    #[test]
    fn maps_merge_and_null_removes() {
        check(
            json!({ "a": { "x": 1, "y": 2 }, "b": 1 }),
            json!({ "a": { "x": null, "z": 3 }, "b": [1] }),
            json!({ "a": { "y": 2, "z": 3 }, "b": [1] }),
        );
    }

    #[test]
    fn lists_with_keys_merge_item_by_item() {
        check(
            json!({ "containers": [{ "name": "a", "image": "1" }, { "name": "b" }, { "name": "c" }] }),
            json!({ "containers": [
                { "name": "a", "env": [{ "name": "E", "value": "1" }] },
                { "name": "b", "$patch": "delete" },
                { "name": "d" },
            ] }),
            json!({ "containers": [
                { "name": "a", "image": "1", "env": [{ "name": "E", "value": "1" }] },
                { "name": "c" },
                { "name": "d" },
            ] }),
        );
    }

    #[test]
    fn other_lists_are_replaced() {
        check(
            json!({ "command": ["a", "b"], "tolerations": [{ "key": "x" }] }),
            json!({ "command": ["c"], "tolerations": [{ "key": "y" }] }),
            json!({ "command": ["c"], "tolerations": [{ "key": "y" }] }),
        );
    }

    #[test]
    fn ports_have_the_key_of_their_kind() {
        check(
            json!({ "ports": [{ "containerPort": 1, "name": "x" }] }),
            json!({ "ports": [{ "containerPort": 1, "name": "y" }, { "containerPort": 2 }] }),
            json!({ "ports": [{ "containerPort": 1, "name": "y" }, { "containerPort": 2 }] }),
        );
    }

    #[test]
    fn directives_replace_delete_order_and_retain() {
        check(
            json!({ "a": { "x": 1 }, "b": { "y": 1 } }),
            json!({ "a": { "$patch": "replace", "z": 1 }, "b": { "$patch": "delete" } }),
            json!({ "a": { "z": 1 }, "b": {} }),
        );
        check(
            json!({ "finalizers": ["a", "b"], "env": [{ "name": "x" }, { "name": "y" }] }),
            json!({
                "$deleteFromPrimitiveList/finalizers": ["a"],
                "$setElementOrder/env": [{ "name": "y" }, { "name": "x" }],
                "strategy": { "$retainKeys": ["type"], "type": "Recreate" },
            }),
            json!({
                "finalizers": ["b"], "env": [{ "name": "y" }, { "name": "x" }],
                "strategy": { "type": "Recreate" },
            }),
        );
        check(
            json!({ "containers": [{ "name": "a" }] }),
            json!({ "containers": [{ "name": "b" }, { "$patch": "replace" }] }),
            json!({ "containers": [{ "name": "b" }] }),
        );
        assert!(merge(&mut json!({}), &json!({ "$patch": "dance" })).is_err());
    }
}
