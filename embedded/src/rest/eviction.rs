//! The subresource `eviction` of pods: a deletion that says why. No disruption budget is asked.

use axum::body::Body;
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, body, deletion, reply};
use crate::{api::Subresource, metadata, status::Status};

/// Evicts a pod.
pub(super) async fn answer(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let sent: Value = body::decode(body::media_type(call.content_type), &call.body)?;
    let (namespace, name) = (call.target.namespace(), call.target.name());
    if let Some(other) = sent["metadata"]["name"].as_str().filter(|n| *n != name) {
        let text = format!("name in URL ({name}) does not match name in Eviction object ({other})");
        return Err(Status::bad_request(text));
    }
    let options = deletion::read_options(call, &sent["deleteOptions"])?;
    let resource = call.target.resource;
    if call.api.get(resource, namespace, name).is_none() {
        return Err(Status::not_found(resource, name));
    }
    if !options.dry_run {
        let now = metadata::time(Timestamp::now());
        let status = Subresource::Status;
        let modified = call
            .api
            .modify(resource, namespace, name, status, |pod| mark(pod, &now));
        modified.await?;
        call.api.delete(resource, namespace, name, options).await?;
    }
    let done = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(reply::json(201, &done))
}

/// Notes on a pod that runs why it ends. Returns whether it does.
fn mark(pod: &mut Value, now: &str) -> bool {
    if matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    ) {
        return false;
    }
    let condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastProbeTime": null, "lastTransitionTime": now,
    });
    match pod["status"]["conditions"].as_array_mut() {
        Some(all) => {
            all.retain(|c| c["type"] != "DisruptionTarget");
            all.push(condition);
        }
        None => pod["status"]["conditions"] = json!([condition]),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_runs_is_marked_once() {
        let mut pod = json!({ "status": { "phase": "Running" } });
        assert!(mark(&mut pod, "then") && mark(&mut pod, "now"));
        let conditions = pod["status"]["conditions"].as_array().unwrap();
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0]["lastTransitionTime"], "now");
        pod["status"]["phase"] = json!("Failed");
        assert!(!mark(&mut pod, "later"));
    }
}
