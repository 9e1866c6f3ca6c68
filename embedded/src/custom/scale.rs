//! The replicas of objects of custom kinds that have a scale.

use serde_json::Value;

use super::problem;
use crate::{go, status::Cause};

/// Checks the replicas where a version's scale says that they are.
pub(super) fn check(version: &Value, object: &Value, causes: &mut Vec<Cause>) {
    let Some(path) = version["subresources"]["scale"]["specReplicasPath"].as_str() else {
        return;
    };
    let mut refuse =
        |value: i64, detail: &str| causes.push(problem::invalid(path, &value.into(), detail));
    match replicas(object, path) {
        Ok(Some(count)) if count < 0 => refuse(count, "should be a non-negative integer"),
        Ok(Some(count)) if count > i64::from(i32::MAX) => {
            refuse(count, "should be less than or equal to 2147483647");
        }
        Ok(_) => {}
        Err(why) => refuse(0, &format!("{path} accessor error: {why}")),
    }
}

/// The number at a path, if there is one.
fn replicas(object: &Value, path: &str) -> Result<Option<i64>, String> {
    let mut value = object;
    for field in path.trim_start_matches('.').split('.') {
        let fields = value
            .as_object()
            .ok_or_else(|| unlike(value, "map[string]interface{}"))?;
        match fields.get(field) {
            Some(found) => value = found,
            None => return Ok(None),
        }
    }
    let number = value.as_i64();
    number.map(Some).ok_or_else(|| unlike(value, "int64"))
}

fn unlike(value: &Value, wanted: &str) -> String {
    let (shown, given) = (go::plain(value), go::type_name(value));
    format!("{shown} is of the type {given}, expected {wanted}")
}
