//! Bodies of requests.

use serde_json::Value;

use super::{Call, protobuf};
use crate::{event_view, metadata, resource::Resource, status::Status};

/// The object in a request, as it is stored.
pub(super) fn object(call: &Call<'_>) -> Result<Value, Status> {
    let resource = call.target.resource;
    let object = decode(media_type(call.content_type), &call.body)?;
    check_kind(resource, &object)?;
    Ok(object)
}

/// The media type of a request, without parameters.
pub(super) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Reads a body in JSON, YAML or the binary form of Kubernetes.
pub(super) fn decode(media_type: &str, body: &[u8]) -> Result<Value, Status> {
    match media_type {
        "" | "application/json" => serde_json::from_slice(body)
            .map_err(|error| Status::bad_request(format!("can't read the body as JSON: {error}"))),
        "application/yaml" => yaml(body),
        protobuf::MEDIA_TYPE => protobuf::decode(body),
        _ => Err(Status::unsupported_media_type(
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )),
    }
}

/// Reads YAML, of which JSON is a part.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Status::bad_request(format!("can't read the body as text: {error}")))?;
    serde_saphyr::from_str(text)
        .map_err(|error| Status::bad_request(format!("can't read the body as YAML: {error}")))
}

/// An object says of which kind it is, and it is the kind of the path.
fn check_kind(resource: &Resource, object: &Value) -> Result<(), Status> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let missing = |what: &str| {
        let shown: String = object.to_string().chars().take(200).collect();
        Err(Status::bad_request(format!(
            "Object '{what}' is missing in '{shown}'"
        )))
    };
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
        return missing("Kind");
    };
    let Some(version) = version.filter(|v| !v.is_empty()) else {
        return missing("apiVersion");
    };
    let expected = resource.api_version();
    if version != expected {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version \
             ({expected})"
        )));
    }
    if kind != resource.kind {
        return Err(Status::bad_request(format!(
            "{kind} in version \"{}\" cannot be handled as a {}: converting ({version}.{kind}) to \
             ({expected}.{}): unknown conversion",
            resource.version, resource.kind, resource.kind
        )));
    }
    Ok(())
}

/// Checks that an object has the name and namespace of the path.
pub(super) fn check_place(call: &Call<'_>, object: &Value) -> Result<(), Status> {
    let (name, wanted) = (metadata::name(object), call.target.name());
    if name != wanted && !name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({wanted})"
        )));
    }
    let (namespace, wanted) = (metadata::namespace(object), call.target.namespace());
    if namespace != wanted && !namespace.is_empty() {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// An object in the form in which it is stored.
pub(super) fn stored(call: &Call<'_>, object: Value) -> Value {
    event_view::to_stored(call.target.resource, object)
}
