//! Whether the rules of a schema can be asked at all.

use serde_json::{Value, json};

use super::{compile, of, types};
use crate::{
    custom::problem::{invalid, required, unsupported},
    status::Cause,
};

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// Checks every rule of a schema.
pub(crate) fn check(schema: &Value, at: &str, causes: &mut Vec<Cause>) {
    let mut root = schema.clone();
    // Of an object's own fields, rules see its kind and its name.
    if root["properties"].is_null() {
        root["properties"] = json!({});
    }
    if let Some(properties) = root["properties"].as_object_mut() {
        let text = json!({ "type": "string" });
        properties.insert("apiVersion".to_owned(), text.clone());
        properties.insert("kind".to_owned(), text.clone());
        let names = json!({ "name": text, "generateName": text });
        let metadata = json!({ "type": "object", "properties": names });
        properties.insert("metadata".to_owned(), metadata);
    }
    check_node(&root, at, None, causes);
}

/// `loose` is the list whose items have no counterpart in an older object.
fn check_node(node: &Value, at: &str, loose: Option<&str>, causes: &mut Vec<Cause>) {
    for (i, rule) in of(node).enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{i}]");
        check_rule(node, rule, &at, loose, causes);
    }
    for (name, child) in node["properties"].as_object().into_iter().flatten() {
        check_node(child, &format!("{at}.properties[{name}]"), loose, causes);
    }
    let additional = &node["additionalProperties"];
    if additional.is_object() {
        check_node(
            additional,
            &format!("{at}.additionalProperties"),
            loose,
            causes,
        );
    }
    if node["items"].is_object() {
        let keyed = node["x-kubernetes-list-type"] == "map";
        let loose = loose.or((!keyed).then_some(at));
        check_node(&node["items"], &format!("{at}.items"), loose, causes);
    }
}

fn check_rule(node: &Value, rule: &Value, at: &str, loose: Option<&str>, causes: &mut Vec<Cause>) {
    let text = |field: &str| rule[field].as_str().unwrap_or_default();
    let expression = text("rule");
    if expression.trim().is_empty() {
        causes.push(required(format!("{at}.rule"), "rule is not specified"));
        return;
    }
    check_texts(rule, at, causes);
    let path = text("fieldPath");
    if !path.is_empty() && !is_field(node, path) {
        let detail = "must be a valid path";
        causes.push(invalid(
            format!("{at}.fieldPath"),
            &rule["fieldPath"],
            detail,
        ));
        return;
    }
    match compile(expression) {
        Err(error) => {
            let detail = format!("compilation failed: {error}");
            causes.push(invalid(format!("{at}.rule"), &rule["rule"], &detail));
        }
        Ok(compiled) => {
            let optional = rule["optionalOldSelf"] == true;
            match types::of(&compiled.program, node, optional) {
                Err(error) => {
                    let detail = format!("compilation failed: {error}");
                    causes.push(invalid(format!("{at}.rule"), &rule["rule"], &detail));
                }
                Ok(type_) if !type_.may_be_bool() => {
                    let detail = "cel expression must evaluate to a bool";
                    causes.push(invalid(format!("{at}.rule"), &rule["rule"], detail));
                }
                Ok(_) => {}
            }
            if !rule["optionalOldSelf"].is_null() && !compiled.compares {
                let (field, detail) = (
                    format!("{at}.optionalOldSelf"),
                    "may not be set if oldSelf is not used in rule",
                );
                causes.push(invalid(field, &rule["optionalOldSelf"], detail));
            }
            if let Some(list) = loose.filter(|_| compiled.compares) {
                let detail = format!(
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within {list}"
                );
                causes.push(invalid(format!("{at}.rule"), &rule["rule"], &detail));
            }
        }
    }
    check_message_expression(node, rule, at, causes);
}

fn check_message_expression(node: &Value, rule: &Value, at: &str, causes: &mut Vec<Cause>) {
    let expression = rule["messageExpression"].as_str().unwrap_or_default();
    let field = format!("{at}.messageExpression");
    let mut refuse = |detail: &str| {
        causes.push(invalid(&field, &rule["messageExpression"], detail));
    };
    if expression.trim().is_empty() {
        if !expression.is_empty() {
            let detail = "messageExpression must be non-empty if specified";
            causes.push(required(field, detail));
        }
        return;
    }
    let optional = rule["optionalOldSelf"] == true;
    let typed = compile(expression).and_then(|c| types::of(&c.program, node, optional));
    match typed {
        Err(error) => refuse(&format!("messageExpression compilation failed: {error}")),
        Ok(type_) if !type_.may_be_string() => {
            refuse("messageExpression must evaluate to a string");
        }
        Ok(_) => {}
    }
}

fn check_texts(rule: &Value, at: &str, causes: &mut Vec<Cause>) {
    let text = |field: &str| rule[field].as_str().unwrap_or_default();
    let message = text("message");
    let field = format!("{at}.message");
    if !message.is_empty() && message.trim().is_empty() {
        causes.push(invalid(
            &field,
            &rule["message"],
            "must be non-empty if specified",
        ));
    } else if message.contains('\n') {
        causes.push(invalid(
            &field,
            &rule["message"],
            "must not contain line breaks",
        ));
    } else if message.is_empty() && text("rule").trim().contains('\n') {
        let detail = "message must be specified if rule contains line breaks";
        causes.push(required(&field, detail));
    }
    let reason = text("reason");
    if !reason.is_empty() && !REASONS.contains(&reason) {
        let field = format!("{at}.reason");
        causes.push(unsupported(field, &rule["reason"], &REASONS));
    }
}

/// Whether a path such as `.spec.size` or `.labels['a']` leads to something in a schema.
fn is_field(node: &Value, path: &str) -> bool {
    let path = path.replace("['", ".").replace("']", "");
    let Some(fields) = path.strip_prefix('.') else {
        return false;
    };
    let mut node = node;
    for field in fields.split('.') {
        let known = node["properties"].get(field);
        match known.or(node.get("additionalProperties").filter(|n| n.is_object())) {
            Some(child) => node = child,
            None => return false,
        }
    }
    true
}
