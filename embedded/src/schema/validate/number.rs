//! Checking numbers.

use serde_json::{Number, Value};

use crate::{custom::problem, status::Cause};

/// Checks the bounds of a number.
pub(super) fn check(node: &Value, number: &Number, path: &str, causes: &mut Vec<Cause>) {
    let shown = Value::Number(number.clone());
    let number = number.as_f64().unwrap_or(0.0);
    let mut complain = |relation: &str, bound: f64| {
        let detail = format!("{path} in body should be {relation} {bound}");
        causes.push(problem::invalid(path, &shown, &detail));
    };
    let bound = |field: &str| node[field].as_f64();
    match (bound("minimum"), node["exclusiveMinimum"] == true) {
        (Some(least), true) if number <= least => complain("greater than", least),
        (Some(least), false) if number < least => complain("greater than or equal to", least),
        _ => {}
    }
    match (bound("maximum"), node["exclusiveMaximum"] == true) {
        (Some(most), true) if number >= most => complain("less than", most),
        (Some(most), false) if number > most => complain("less than or equal to", most),
        _ => {}
    }
    match bound("multipleOf") {
        Some(step) if step > 0.0 && (number / step).fract() != 0.0 => {
            complain("a multiple of", step);
        }
        _ => {}
    }
    let bounds = match node["format"].as_str() {
        Some("int32") => Some((f64::from(i32::MIN), f64::from(i32::MAX))),
        Some("uint32") => Some((0.0, f64::from(u32::MAX))),
        _ => None,
    };
    if let Some((least, most)) = bounds
        && !(least..=most).contains(&number)
    {
        let format = node["format"].as_str().unwrap_or_default();
        let detail = format!("{path} in body must be of type {format}: \"number\"");
        causes.push(problem::invalid(path, &shown, &detail));
    }
}
