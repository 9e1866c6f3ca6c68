//! Deleting one object, or those that a selector selects.

use axum::body::Body;
use diwan_api::FieldError;
use http::Response;
use serde_json::{Value, json};

use super::{Call, accept::Form, body, read, reply, write_options};
use crate::{
    api::{DeleteOptions, Deletion, Propagation},
    conversion, metadata,
    resource::{JOBS, NAMESPACES},
    status::Status,
    validate::cause,
};

/// What who deletes a Job is told, unless told what is to become of its pods.
const ORPHANS: &str = "child pods are preserved by default when jobs are deleted; set \
    propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this \
    warning";

/// Deletes one object.
pub(super) async fn one(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let options = options(call)?;
    let target = &call.target;
    let resource = target.resource;
    let orphans = resource == &JOBS && options.propagation.is_none();
    let deletion = call
        .api
        .delete(resource, target.namespace(), target.name(), options)
        .await;
    let deletion = match deletion {
        Err(status) if orphans => return Err(status.warned(ORPHANS)),
        deletion => deletion?,
    };
    let mut response = match deletion {
        Deletion::Gone(object) if !resource.returns_deleted => {
            let uid = metadata::uid(&object);
            answer(call, &Status::deleted(resource, target.name(), uid))?
        }
        Deletion::Gone(object) | Deletion::Marked(object) => {
            let view = conversion::from_stored(&call.api.kinds(), resource, &object).into_owned();
            answer(call, &view)?
        }
    };
    if orphans {
        reply::warn(&mut response, &[ORPHANS.to_owned()]);
    }
    Ok(response)
}

/// Writes what came of a deletion.
fn answer(call: &Call<'_>, value: &Value) -> Result<Response<Body>, Status> {
    match call.form()? {
        Form::Yaml => reply::yaml(200, value),
        _ => Ok(reply::json(200, value)),
    }
}

/// Deletes the objects that a selector selects.
pub(super) async fn many(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let resource = target.resource;
    if resource == &NAMESPACES || resource.namespaced && target.namespace.is_none() {
        return Err(Status::method_not_allowed());
    }
    let options = options(call)?;
    let selector = read::selector(call)?;
    let (objects, version) =
        call.api
            .select_objects(resource, target.namespace.as_deref(), &selector);
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if resource.custom {
        metadata["continue"] = json!("");
    }
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
                items.push(read::item(&kinds, resource, &object));
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
            "metadata": metadata,
            "items": items,
        }),
    ))
}

/// The options of a deletion, from the body or from parameters.
fn options(call: &Call<'_>) -> Result<DeleteOptions, Status> {
    call.form()?;
    let sent = if call.body.is_empty() {
        Value::Null
    } else {
        let sent = body::decode(body::media_type(call.content_type), &call.body)?;
        check_kind(&sent)?;
        sent
    };
    read_options(call, &sent)
}

/// The options of a deletion, as they were sent, with those from parameters.
pub(super) fn read_options(call: &Call<'_>, sent: &Value) -> Result<DeleteOptions, Status> {
    let query = &call.query;
    let policy = sent["propagationPolicy"]
        .as_str()
        .or(query.get("propagationPolicy"));
    let orphan = match query.get("orphanDependents") {
        Some(text) => Some(text == "true"),
        None => sent["orphanDependents"].as_bool(),
    };
    let mut dry_run: Vec<&str> = query.all("dryRun").collect();
    let sent_dry_run = sent["dryRun"].as_array().into_iter().flatten();
    dry_run.extend(sent_dry_run.filter_map(Value::as_str));
    check(policy, orphan, &dry_run)?;
    let propagation = match (policy, orphan) {
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some(_), _) | (None, Some(false)) => Some(Propagation::Background),
        (None, None) => None,
    };
    let grace = match sent["gracePeriodSeconds"].as_i64() {
        None => query.number("gracePeriodSeconds")?,
        seconds => seconds,
    };
    let text = |pointer: &str| {
        sent.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    Ok(DeleteOptions {
        grace_period_seconds: grace,
        propagation,
        uid: text("/preconditions/uid"),
        resource_version: text("/preconditions/resourceVersion"),
        dry_run: !dry_run.is_empty(),
    })
}

/// A body that says what it is must say that it is options.
fn check_kind(sent: &Value) -> Result<(), Status> {
    let text = |field: &str| sent[field].as_str().unwrap_or_default();
    match text("kind") {
        "" | "DeleteOptions" => Ok(()),
        kind => Err(Status::bad_request(body::not_registered(
            text("apiVersion"),
            kind,
        ))),
    }
}

fn check(policy: Option<&str>, orphan: Option<bool>, dry_run: &[&str]) -> Result<(), Status> {
    let field = "propagationPolicy";
    let known = ["Foreground", "Background", "Orphan", "nil"];
    let mut causes = Vec::new();
    if let (Some(policy), Some(_)) = (policy, orphan) {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        causes.push(cause(FieldError::invalid(field, policy, why)));
    }
    if let Some(other) = policy.filter(|policy| !known[..3].contains(policy)) {
        causes.push(cause(FieldError::not_supported(field, other, &known)));
    }
    causes.extend(write_options::dry_run(dry_run));
    write_options::refuse("DeleteOptions", &causes)
}
