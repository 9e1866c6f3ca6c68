//! The names of a kind.

use serde_json::{Value, json};

use crate::{
    custom::problem::{invalid, required},
    status::Cause,
};

const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
     start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
     'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// What is wrong with a label that starts with a letter.
pub(super) fn dns_1035(label: &str) -> Option<&'static str> {
    if label.len() > 63 {
        return Some("must be no more than 63 characters");
    }
    let is_letter = |c: char| c.is_ascii_lowercase();
    let is_end = |c: char| is_letter(c) || c.is_ascii_digit();
    let fits = label.starts_with(is_letter)
        && label.ends_with(is_end)
        && label.chars().all(|c| is_end(c) || c == '-');
    (!fits).then_some(DNS_1035)
}

/// Checks the names.
pub(super) fn check(names: &Value, causes: &mut Vec<Cause>) {
    let text = |field: &str| names[field].as_str().unwrap_or_default();
    for field in ["plural", "singular", "kind", "listKind"] {
        let (name, at) = (text(field), format!("spec.names.{field}"));
        if name.is_empty() {
            causes.push(required(at, ""));
            continue;
        }
        let mixed = field.ends_with("ind");
        if let Some(detail) = dns_1035(&if mixed {
            name.to_lowercase()
        } else {
            name.to_owned()
        }) {
            let prefix = "may have mixed case, but should otherwise match: ";
            let detail = format!("{}{detail}", if mixed { prefix } else { "" });
            causes.push(invalid(at, &json!(name), &detail));
        }
    }
    for field in ["shortNames", "categories"] {
        for (i, name) in names[field].as_array().into_iter().flatten().enumerate() {
            if let Some(detail) = dns_1035(name.as_str().unwrap_or_default()) {
                causes.push(invalid(format!("spec.names.{field}[{i}]"), name, detail));
            }
        }
    }
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        let detail = "kind and listKind may not be the same";
        causes.push(invalid("spec.names.listKind", &names["listKind"], detail));
    }
}

/// Checks what may not change.
pub(super) fn check_fixed(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let mut fixed = vec!["/spec/group", "/spec/names/plural"];
    if crate::custom::has_condition(old, "Established") {
        fixed.extend(["/spec/scope", "/spec/names/kind"]);
    }
    for pointer in fixed {
        let null = Value::Null;
        let (before, after) = (old.pointer(pointer), new.pointer(pointer));
        if before != after {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            causes.push(invalid(field, after.unwrap_or(&null), "field is immutable"));
        }
    }
}
