//! Creating, replacing and patching.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::{Call, body, field_validation, read, reply, write_options};
use crate::{
    api::{Revision, Subresource},
    event_view, metadata,
    patch::{MEDIA_TYPES, Patch},
    resource::NAMESPACES,
    status::Status,
    validate::advice,
};

/// Creates an object.
pub(super) async fn create(call: &Call<'_>) -> Result<Response<Body>, Status> {
    write_options::check(call, "CreateOptions")?;
    let mut object = body::object(call)?;
    let warnings = field_validation::check(call, &mut object, None)?;
    let target = &call.target;
    let namespace = match &target.namespace {
        None if target.resource.namespaced => {
            return Err(Status::method_not_allowed());
        }
        namespace => namespace.as_deref().unwrap_or_default(),
    };
    let dry_run = call.query.dry_run();
    let object = body::stored(call, object);
    let object = call
        .api
        .create_object(target.resource, namespace, object, dry_run)
        .await?;
    let mut response = read::write(call, 201, &object)?;
    reply::warn(&mut response, &warnings);
    reply::warn(&mut response, &advice::of(target.resource, &object.value));
    Ok(response)
}

/// Replaces an object.
pub(super) async fn update(call: &Call<'_>) -> Result<Response<Body>, Status> {
    write_options::check(call, "UpdateOptions")?;
    let mut object = body::object(call)?;
    body::check_place(call, &object)?;
    let warnings = field_validation::check(call, &mut object, None)?;
    let target = &call.target;
    let resource = target.resource;
    if !resource.unconditional_update && metadata::text(&object, "resourceVersion").is_empty() {
        return Err(Status::version_required(resource, target.name()));
    }
    let dry_run = call.query.dry_run();
    let object = body::stored(call, object);
    let finalize = target.subresource.as_deref() == Some("finalize") && resource == &NAMESPACES;
    let object = call
        .api
        .update_object(
            resource,
            target.namespace(),
            target.name(),
            subresource(call),
            dry_run,
            |current| {
                if !finalize {
                    return Ok(Revision::Replace(object.clone()));
                }
                // Only the finalizers of the specification are taken over.
                let mut new = current.clone();
                new["spec"]["finalizers"] = object["spec"]["finalizers"].clone();
                Ok(Revision::Replace(new))
            },
        )
        .await?;
    let mut response = read::write(call, 200, &object)?;
    reply::warn(&mut response, &warnings);
    Ok(response)
}

/// Patches an object; an apply creates it when there is none.
pub(super) async fn patch(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let resource = target.resource;
    let media_type = body::media_type(call.content_type);
    if !resource.custom && !MEDIA_TYPES.contains(&media_type) {
        return Err(Status::unsupported_patch());
    }
    let document = || match media_type {
        "application/apply-patch+yaml" => body::yaml(&call.body),
        _ => serde_json::from_slice(&call.body).map_err(|error| {
            let why = if error.is_eof() {
                "unexpected end of JSON input".to_owned()
            } else {
                error.to_string()
            };
            Status::bad_request(format!("error decoding patch: {why}"))
        }),
    };
    write_options::check(call, "PatchOptions")?;
    let patch = Patch::new(resource, media_type, document)?;
    if let Some(wanted) = patch.creates() {
        check_apply(call, wanted)?;
    }
    let dry_run = call.query.dry_run();
    loop {
        let absent = call
            .api
            .object(resource, target.namespace(), target.name())
            .is_none();
        if let Some(wanted) = patch
            .creates()
            .filter(|_| absent && target.subresource.is_none())
        {
            let mut object = wanted.clone();
            metadata::set(&mut object, "name", target.name());
            let warnings = field_validation::check(call, &mut object, None)?;
            let object = body::stored(call, object);
            match call
                .api
                .create_object(resource, target.namespace(), object, dry_run)
                .await
            {
                // Somebody else was faster: the apply changes what they made.
                Err(status) if status.reason == "AlreadyExists" => continue,
                Err(status) => return Err(status),
                Ok(object) => {
                    let mut response = read::write(call, 201, &object)?;
                    reply::warn(&mut response, &warnings);
                    return Ok(response);
                }
            }
        }
        return change(call, &patch, dry_run).await;
    }
}

async fn change(call: &Call<'_>, patch: &Patch, dry_run: bool) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let resource = target.resource;
    let mut warnings = Vec::new();
    let revise = |current: &Value| {
        let view = event_view::from_stored(resource, current);
        let mut new = patch.apply(&view)?;
        body::check_place(call, &new)?;
        warnings = field_validation::check(call, &mut new, Some(&view))?;
        let new = body::stored(call, new);
        Ok(Revision::Replace(conditional(current, new)))
    };
    let object = call
        .api
        .update_object(
            resource,
            target.namespace(),
            target.name(),
            subresource(call),
            dry_run,
            revise,
        )
        .await?;
    let mut response = read::write(call, 200, &object)?;
    reply::warn(&mut response, &warnings);
    Ok(response)
}

/// A patch that does not name another version than the current one holds for any: it is made
/// again when somebody else was faster.
fn conditional(current: &Value, mut new: Value) -> Value {
    if new["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"] {
        metadata::unset(&mut new, "resourceVersion");
    }
    new
}

fn check_apply(call: &Call<'_>, wanted: &Value) -> Result<(), Status> {
    if call.query.get("fieldManager").is_none() {
        let text = "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is \
                    required for apply patch";
        let mut status = Status::new(422, "Invalid", text);
        status.details = Some(Box::new(json!({
            "group": "meta.k8s.io",
            "kind": "PatchOptions",
            "causes": [{
                "reason": "FieldValueRequired",
                "message": "Required value: is required for apply patch",
                "field": "fieldManager",
            }],
        })));
        return Err(status);
    }
    if !wanted["metadata"]["managedFields"].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let (version, kind) = (wanted["apiVersion"].as_str(), wanted["kind"].as_str());
    let resource = call.target.resource;
    if version != Some(resource.api_version().as_str()) || kind != Some(resource.kind) {
        return Err(Status::bad_request(format!(
            "the apply configuration must be a {} of {}",
            resource.kind,
            resource.api_version()
        )));
    }
    body::check_place(call, wanted)
}

fn subresource(call: &Call<'_>) -> Subresource {
    match call.target.subresource.as_deref() {
        Some("status") => Subresource::Status,
        _ => Subresource::None,
    }
}
