//! Bodies of requests.

use diwan_api::FieldError;
use serde_json::{Value, json};

use super::{Call, protobuf};
use crate::{
    event_view, metadata,
    resource::{Kinds, Resource},
    status::Status,
    validate::cause,
};

/// The object in a request.
pub(super) fn object(call: &Call<'_>) -> Result<Value, Status> {
    let resource = call.target.resource;
    let object = decode(media_type(call.content_type), &call.body)
        .map_err(|status| unrecognized(resource, &status, &call.body))?;
    if resource.custom {
        check_custom_kind(resource, &object)
            .map_err(|status| unrecognized(resource, &status, &call.body))?;
        return Ok(object);
    }
    builtin(&call.api.kinds(), resource, object, &call.body)
}

/// The media type of a request, without parameters.
pub(super) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Reads a body in JSON, YAML or the binary form of Kubernetes.
pub(super) fn decode(media_type: &str, body: &[u8]) -> Result<Value, Status> {
    match media_type {
        "" | "application/json" => serde_json::from_slice(body).map_err(|error| {
            let why = if error.is_eof() {
                "unexpected end of JSON input".to_owned()
            } else {
                error.to_string()
            };
            Status::bad_request(format!(
                "couldn't get version/kind; json parse error: {why}"
            ))
        }),
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
    let options = serde_saphyr::options! {
        // As in JSON; who wants to know of it says so.
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        // The first line says what, after where; the others show it.
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let what = first.splitn(3, ": ").last().unwrap_or(first);
        Status::bad_request(format!("yaml: {what}"))
    })
}

/// An object of a built-in kind, which may leave out what the path says.
fn builtin(
    kinds: &Kinds,
    resource: &Resource,
    object: Value,
    body: &[u8],
) -> Result<Value, Status> {
    let mut object = match object {
        Value::Null => json!({}),
        object => object,
    };
    let type_ = match &object {
        Value::Object(_) => None,
        Value::Array(_) => Some("array"),
        Value::String(_) => Some("string"),
        Value::Bool(_) => Some("bool"),
        _ => Some("number"),
    };
    let Some(fields) = object.as_object_mut() else {
        let text = format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value \
             of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind \
             string \"json:\\\"kind,omitempty\\\"\" }}",
            type_.unwrap_or_default()
        );
        return Err(unrecognized(resource, &Status::bad_request(text), body));
    };
    let own = [
        ("apiVersion", resource.api_version()),
        ("kind", resource.kind.to_owned()),
    ];
    for (field, value) in own {
        if fields
            .get(field)
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            fields.insert(field.to_owned(), json!(value));
        }
    }
    check_builtin_kind(kinds, resource, &object)?;
    Ok(object)
}

fn check_builtin_kind(kinds: &Kinds, resource: &Resource, object: &Value) -> Result<(), Status> {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if kind == resource.kind && api_version == resource.api_version() {
        return Ok(());
    }
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let why = if kinds.find_kind(api_version, kind).is_some() {
        let package = match resource.group.split('.').next() {
            Some("") | None => "core",
            Some(package) => package,
        };
        format!(
            "converting ({version}.{kind}) to ({package}.{}): unknown conversion",
            resource.kind
        )
    } else {
        not_registered(api_version, kind)
    };
    Err(Status::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}: {why}",
        resource.kind
    )))
}

/// A kind that nobody knows.
pub(super) fn not_registered(api_version: &str, kind: &str) -> String {
    format!(
        "no kind {kind:?} is registered for version {api_version:?} in scheme \
         \"pkg/runtime/scheme.go:111\""
    )
}

/// An object of a custom kind says which it is, and it is the kind of the path.
fn check_custom_kind(resource: &Resource, object: &Value) -> Result<(), Status> {
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
        let error = FieldError::invalid("kind", kind, format!("must be {}", resource.kind));
        let name = metadata::name(object);
        return Err(Status::invalid_as(resource, kind, name, &[cause(error)]));
    }
    Ok(())
}

/// A body that is no object: its error, and what it is.
fn unrecognized(resource: &Resource, status: &Status, body: &[u8]) -> Status {
    const SHOWN: usize = 30;
    let is_unread = ["couldn't get version/kind", "Object '", "yaml: "]
        .iter()
        .any(|start| status.message.starts_with(start));
    if !is_unread {
        return status.clone();
    }
    let shown = &body[..body.len().min(SHOWN)];
    let mut summary = match shown.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(shown).into_owned(),
        Some(_) => hex(shown),
    };
    if body.len() > SHOWN {
        summary.push_str(" ...");
    }
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {} ({summary})",
        resource.kind, status.message
    ))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(digits).collect()
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
