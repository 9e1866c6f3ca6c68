//! Whether a schema is structural: every field has a type, and what only constrains values says
//! nothing about their shape.

use regex::Regex;
use serde_json::{Value, json};

use super::{given, lists, refuse};
use crate::{
    custom::{
        default,
        problem::{forbidden, invalid, required, unsupported},
        rules,
    },
    schema::{self, FORMATS},
    status::Cause,
};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// Checks the schema of a version.
pub(super) fn check(schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    match schema["type"].as_str() {
        None | Some("") => {
            causes.push(required(
                format!("{at}.type"),
                "must not be empty at the root",
            ));
        }
        Some("object") => {}
        Some(_) => {
            let detail = "must be object at the root";
            causes.push(invalid(format!("{at}.type"), &schema["type"], detail));
        }
    }
    if schema["nullable"] == true {
        let detail = "nullable cannot be true at the root";
        causes.push(forbidden(format!("{at}.nullable"), detail));
    }
    if given(schema, "additionalProperties") {
        let detail = "must not be used at the root";
        causes.push(forbidden(format!("{at}.additionalProperties"), detail));
    }
    check_identity(schema, at, causes);
    check_node(schema, at, causes);
    rules::check(schema, at, causes);
}

/// Whether anything in a schema has a default.
pub(super) fn has_defaults(schema: &Value) -> bool {
    let parts = children(schema, "");
    given(schema, "default") || parts.iter().any(|(part, ..)| has_defaults(part))
}

/// Fields that every object has may be narrowed a little, not described anew.
fn check_identity(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    for field in ["apiVersion", "kind"] {
        let property = &node["properties"][field];
        if property.is_object() && property["type"] != "string" {
            let at = format!("{at}.properties[{field}].type");
            causes.push(invalid(at, &property["type"], "must be string"));
        }
    }
    let metadata = &node["properties"]["metadata"];
    if metadata.is_null() {
        return;
    }
    let at = format!("{at}.properties[metadata]");
    if metadata["type"] != "object" {
        causes.push(invalid(
            format!("{at}.type"),
            &metadata["type"],
            "must be object",
        ));
    }
    let properties = metadata["properties"].as_object().into_iter().flatten();
    let mut others =
        properties.filter(|(name, _)| !matches!(name.as_str(), "name" | "generateName"));
    if others.next().is_some() {
        let detail = "must not specify anything other than name and generateName, but metadata is \
                      implicitly specified";
        causes.push(forbidden(at, detail));
    }
}

fn check_node(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    check_unsupported(node, at, causes);
    check_extensions(node, at, causes);
    lists::check(node, at, causes);
    check_default(node, at, causes);
    if let Some(pattern) = node["pattern"].as_str()
        && let Err(error) = Regex::new(pattern)
    {
        let detail = format!("must be a valid regular expression, but isn't: {error}");
        causes.push(invalid(format!("{at}.pattern"), &node["pattern"], &detail));
    }
    for (child, at, place) in children(node, at) {
        let shapeless = child[INT_OR_STRING] == true || child[PRESERVE] == true;
        match child["type"].as_str() {
            None | Some("") if !shapeless => {
                let detail = format!("must not be empty for specified {place}");
                causes.push(required(format!("{at}.type"), &detail));
            }
            Some(type_) if !type_.is_empty() && !TYPES.contains(&type_) => {
                causes.push(unsupported(format!("{at}.type"), &json!(type_), &TYPES));
            }
            _ => {}
        }
        check_node(child, &at, causes);
    }
    for (branch, at) in branches(node, at) {
        check_branch(branch, &at, node[INT_OR_STRING] == true, causes);
    }
}

/// The schemas of fields and items, with their paths and what they are.
fn children<'a>(node: &'a Value, at: &str) -> Vec<(&'a Value, String, &'static str)> {
    let mut children = Vec::new();
    for (name, child) in node["properties"].as_object().into_iter().flatten() {
        children.push((child, format!("{at}.properties[{name}]"), "object fields"));
    }
    if node["additionalProperties"].is_object() {
        let at = format!("{at}.additionalProperties");
        children.push((&node["additionalProperties"], at, "object fields"));
    }
    if node["items"].is_object() {
        children.push((&node["items"], format!("{at}.items"), "array items"));
    }
    children
}

