//! Printer columns, and where a scale is.

use serde_json::Value;

use crate::{
    custom::problem::{invalid, required},
    status::Cause,
};

const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const FORMATS: [&str; 8] = [
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];
const NOT_SIMPLE: &str = "must be a simple json path starting with .";

/// Checks printer columns.
pub(super) fn check(columns: &Value, at: &str, causes: &mut Vec<Cause>) {
    for (i, column) in columns.as_array().into_iter().flatten().enumerate() {
        let at = format!("{at}[{i}]");
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        if text("name").is_empty() {
            causes.push(required(format!("{at}.name"), ""));
        }
        match text("type") {
            "" => {
                let detail = format!("must be one of {}", TYPES.join(","));
                causes.push(required(format!("{at}.type"), &detail));
            }
            type_ if TYPES.contains(&type_) => {}
            _ => {
                let detail = format!("must be one of {}", TYPES.join(","));
                causes.push(invalid(format!("{at}.type"), &column["type"], &detail));
            }
        }
        if !text("format").is_empty() && !FORMATS.contains(&text("format")) {
            let detail = format!("must be one of {}", FORMATS.join(","));
            causes.push(invalid(format!("{at}.format"), &column["format"], &detail));
        }
        let path = text("jsonPath");
        if path.is_empty() {
            causes.push(required(format!("{at}.JSONPath"), ""));
        } else if !path.starts_with('.') {
            let field = format!("{at}.JSONPath");
            causes.push(invalid(field, &column["jsonPath"], NOT_SIMPLE));
        }
    }
}

/// Checks the paths of the scale subresource.
pub(super) fn check_scale(scale: &Value, at: &str, causes: &mut Vec<Cause>) {
    if scale.is_null() {
        return;
    }
    let fields = [
        (
            "specReplicasPath",
            &[".spec."][..],
            "should be a json path under .spec",
        ),
        (
            "statusReplicasPath",
            &[".status."],
            "should be a json path under .status",
        ),
        (
            "labelSelectorPath",
            &[".spec.", ".status."],
            "should be a json path under either .spec or .status",
        ),
    ];
    for (field, roots, detail) in fields {
        let path = scale[field].as_str().unwrap_or_default();
        let at = format!("{at}.{field}");
        if path.is_empty() {
            if field != "labelSelectorPath" {
                causes.push(required(at, ""));
            }
        } else if !path.starts_with('.') {
            causes.push(invalid(at, &scale[field], NOT_SIMPLE));
        } else if !roots.iter().any(|root| path.starts_with(root)) {
            causes.push(invalid(at, &scale[field], detail));
        }
    }
}
