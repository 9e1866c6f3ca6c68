//! Reading: one object, or those that a selector selects.

use std::{borrow::Cow, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::{
    Call,
    accept::Form,
    list_options::{self, ListMeta, Part},
    reply, watch,
};
use crate::{
    conversion, event_view,
    resource::{Kinds, Resource},
    selector::Selector,
    status::Status,
    store::{Object, State},
    table,
};

/// Answers with one object.
pub(super) fn get(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    call.form()?;
    if let Some(asked) = call.query.get("resourceVersion") {
        let asked = list_options::version(asked)?;
        let current = call.api.store().read(State::version);
        if asked > current {
            return Err(Status::too_new(asked, current));
        }
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
    let form = call.form()?;
    if form == Form::Json {
        return Ok(reply::bytes(
            code,
            conversion::json(&kinds, resource, object),
        ));
    }
    let stored = object.value();
    let view = conversion::from_stored(&kinds, resource, &stored);
    match form {
        Form::Json | Form::Yaml => reply::yaml(code, &view),
        Form::Metadata => Ok(reply::json(code, &partial(&view))),
        Form::Table => {
            let include = table::Include::parse(call.query.get("includeObject"));
            let table = table::of(&kinds, resource, &[view.as_ref()], include);
            Ok(reply::json(
                code,
                &table.to_value(
                    json!({ "resourceVersion": object.version.to_string() }),
                    true,
                ),
            ))
        }
    }
}

/// Answers with a list, or with the changes of it.
pub(super) fn list(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let form = call.form()?;
    if call.query.flag("watch") {
        return watch::answer(call);
    }
    let part = Part::parse(&call.query)?;
    let resource = call.target.resource;
    let (objects, meta) = select(call, &part)?;
    let whole = matches!(form, Form::Json | Form::Yaml);
    let meta = meta.to_value(resource.custom && whole);
    let kinds = call.api.kinds();
    match form {
        Form::Json if !event_view::is_view(resource) => {
            Ok(reply::bytes(200, join(&kinds, resource, &objects, &meta)))
        }
        Form::Json | Form::Yaml => {
            let items = objects.iter();
            let items = items.map(|object| item(&kinds, resource, &object.value()));
            let list = json!({
                "kind": list_kind(&kinds, resource),
                "apiVersion": resource.api_version(),
                "metadata": meta,
                "items": items.collect::<Value>(),
            });
            if form == Form::Yaml {
                reply::yaml(200, &list)
            } else {
                Ok(reply::json(200, &list))
            }
        }
        Form::Metadata => Ok(reply::json(
            200,
            &json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": meta,
                "items": objects
                    .iter()
                    .map(|object| {
                        partial(&conversion::from_stored(&kinds, resource, &object.value()))
                    })
                    .collect::<Value>(),
            }),
        )),
        Form::Table => {
            let include = table::Include::parse(call.query.get("includeObject"));
            let stored: Vec<Arc<Value>> = objects.iter().map(|object| object.value()).collect();
            let views: Vec<Cow<'_, Value>> = stored
                .iter()
                .map(|stored| conversion::from_stored(&kinds, resource, stored))
                .collect();
            let values: Vec<&Value> = views.iter().map(AsRef::as_ref).collect();
            let table = table::of(&kinds, resource, &values, include);
            Ok(reply::json(200, &table.to_value(meta, true)))
        }
    }
}

/// The objects that a request asks for.
fn select(call: &Call<'_>, part: &Part) -> Result<(Vec<Arc<Object>>, ListMeta), Status> {
    let (resource, namespace) = (call.target.resource, call.target.namespace.as_deref());
    let selector = selector(call)?;
    let (mut objects, mut version) = call.api.select_objects(resource, namespace, &selector);
    part.check(version)?;
    if let Some(at) = part.at.filter(|at| *at < version) {
        let past = call.api.select_at(resource, namespace, &selector, at);
        objects = past.ok_or_else(|| part.expired())?;
        version = at;
    }
    if namespace.is_none() && resource.namespaced {
        list_options::sort(&mut objects);
    }
    Ok(part.take(objects, namespace.is_some(), version, selector.is_empty()))
}

/// An object in a list, which tells the kind of those that are built in.
pub(super) fn item(kinds: &Kinds, resource: &Resource, object: &Value) -> Value {
    let mut item = conversion::from_stored(kinds, resource, object).into_owned();
    if let Some(fields) = item.as_object_mut().filter(|_| !resource.custom) {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    item
}

/// The selector of a request.
pub(super) fn selector(call: &Call<'_>) -> Result<Selector, Status> {
    let (labels, fields) = (
        call.query.get("labelSelector"),
        call.query.get("fieldSelector"),
    );
    Selector::parse(call.target.resource, labels, fields).map_err(Status::bad_request)
}

/// A list in the bytes that its objects have anyway.
fn join(kinds: &Kinds, resource: &Resource, objects: &[Arc<Object>], meta: &Value) -> Bytes {
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{meta},\"items\":[",
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
        if !resource.custom {
            // The list tells the kind.
            bytes.push(b'{');
            bytes.extend_from_slice(&object.kindless());
            continue;
        }
        bytes.extend_from_slice(&conversion::json(kinds, resource, object));
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
