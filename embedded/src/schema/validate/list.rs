//! Checking how many items and fields there are, and that no item stands twice where none may.

use serde_json::{Map, Value, json};

use crate::{custom::problem, schema::Path, status::Cause};

/// Checks the items of a list against each other.
pub(super) fn check(node: &Value, items: &[Value], path: &mut Path, causes: &mut Vec<Cause>) {
    let field = path.as_str();
    let count = items.len() as u64;
    if let Some(most) = node["maxItems"].as_u64().filter(|most| count > *most) {
        causes.push(problem::too_many(field, items.len(), most));
    }
    if let Some(least) = node["minItems"].as_u64().filter(|least| count < *least) {
        let detail = format!("{field} in body should have at least {least} items");
        causes.push(problem::invalid(field, &json!(count), &detail));
    }
    let keys = node["x-kubernetes-list-map-keys"].as_array();
    match node["x-kubernetes-list-type"].as_str() {
        Some("set") => check_distinct(items, Value::clone, path, causes),
        Some("map") => {
            let key = |item: &Value| {
                let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                let pairs = keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())));
                Value::Object(pairs.collect::<Map<String, Value>>())
            };
            check_distinct(items, key, path, causes);
        }
        _ => {}
    }
}

/// Each value that stands again is named once, where it first does.
fn check_distinct(
    items: &[Value],
    key: impl Fn(&Value) -> Value,
    path: &mut Path,
    causes: &mut Vec<Cause>,
) {
    let keys: Vec<Value> = items.iter().map(key).collect();
    for (i, key) in keys.iter().enumerate() {
        if keys[..i].iter().filter(|other| *other == key).count() == 1 {
            path.at(i, |path| {
                causes.push(problem::duplicate(path.as_str(), key));
            });
        }
    }
}

/// Checks how many fields an object has.
pub(super) fn check_properties(
    node: &Value,
    fields: &Map<String, Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let count = fields.len() as u64;
    if let Some(most) = node["maxProperties"].as_u64().filter(|most| count > *most) {
        causes.push(problem::too_many(path, fields.len(), most));
    }
    if let Some(least) = node["minProperties"]
        .as_u64()
        .filter(|least| count < *least)
    {
        let detail = format!("{path} in body should have at least {least} properties");
        causes.push(problem::invalid(path, &json!(count), &detail));
    }
}
