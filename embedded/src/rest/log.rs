//! Logs of pods.

use std::convert::Infallible;

use axum::body::Body;
use futures::StreamExt;
use http::Response;
use serde_json::Value;

use super::{Call, reply};
use crate::{api::LogOptions, status::Status};

/// Answers with the log of a container.
pub(super) async fn answer(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let pod = call
        .api
        .get(target.resource, target.namespace(), target.name());
    let pod = pod.ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    let container = call.query.get("container");
    if container.is_none() {
        require_single_container(target.name(), &pod)?;
    }
    let options = options(call)?;
    let logs = call.api.logs().ok_or_else(|| {
        Status::new(
            503,
            "ServiceUnavailable",
            "no node is running that could give logs",
        )
    })?;
    let stream = logs.open(&pod, container, options).await?;
    Ok(reply::response(
        200,
        "text/plain",
        Body::from_stream(stream.map(Ok::<_, Infallible>)),
    ))
}

fn require_single_container(name: &str, pod: &Value) -> Result<(), Status> {
    let names = |list: &str| -> Vec<&str> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.filter_map(|c| c["name"].as_str()).collect()
    };
    let containers = names("containers");
    if containers.len() <= 1 {
        return Ok(());
    }
    let mut text = format!(
        "a container name must be specified for pod {name}, choose one of: [{}]",
        containers.join(" ")
    );
    let first = names("initContainers");
    if !first.is_empty() {
        text += " or one of the init containers: [";
        text += &first.join(" ");
        text.push(']');
    }
    Err(Status::bad_request(text))
}

fn options(call: &Call<'_>) -> Result<LogOptions, Status> {
    let query = &call.query;
    Ok(LogOptions {
        follow: query.flag("follow"),
        tail_lines: query.number("tailLines")?,
        since_seconds: query.number("sinceSeconds")?,
        since_time: query.number("sinceTime")?,
        timestamps: query.flag("timestamps"),
        limit_bytes: query.number("limitBytes")?,
        previous: query.flag("previous"),
    })
}
