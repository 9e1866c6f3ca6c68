//! `x-kubernetes-list-type` and `x-kubernetes-map-type`.

use serde_json::{Value, json};

use super::given;
use crate::{
    custom::problem::{forbidden, invalid, required, unsupported},
    status::Cause,
};

const LIST: &str = "x-kubernetes-list-type";
const KEYS: &str = "x-kubernetes-list-map-keys";
const MAP: &str = "x-kubernetes-map-type";

/// Checks how lists and maps of a node are merged.
pub(super) fn check(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    check_map(node, at, causes);
    let keys: Vec<&str> = names(&node[KEYS]);
    let list = node[LIST].as_str();
    if list != Some("map") && !keys.is_empty() {
        let detail = format!("must be map if {KEYS} is non-empty");
        causes.push(required(format!("{at}.{LIST}"), &detail));
    }
    let Some(list) = list else { return };
    if node["type"] != "array" {
        let detail = format!("must be array if {LIST} is specified");
        causes.push(if node["type"].is_null() {
            required(format!("{at}.type"), &detail)
        } else {
            invalid(format!("{at}.type"), &node["type"], &detail)
        });
    }
    let items = &node["items"];
    match list {
        "atomic" => {}
        "set" => check_set(items, at, causes),
        "map" => check_keys(items, &keys, &node[KEYS], at, causes),
        other => causes.push(unsupported(
            format!("{at}.{LIST}"),
            &json!(other),
            &["atomic", "set", "map"],
        )),
    }
    if matches!(list, "set" | "map") && items["nullable"] == true {
        let detail = format!("cannot be nullable when {LIST} is {list}");
        causes.push(forbidden(format!("{at}.items.nullable"), &detail));
    }
}

fn check_map(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Some(map) = node[MAP].as_str() else {
        return;
    };
    if node["type"] != "object" {
        let detail = format!("must be object if {MAP} is specified");
        causes.push(invalid(format!("{at}.type"), &node["type"], &detail));
    }
    if !matches!(map, "atomic" | "granular") {
        let field = format!("{at}.{MAP}");
        causes.push(unsupported(field, &json!(map), &["atomic", "granular"]));
    }
}

fn check_set(items: &Value, at: &str, causes: &mut Vec<Cause>) {
    let detail = format!("must be atomic as item of a list with {LIST}=set");
    if items["type"] == "object" && items[MAP] != "atomic" {
        causes.push(invalid(format!("{at}.items.{MAP}"), &items[MAP], &detail));
    }
    if items["type"] == "array" && given(items, LIST) && items[LIST] != "atomic" {
        causes.push(invalid(format!("{at}.items.{LIST}"), &items[LIST], &detail));
    }
}

fn check_keys(items: &Value, keys: &[&str], all: &Value, at: &str, causes: &mut Vec<Cause>) {
    if keys.is_empty() {
        let detail = format!("must not be empty if {LIST} is map");
        causes.push(required(format!("{at}.{KEYS}"), &detail));
    }
    if items["type"] != "object" {
        let detail = format!("must be object if parent array's {LIST} is map");
        causes.push(invalid(format!("{at}.items.type"), &items["type"], &detail));
        return;
    }
    let mut seen = Vec::new();
    for key in keys {
        let property = items["properties"].get(*key);
        match property {
            None => {
                let detail = "entries must all be names of item properties";
                causes.push(invalid(format!("{at}.{KEYS}"), all, detail));
            }
            Some(property) => {
                let at = format!("{at}.items.properties[{key}]");
                if matches!(property["type"].as_str(), Some("object" | "array")) {
                    let detail = format!("must be a scalar type if parent array's {LIST} is map");
                    causes.push(invalid(format!("{at}.type"), &property["type"], &detail));
                }
                if !given(property, "default") && !names(&items["required"]).contains(key) {
                    let detail = format!(
                        "this property is in {KEYS}, so it must have a default or be a required property"
                    );
                    causes.push(required(format!("{at}.default"), &detail));
                }
            }
        }
        if seen.contains(key) {
            let detail = "duplicate entries not allowed";
            causes.push(invalid(format!("{at}.{KEYS}"), all, detail));
        }
        seen.push(key);
    }
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}