/// The schemas that constrain values of a node, with their paths.
fn branches<'a>(node: &'a Value, at: &str) -> Vec<(&'a Value, String)> {
    let mut branches = Vec::new();
    for field in ["allOf", "anyOf", "oneOf"] {
        for (i, branch) in node[field].as_array().into_iter().flatten().enumerate() {
            branches.push((branch, format!("{at}.{field}[{i}]")));
        }
    }
    if node["not"].is_object() {
        branches.push((&node["not"], format!("{at}.not")));
    }
    branches
}

fn check_unsupported(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    let unsupported = [
        "id",
        "$schema",
        "$ref",
        "additionalItems",
        "patternProperties",
        "definitions",
        "dependencies",
    ];
    for field in unsupported {
        refuse(
            node,
            field,
            at,
            &format!("{field} is not supported"),
            causes,
        );
    }
    if node["uniqueItems"] == true {
        let detail =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        causes.push(forbidden(format!("{at}.uniqueItems"), detail));
    }
    if node["items"].is_array() {
        let detail = "items must be a schema object and not an array";
        causes.push(forbidden(format!("{at}.items"), detail));
    } else if node["type"] == "array" && !given(node, "items") {
        causes.push(required(format!("{at}.items"), "must be specified"));
    }
    if given(node, "properties") && given(node, "additionalProperties") {
        let detail = "additionalProperties and properties are mutual exclusive";
        causes.push(forbidden(format!("{at}.additionalProperties"), detail));
    }
}

fn check_extensions(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    if node[PRESERVE] == false {
        let detail = "must be true or undefined";
        causes.push(invalid(format!("{at}.{PRESERVE}"), &json!(false), detail));
    }
    if node[EMBEDDED] != true {
        return;
    }
    if node[PRESERVE] != true && !given(node, "properties") {
        let detail = format!("must not be empty if {EMBEDDED} is true without {PRESERVE}");
        causes.push(required(format!("{at}.properties"), &detail));
    }
    if node["type"] != "object" {
        let detail = format!("must be object if {EMBEDDED} is true");
        causes.push(invalid(format!("{at}.type"), &node["type"], &detail));
    }
    check_identity(node, at, causes);
}

/// A default must be what the schema allows.
fn check_default(node: &Value, at: &str, causes: &mut Vec<Cause>) {
    if !given(node, "default") {
        return;
    }
    let at = format!("{at}.default");
    let schema = schema::plain(node);
    let mut pruned = node["default"].clone();
    if !schema.prune(&mut pruned, None).is_empty() {
        causes.push(invalid(
            &at,
            &node["default"],
            "must not have unknown fields",
        ));
        return;
    }
    default::apply(node, &mut pruned);
    causes.extend(schema.validate(&pruned, None).into_iter().map(|cause| {
        let inner = cause.field.as_str();
        let field = match inner {
            "" | "<nil>" => at.clone(),
            inner => format!("{at}.{inner}"),
        };
        Cause { field, ..cause }
    }));
}

/// What constrains values only says nothing about shape.
fn check_branch(node: &Value, at: &str, either: bool, causes: &mut Vec<Cause>) {
    let anything = |field: &str| given(node, field) && node[field] != "";
    for field in ["additionalProperties", "default"] {
        refuse(
            node,
            field,
            at,
            "must be undefined to be structural",
            causes,
        );
    }
    let is_either = matches!(node["type"].as_str(), Some("integer" | "string"));
    for field in ["type", "title", "description"] {
        // An integer or a string may say that it is one of the two.
        let allowed = field == "type" && either && is_either;
        if anything(field) && !allowed {
            causes.push(forbidden(
                format!("{at}.{field}"),
                "must be empty to be structural",
            ));
        }
    }
    for field in ["nullable", PRESERVE, EMBEDDED, INT_OR_STRING] {
        if node[field] == true {
            causes.push(forbidden(
                format!("{at}.{field}"),
                "must be false to be structural",
            ));
        }
    }
    for (child, at, _) in children(node, at) {
        if !at.ends_with("additionalProperties") {
            check_branch(child, &at, false, causes);
        }
    }
    for (branch, at) in branches(node, at) {
        check_branch(branch, &at, either, causes);
    }
}

/// Says which formats nobody checks.
pub(super) fn unknown_formats(node: &Value, found: &mut Vec<String>) {
    if let Some(format) = node["format"].as_str()
        && !format.is_empty()
        && !FORMATS.contains(&format)
    {
        let text = format!("unrecognized format {format:?}");
        if !found.contains(&text) {
            found.push(text);
        }
    }
    for (child, ..) in children(node, "") {
        unknown_formats(child, found);
    }
}
