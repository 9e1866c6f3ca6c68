//! Defaults of limit ranges.

use serde_json::{Map, Value};

/// Sets what a range leaves out: what follows from the most and the least.
pub(super) fn apply(range: &mut Value) {
    let items = range["spec"]["limits"].as_array_mut();
    let containers = items
        .into_iter()
        .flatten()
        .filter(|item| item["type"] == "Container");
    for item in containers {
        inherit(item, "default", "max");
        inherit(item, "defaultRequest", "default");
        inherit(item, "defaultRequest", "min");
    }
}

fn inherit(item: &mut Value, to: &str, from: &str) {
    let Some(source) = item[from].as_object().cloned() else {
        return;
    };
    if item[to].is_null() {
        item[to] = Value::Object(Map::new());
    }
    if let Some(target) = item[to].as_object_mut() {
        for (name, value) in source {
            target.entry(name).or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_is_left_out_follows_from_the_bounds() {
        let mut range = json!({ "spec": { "limits": [
            { "type": "Container", "max": { "cpu": "1" }, "min": { "memory": "1Mi" } },
            { "type": "Container", "default": { "memory": "1Gi" }, "defaultRequest": { "cpu": "1" } },
            { "type": "Pod", "max": { "cpu": "1" } },
        ] } });
        super::apply(&mut range);
        let limits = &range["spec"]["limits"];
        assert_eq!(limits[0]["default"], json!({ "cpu": "1" }));
        let requests = json!({ "cpu": "1", "memory": "1Mi" });
        assert_eq!(limits[0]["defaultRequest"], requests);
        let requests = json!({ "cpu": "1", "memory": "1Gi" });
        assert_eq!(limits[1]["defaultRequest"], requests);
        assert_eq!(limits[2], json!({ "type": "Pod", "max": { "cpu": "1" } }));
    }
}
