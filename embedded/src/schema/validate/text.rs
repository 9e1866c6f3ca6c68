//! Checking texts.

use regex::Regex;
use serde_json::{Value, json};

use crate::{custom::problem, schema::format, status::Cause};

/// Checks the length, the pattern and the format of a text.
pub(super) fn check(node: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let length = text.chars().count() as u64;
    if let Some(most) = node["maxLength"].as_u64().filter(|most| length > *most) {
        causes.push(problem::too_long(path, most));
    } else if let Some(least) = node["minLength"].as_u64().filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        causes.push(problem::invalid(path, &json!(text), &detail));
    } else if let Some(pattern) = node["pattern"].as_str()
        && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        let detail = format!("{path} in body should match '{pattern}'");
        causes.push(problem::invalid(path, &json!(text), &detail));
    }
    if let Some(format) = node["format"].as_str()
        && !format::fits(format, text)
    {
        let detail = format!("{path} in body must be of type {format}: {text:?}");
        causes.push(problem::mistyped(path, text, &detail));
    }
}
