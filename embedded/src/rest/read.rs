//! Reading: one object, or those that a selector selects.

use std::{borrow::Cow, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{Call, accept::Form, path::Target, reply, watch};
use crate::{
    conversion,
    resource::{Kinds, Resource},
    selector::Selector,
    status::Status,
    store::Object,
    table,
};

/// Answers with one object.
pub(super) fn get(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    if call.query.flag("watch") {
        return watch::answer(call, named(target)?);
    }
    let object = call
        .api
        .object(target.resource, target.namespace(), target.name());
    let object = object.ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    write(call, 200, &object)
}

/// Writes one object in the form that the client wants.
pub(super) fn write(call: &Call<'_>, code: u16, object: &Object) -> Result<Response<Body>, Status> {
    let (kinds, resource) = (call.api.kinds(), call.target.resource);
    let view = conversion::from_stored(&kinds, resource, &object.value);
    match call.form()? {
        Form::Json => Ok(match view {
            Cow::Borrowed(_) => reply::bytes(code, object.json.clone()),
            Cow::Owned(view) => reply::json(code, &view),
        }),
        Form::Yaml => reply::yaml(code, &view),
        Form::Metadata => Ok(reply::json(code, &partial(&view))),
        Form::Table => {
            let include = table::Include::parse(call.query.get("includeObject"));
            let table = table::of(&kinds, resource, &[view.as_ref()], include);
            Ok(reply::json(
                code,
                &table.to_value(&object.version.to_string(), true),
            ))
        }
    }
}

/// Answers with a list, or with the changes of it.
pub(super) fn list(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let selector = selector(call)?;
    if call.query.flag("watch") {
        return watch::answer(call, selector);
    }
    let resource = call.target.resource;
    let (objects, version) =
        call.api
            .select_objects(resource, call.target.namespace.as_deref(), &selector);
    check_version(call, version)?;
    let version = version.to_string();
    let kinds = call.api.kinds();
    let views = || {
        let objects = objects.iter();
        objects.map(|object| conversion::from_stored(&kinds, resource, &object.value))
    };
    match call.form()? {
        Form::Json => Ok(reply::bytes(
            200,
            join(&kinds, resource, &objects, &version),
        )),
        Form::Yaml => reply::yaml(
            200,
            &json!({
                "kind": list_kind(&kinds, resource),
                "apiVersion": resource.api_version(),
                "metadata": { "resourceVersion": version },
                "items": views().map(Cow::into_owned).collect::<Value>(),
            }),
        ),
        Form::Metadata => Ok(reply::json(
            200,
            &json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": { "resourceVersion": version },
                "items": views().map(|view| partial(&view)).collect::<Value>(),
            }),
        )),
        Form::Table => {
            let include = table::Include::parse(call.query.get("includeObject"));
            let views: Vec<Cow<'_, Value>> = views().collect();
            let values: Vec<&Value> = views.iter().map(AsRef::as_ref).collect();
            let table = table::of(&kinds, resource, &values, include);
            Ok(reply::json(200, &table.to_value(&version, true)))
        }
    }
}

/// The selector of a request.
pub(super) fn selector(call: &Call<'_>) -> Result<Selector, Status> {
    let (labels, fields) = (
        call.query.get("labelSelector"),
        call.query.get("fieldSelector"),
    );
    Selector::parse(call.target.resource, labels, fields).map_err(Status::bad_request)
}

fn named(target: &Target) -> Result<Selector, Status> {
    let field = format!("metadata.name={}", target.name());
    Selector::parse(target.resource, None, Some(&field)).map_err(Status::internal)
}

/// Refuses versions of the past and of the future that the client insists on.
fn check_version(call: &Call<'_>, current: u64) -> Result<(), Status> {
    let Some(asked) = call.query.number::<u64>("resourceVersion")? else {
        return Ok(());
    };
    let exact = call.query.get("resourceVersionMatch") == Some("Exact");
    if exact && asked != 0 && asked < current {
        return Err(Status::expired(asked, current));
    }
    if asked > current {
        let text = format!("Too large resource version: {asked}, current: {current}");
        let mut status = Status::new(504, "Timeout", text);
        status.details = Some(Box::new(json!({
            "causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version",
            }],
            "retryAfterSeconds": 1,
        })));
        return Err(status);
    }
    Ok(())
}

/// A list in the bytes that its objects have anyway.
fn join(kinds: &Kinds, resource: &Resource, objects: &[Arc<Object>], version: &str) -> Bytes {
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{version}\"}},\"items\":[",
        list_kind(kinds, resource),
        resource.api_version(),
    );
    let size: usize = objects.iter().map(|object| object.json.len() + 1).sum();
    let mut bytes = Vec::with_capacity(head.len() + size + 2);
    bytes.extend_from_slice(head.as_bytes());
    for (i, object) in objects.iter().enumerate() {
        if i > 0 {
            bytes.push(b',');
        }
        match conversion::from_stored(kinds, resource, &object.value) {
            Cow::Borrowed(_) => bytes.extend_from_slice(&object.json),
            Cow::Owned(view) => bytes.extend_from_slice(view.to_string().as_bytes()),
        }
    }
    bytes.extend_from_slice(b"]}");
    Bytes::from(bytes)
}

/// The kind of a list of objects of a kind.
pub(super) fn list_kind(kinds: &Kinds, resource: &Resource) -> String {
    let named = kinds
        .custom(resource)
        .map(|custom| custom.list_kind.clone());
    named.unwrap_or_else(|| format!("{}List", resource.kind))
}

/// An object's metadata alone.
pub(crate) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}
