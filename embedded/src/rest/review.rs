//! Questions about permissions: who holds the token may do everything.

use axum::body::Body;
use http::Response;
use serde_json::json;

use super::{body, reply};
use crate::status::Status;

/// Answers a review.
pub(super) fn answer(
    plural: &str,
    request: &[u8],
    content_type: &str,
) -> Result<Response<Body>, Status> {
    let mut review = body::decode(body::media_type(content_type), request)?;
    if !review.is_object() {
        return Err(Status::bad_request("the review must be a JSON object"));
    }
    review["status"] = if plural == "selfsubjectaccessreviews" {
        json!({ "allowed": true })
    } else {
        let all = json!(["*"]);
        json!({
            "resourceRules": [{ "verbs": all, "apiGroups": all, "resources": all }],
            "nonResourceRules": [{ "verbs": all, "nonResourceURLs": all }],
            "incomplete": false,
        })
    };
    Ok(reply::json(201, &review))
}
