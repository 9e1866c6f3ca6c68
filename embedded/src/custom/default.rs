//! Defaults of custom kinds, from their schemas.

use serde_json::Value;

/// Fills in the defaults of what is absent, and drops nulls that stand for nothing.
pub(crate) fn apply(node: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = node["properties"].as_object();
            let additional = node
                .get("additionalProperties")
                .filter(|node| node.is_object());
            let child = |field: &str| properties.and_then(|p| p.get(field)).or(additional);
            fields.retain(|field, value| {
                let stays = |node: &Value| node["nullable"] == true || has_default(node);
                !value.is_null() || child(field).is_none_or(stays)
            });
            for (field, node) in properties.into_iter().flatten() {
                if has_default(node) && is_missing(node, fields.get(field)) {
                    fields.insert(field.clone(), node["default"].clone());
                }
            }
            for (field, value) in fields {
                if let Some(node) = child(field) {
                    apply_here(node, value);
                }
            }
        }
        Value::Array(items) if node["items"].is_object() => {
            for item in items {
                apply_here(&node["items"], item);
            }
        }
        _ => {}
    }
}

fn apply_here(node: &Value, value: &mut Value) {
    if has_default(node) && is_missing(node, Some(value)) {
        value.clone_from(&node["default"]);
    }
    apply(node, value);
}

fn has_default(node: &Value) -> bool {
    node.get("default")
        .is_some_and(|default| !default.is_null())
}

fn is_missing(node: &Value, value: Option<&Value>) -> bool {
    match value {
        None => true,
        Some(value) => value.is_null() && node["nullable"] != true,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::apply;

    #[test]
    fn what_is_left_out_gets_its_default() {
        let schema = json!({ "type": "object", "properties": {
            "color": { "type": "string", "default": "red" },
            "nested": { "type": "object", "default": {}, "properties": {
                "deep": { "type": "string", "default": "x" },
            }},
            "open": { "type": "string", "nullable": true, "default": "y" },
            "plain": { "type": "string" },
            "items": { "type": "array", "items": { "type": "object", "properties": {
                "n": { "type": "integer", "default": 1 },
            }}},
        }});
        let mut value =
            json!({ "color": null, "open": null, "plain": null, "items": [{}, { "n": 2 }] });
        apply(&schema, &mut value);
        assert_eq!(
            value,
            json!({
                "color": "red", "open": null, "nested": { "deep": "x" },
                "items": [{ "n": 1 }, { "n": 2 }],
            })
        );
    }
}
