//! Server-side apply, without owners: the fields that are sent become so, all others stay.

use serde_json::{Map, Value};

use super::list_key::{self, ListKey};

/// Merges the fields that a manager wants into an object. A null removes, as it does in the typed
/// form that Kubernetes merges. Lists with keys are merged item by item; those of custom kinds
/// are atomic, except in the metadata.
pub(super) fn merge(object: &mut Value, wanted: &Value, custom: bool) {
    let mut rest = wanted.clone();
    let metadata = rest
        .as_object_mut()
        .and_then(|fields| fields.remove("metadata"));
    merge_fields(object, &rest, !custom);
    if let Some(metadata) = metadata {
        merge_fields(&mut object["metadata"], &metadata, true);
    }
}

fn merge_fields(object: &mut Value, wanted: &Value, keyed: bool) {
    let Some(wanted) = wanted.as_object() else {
        object.clone_from(wanted);
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (field, value) in wanted {
        match value {
            Value::Null => {
                fields.remove(field);
            }
            Value::Object(_) => {
                merge_fields(fields.entry(field).or_insert(Value::Null), value, keyed);
            }
            Value::Array(items) => {
                let old = fields
                    .entry(field)
                    .or_insert_with(|| Value::Array(Vec::new()));
                let key = list_key::of(field, items).filter(|_| keyed);
                match (key, old.as_array_mut()) {
                    (Some(key), Some(old)) => merge_list(old, items, key),
                    _ => old.clone_from(value),
                }
            }
            _ => {
                fields.insert(field.clone(), value.clone());
            }
        }
    }
}

fn merge_list(old: &mut Vec<Value>, items: &[Value], key: ListKey) {
    for item in items {
        let same = |other: &&mut Value| match key {
            ListKey::Field(key) => other[key] == item[key],
            ListKey::Set => **other == *item,
        };
        match old.iter_mut().find(same) {
            Some(old) => merge_fields(old, item, true),
            None => old.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::merge;

    #[test]
    fn fields_that_are_sent_become_so_and_others_stay() {
        let mut object = json!({
            "metadata": { "labels": { "a": "1" }, "finalizers": ["x"] },
            "spec": { "containers": [{ "name": "a", "image": "1" }], "args": ["1", "2"] },
        });
        let wanted = json!({
            "metadata": { "labels": { "b": "2" }, "finalizers": ["x", "y"] },
            "spec": { "containers": [{ "name": "a", "tty": true }, { "name": "b" }], "args": ["3"] },
        });
        merge(&mut object, &wanted, false);
        assert_eq!(
            object,
            json!({
                "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x", "y"] },
                "spec": {
                    "containers": [{ "name": "a", "image": "1", "tty": true }, { "name": "b" }],
                    "args": ["3"],
                },
            })
        );
    }

    #[test]
    fn lists_of_custom_kinds_are_atomic_except_in_metadata() {
        let mut object = json!({
            "metadata": { "finalizers": ["x"] },
            "status": { "conditions": [{ "type": "A" }, { "type": "B" }] },
        });
        let wanted = json!({
            "metadata": { "finalizers": ["y"] },
            "status": { "conditions": [{ "type": "B" }] },
        });
        merge(&mut object, &wanted, true);
        assert_eq!(
            object,
            json!({
                "metadata": { "finalizers": ["x", "y"] },
                "status": { "conditions": [{ "type": "B" }] },
            })
        );
    }
}
