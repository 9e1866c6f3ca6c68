//! Deleting one object, or those that a selector selects.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::{Call, body, read, reply};
use crate::{
    api::{DeleteOptions, Deletion, Propagation},
    conversion, metadata,
    resource::JOBS,
    status::Status,
};

/// Deletes one object.
pub(super) async fn one(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let options = options(call)?;
    let target = &call.target;
    let resource = target.resource;
    let orphans = resource == &JOBS && options.propagation.is_none();
    let deletion = call
        .api
        .delete(resource, target.namespace(), target.name(), options)
        .await?;
    let mut response = match deletion {
        Deletion::Gone(object) if !resource.returns_deleted => {
            let uid = metadata::uid(&object);
            reply::json(200, &Status::deleted(resource, target.name(), uid))
        }
        Deletion::Gone(object) | Deletion::Marked(object) => {
            let view = conversion::from_stored(&call.api.kinds(), resource, &object).into_owned();
            reply::json(200, &view)
        }
    };
    if orphans {
        reply::warn(
            &mut response,
            &[
                "child pods are preserved by default when jobs are deleted; set \
               propagationPolicy=Background to remove them or set propagationPolicy=Orphan to \
               suppress this warning"
                    .to_owned(),
            ],
        );
    }
    Ok(response)
}

/// Deletes the objects that a selector selects.
pub(super) async fn many(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let resource = target.resource;
    if resource.namespaced && target.namespace.is_none() {
        return Err(Status::method_not_allowed());
    }
    let options = options(call)?;
    let selector = read::selector(call)?;
    let (objects, version) =
        call.api
            .select_objects(resource, target.namespace.as_deref(), &selector);
    let kinds = call.api.kinds();
    let mut items = Vec::new();
    for object in objects {
        let key = &object.key;
        match call
            .api
            .delete(resource, &key.namespace, &key.name, options.clone())
            .await
        {
            Ok(Deletion::Gone(object) | Deletion::Marked(object)) => {
                items.push(conversion::from_stored(&kinds, resource, &object).into_owned());
            }
            Err(status) if status.reason == "NotFound" => {}
            Err(status) => return Err(status),
        }
    }
    Ok(reply::json(
        200,
        &json!({
            "kind": read::list_kind(&kinds, resource),
            "apiVersion": resource.api_version(),
            "metadata": { "resourceVersion": version.to_string() },
            "items": items,
        }),
    ))
}

/// The options of a deletion, from the body or from parameters.
fn options(call: &Call<'_>) -> Result<DeleteOptions, Status> {
    let sent = if call.body.is_empty() {
        Value::Null
    } else {
        body::decode(body::media_type(call.content_type), &call.body)?
    };
    read_options(call, &sent)
}

/// The options of a deletion, as they were sent, with those from parameters.
pub(super) fn read_options(call: &Call<'_>, sent: &Value) -> Result<DeleteOptions, Status> {
    let policy = sent["propagationPolicy"]
        .as_str()
        .or(call.query.get("propagationPolicy"));
    let orphan = match call.query.get("orphanDependents") {
        Some(text) => Some(text == "true"),
        None => sent["orphanDependents"].as_bool(),
    };
    let propagation = match (policy, orphan) {
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (None, None) => None,
        (Some(other), _) => {
            return Err(Status::bad_request(format!(
                "propagationPolicy: Unsupported value: {other:?}: supported values: \"Background\", \
                 \"Foreground\", \"Orphan\""
            )));
        }
    };
    let grace = match sent["gracePeriodSeconds"].as_i64() {
        None => call.query.number("gracePeriodSeconds")?,
        seconds => seconds,
    };
    let text = |pointer: &str| {
        sent.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let dry_run = sent["dryRun"]
        .as_array()
        .is_some_and(|list| list.iter().any(|d| d == "All"));
    Ok(DeleteOptions {
        grace_period_seconds: grace,
        propagation,
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
        dry_run: dry_run || call.query.dry_run()?,
    })
}
