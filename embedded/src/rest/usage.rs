//! The API `metrics.k8s.io`: what `kubectl top` shows. Nothing of it is stored.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Response};
use serde_json::{Value, json};

use super::{query::Query, reply};
use crate::api::Api;
use crate::pod_usage::{GROUP_VERSION, PodUsage, node_metrics, pod_metrics};
use crate::resource::{NODES, PODS, Resource};
use crate::selector::Selector;
use crate::status::Status;

/// Answers a request below `/apis/metrics.k8s.io/v1beta1`.
pub(super) fn answer(
    api: &Api,
    method: &Method,
    path: &str,
    query: &Query,
) -> Result<Response<Body>, Status> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed());
    }
    let usage = api.usage().ok_or_else(|| {
        let text = "the server is currently unable to handle the request: no node is running";
        Status::new(503, "ServiceUnavailable", text)
    })?;
    let parts: Vec<&str> = path.split('/').collect();
    let (resource, namespace, name): (&'static Resource, _, _) = match parts.as_slice() {
        ["nodes"] => (&NODES, None, None),
        ["nodes", name] => (&NODES, None, Some(*name)),
        ["pods"] => (&PODS, None, None),
        ["namespaces", namespace, "pods"] => (&PODS, Some(*namespace), None),
        ["namespaces", namespace, "pods", name] => (&PODS, Some(*namespace), Some(*name)),
        _ => return Err(Status::no_such_path()),
    };
    if let Some(name) = name {
        let object = api.get(resource, namespace.unwrap_or_default(), name);
        let found = object.and_then(|object| measure(usage.as_ref(), resource, &object));
        let found = found.ok_or_else(|| Status::not_found(resource, name))?;
        return Ok(reply::json(200, &found));
    }
    let selector = Selector::parse(
        resource,
        query.get("labelSelector"),
        query.get("fieldSelector"),
    )
    .map_err(Status::bad_request)?;
    let (objects, _) = api.select(resource, namespace, &selector);
    let items = objects
        .iter()
        .filter_map(|object: &Arc<Value>| measure(usage.as_ref(), resource, object));
    let kind = if *resource == NODES {
        "NodeMetricsList"
    } else {
        "PodMetricsList"
    };
    Ok(reply::json(
        200,
        &json!({
            "kind": kind,
            "apiVersion": GROUP_VERSION,
            "metadata": {},
            "items": items.collect::<Value>(),
        }),
    ))
}

fn measure(usage: &dyn PodUsage, resource: &Resource, object: &Value) -> Option<Value> {
    if *resource == NODES {
        Some(node_metrics(object, &usage.node()?))
    } else {
        Some(pod_metrics(object, &usage.pod(object)?))
    }
}
