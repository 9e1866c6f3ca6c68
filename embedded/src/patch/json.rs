//! JSON patches (RFC 6902).

use serde_json::Value;

use crate::status::Status;

/// As many operations a patch has at most.
const MAX_OPERATIONS: usize = 10_000;

/// Applies a JSON patch. Nothing is changed when any operation fails.
pub(super) fn apply(object: &mut Value, patch: &Value) -> Result<(), Status> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
    if operations.0.len() > MAX_OPERATIONS {
        let text = format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.0.len()
        );
        return Err(Status::new(413, "RequestEntityTooLarge", text));
    }
    json_patch::patch(object, &operations).map_err(|error| {
        let text =
            format!("the server rejected our request due to an error in our request: {error}");
        Status::new(422, "Invalid", text)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::apply;

    #[test]
    fn a_patch_applies_as_a_whole_or_not_at_all() {
        let mut object = json!({ "a": [1, 2] });
        let good = json!([{ "op": "test", "path": "/a/0", "value": 1 },
                          { "op": "remove", "path": "/a/0" }]);
        apply(&mut object, &good).unwrap();
        assert_eq!(object, json!({ "a": [2] }));
        let bad = json!([{ "op": "add", "path": "/b", "value": 1 },
                         { "op": "remove", "path": "/c" }]);
        assert_eq!(apply(&mut object, &bad).unwrap_err().code, 422);
        assert_eq!(object, json!({ "a": [2] }));
        assert_eq!(
            apply(&mut object, &json!({ "op": "add" }))
                .unwrap_err()
                .code,
            400
        );
    }
}
