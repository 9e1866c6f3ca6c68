//! Writing answers.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use crate::status::Status;

/// An answer in bytes of JSON.
pub(crate) fn bytes(code: u16, json: Bytes) -> Response<Body> {
    response(code, "application/json", Body::from(json))
}

/// An answer in JSON.
pub(crate) fn json(code: u16, value: &Value) -> Response<Body> {
    bytes(code, Bytes::from(value.to_string()))
}

/// An answer in YAML.
pub(super) fn yaml(code: u16, value: &Value) -> Result<Response<Body>, Status> {
    let text = serde_saphyr::to_string(value).map_err(Status::internal)?;
    Ok(response(code, "application/yaml", Body::from(text)))
}

/// An answer in plain text.
pub(super) fn text(text: &'static str) -> Response<Body> {
    response(200, "text/plain; charset=utf-8", Body::from(text))
}

/// Why a request failed.
pub(crate) fn failure(status: &Status) -> Response<Body> {
    explained(status, json(status.code, &status.to_value()))
}

/// The same in YAML.
pub(super) fn yaml_failure(status: &Status) -> Result<Response<Body>, Status> {
    Ok(explained(status, yaml(status.code, &status.to_value())?))
}

fn explained(status: &Status, mut response: Response<Body>) -> Response<Body> {
    warn(&mut response, &status.warnings);
    if let Some(seconds) = status.retry_after() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer of any type.
pub(crate) fn response(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

/// Adds warnings that clients show to their users.
pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        let header = HeaderValue::try_from(format!("299 - \"{quoted}\""));
        // A warning with characters that no header can hold is not worth failing for.
        if let Ok(header) = header {
            response.headers_mut().append(header::WARNING, header);
        }
    }
}
