//! Fields by which objects can be selected.

use serde_json::Value;

use crate::{
    custom::problem::{duplicate, invalid},
    status::Cause,
};

/// Checks the selectable fields of a version.
pub(super) fn check(version: &Value, at: &str, causes: &mut Vec<Cause>) {
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut seen = Vec::new();
    let fields = version["selectableFields"].as_array();
    for (i, field) in fields.into_iter().flatten().enumerate() {
        let at = format!("{at}[{i}].jsonPath");
        let path = &field["jsonPath"];
        let text = path.as_str().unwrap_or_default();
        let refusal = match find(schema, text) {
            _ if !text.starts_with('.') => Some(format!(
                "is an invalid path: expected [ or . but got: {text}"
            )),
            None => Some("is an invalid path: does not refer to a valid field".to_owned()),
            Some(node) if !is_selectable(node) => Some(
                "must point to a field of type string, boolean or integer. Enum string fields and \
                 strings with formats are allowed."
                    .to_owned(),
            ),
            Some(_) => None,
        };
        causes.extend(refusal.map(|detail| invalid(&at, path, &detail)));
        if seen.contains(&text) {
            causes.push(duplicate(&at, path));
        }
        seen.push(text);
    }
}

/// The schema at a path of fields, such as `.spec.color`.
pub(super) fn find<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    let fields = path.strip_prefix('.')?.split('.');
    let mut node = schema;
    for (i, field) in fields.enumerate() {
        if i == 0 && field == "metadata" {
            return None;
        }
        node = node["properties"].get(field)?;
    }
    Some(node)
}

fn is_selectable(node: &Value) -> bool {
    matches!(
        node["type"].as_str(),
        Some("string" | "boolean" | "integer")
    )
}
