//! The difference of two documents as a JSON merge patch (RFC 7386).

use serde_json::{Map, Value};

/// The merge patch that turns `old` into `new`; `None` when they are equal. A field that is null
/// in `new` counts as absent, since a merge patch can't say otherwise.
pub(crate) fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (name, value) in new.iter().filter(|(_, value)| !value.is_null()) {
        let was = old.get(name).unwrap_or(&Value::Null);
        if let Some(change) = difference(was, value) {
            patch.insert(name.clone(), change);
        }
    }
    for (name, was) in old {
        if !was.is_null() && new.get(name).is_none_or(Value::is_null) {
            patch.insert(name.clone(), Value::Null);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::difference;

    #[test]
    fn equal_documents_need_no_patch() {
        let document = json!({"a": [1], "b": {"c": null}});
        assert_eq!(difference(&document, &json!({"a": [1], "b": {}})), None);
    }

    #[test]
    fn changed_fields_are_set_and_lost_ones_removed() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": 3});
        let new = json!({"a": 2, "b": {"c": 1}, "f": [4]});
        let patch = json!({"a": 2, "b": {"d": null}, "f": [4], "e": null});
        assert_eq!(difference(&old, &new), Some(patch));
    }

    #[test]
    fn lists_are_replaced_whole() {
        let patch = difference(&json!({"a": [1, 2]}), &json!({"a": [1, 2, 3]}));
        assert_eq!(patch, Some(json!({"a": [1, 2, 3]})));
    }
}
