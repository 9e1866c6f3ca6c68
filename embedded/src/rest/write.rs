//! Creating, replacing and patching.

use axum::body::Body;
use http::Response;
use jiff::Timestamp;
use serde_json::Value;

use super::{Call, body, field_validation, manager, patched, read, reply, write_options};
use crate::{
    access,
    api::Revision,
    event_view, metadata,
    ownership::{self, Writer},
    patch::{Form, Patch},
    resource::NAMESPACES,
    schema::Schema,
    status::Status,
    store::Object,
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
    let writer = manager::of(call);
    let object = body::stored(call, object);
    access::check_escalation(
        call.api,
        call.user,
        target.resource,
        namespace,
        &object,
        None,
    )?;
    let object = call
        .api
        .create_object(target.resource, namespace, object, &writer, dry_run)
        .await?;
    let mut response = read::write(call, 201, &object)?;
    reply::warn(&mut response, &warnings);
    let written = object.value();
    reply::warn(&mut response, &advice::of(target.resource, &written));
    let odd = call.api.advice(target.resource, &written);
    reply::warn(&mut response, &odd);
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
    let writer = manager::of(call);
    let finalize = target.subresource.as_deref() == Some("finalize") && resource == &NAMESPACES;
    let object = call
        .api
        .update_object(
            resource,
            target.namespace(),
            target.name(),
            &writer,
            dry_run,
            |current| {
                if !finalize {
                    check_escalation(call, &object, current)?;
                    return Ok(Revision::Replace(object.clone()));
                }
                // Only the finalizers of the specification are taken over.
                let mut new = current.clone();
                new["spec"]["finalizers"] = object["spec"]["finalizers"].clone();
                Ok(Revision::Replace(new))
            },
        )
        .await?;
    changed(call, &object, &warnings)
}

/// The answer to a change.
fn changed(
    call: &Call<'_>,
    object: &Object,
    warnings: &[String],
) -> Result<Response<Body>, Status> {
    let mut response = read::write(call, 200, object)?;
    reply::warn(&mut response, warnings);
    let advice = advice::of_changed(call.target.resource, object);
    reply::warn(&mut response, &advice);
    Ok(response)
}

/// Patches an object; an apply creates it when there is none.
pub(super) async fn patch(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let resource = target.resource;
    let media_type = body::media_type(call.content_type);
    write_options::check(call, "PatchOptions")?;
    let form = Form::of(resource, media_type)?;
    let (writer, force) = manager::of_patch(call, form == Form::Apply)?;
    let dry_run = call.query.dry_run();
    let known = || call.api.object(resource, target.namespace(), target.name());
    if form != Form::Apply && known().is_none() {
        return Err(Status::not_found(resource, target.name()));
    }
    let patch = Patch::read(form, &call.body)?;
    let Some(wanted) = patch.wanted() else {
        return change(call, &patch, &writer, dry_run).await;
    };
    check_apply(call, wanted)?;
    let apply = Apply {
        schema: call
            .api
            .kinds()
            .schema(resource)
            .ok_or_else(Status::method_not_allowed)?,
        wanted,
        writer: &writer,
        force,
    };
    loop {
        if known().is_some() || target.subresource.is_some() {
            return change(call, &apply, &writer, dry_run).await;
        }
        let mut object = apply.to(call, None)?;
        metadata::unset(&mut object, "resourceVersion");
        let object = body::stored(call, object);
        let namespace = target.namespace();
        access::require(
            call.api,
            call.user,
            "create",
            resource,
            namespace,
            target.name(),
        )?;
        access::check_escalation(call.api, call.user, resource, namespace, &object, None)?;
        let created = call
            .api
            .create_object(resource, target.namespace(), object, &writer, dry_run)
            .await;
        match created {
            // Somebody else was faster: the apply changes what they made.
            Err(status) if status.reason == "AlreadyExists" => {}
            Err(status) => return Err(status),
            Ok(object) => return read::write(call, 201, &object),
        }
    }
}

/// What makes an object of the current one.
trait Change: Sync {
    /// The new object, and what the client is to be warned of.
    fn make(&self, call: &Call<'_>, current: &Value) -> Result<(Value, Vec<String>), Status>;
}

impl Change for Patch {
    fn make(&self, call: &Call<'_>, current: &Value) -> Result<(Value, Vec<String>), Status> {
        let schema = call.api.kinds().schema(call.target.resource);
        let mut new = self.apply(current, schema.as_ref())?;
        if let Some(schema) = &schema {
            patched::check_fit(self, schema, current, &new)?;
        }
        patched::check(call, self, current, &new)?;
        let shown = self.shown(&new);
        let warnings = field_validation::check(call, &mut new, Some(current))
            .map_err(|status| patched::unreadable(call.target.resource, &shown, status))?;
        Ok((new, warnings))
    }
}

/// An apply: what a manager wants to be so.
struct Apply<'a> {
    schema: Schema,
    wanted: &'a Value,
    writer: &'a Writer,
    force: bool,
}

impl Apply<'_> {
    fn to(&self, call: &Call<'_>, current: Option<&Value>) -> Result<Value, Status> {
        let resource = call.target.resource;
        let (writer, now) = (self.writer, Timestamp::now());
        ownership::apply(
            &self.schema,
            resource,
            current,
            self.wanted,
            writer,
            self.force,
            now,
        )
    }
}

impl Change for Apply<'_> {
    fn make(&self, call: &Call<'_>, current: &Value) -> Result<(Value, Vec<String>), Status> {
        let new = self.to(call, Some(current))?;
        patched::check_uid(call, current, &new)?;
        Ok((new, Vec::new()))
    }
}

async fn change(
    call: &Call<'_>,
    change: &impl Change,
    writer: &Writer,
    dry_run: bool,
) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let resource = target.resource;
    let mut warnings = Vec::new();
    let revise = |current: &Value| {
        let view = event_view::from_stored(resource, current);
        let (new, found) = change.make(call, &view)?;
        warnings = found;
        let new = body::stored(call, new);
        check_escalation(call, &new, current)?;
        Ok(Revision::Replace(conditional(current, new)))
    };
    let object = call
        .api
        .update_object(
            resource,
            target.namespace(),
            target.name(),
            writer,
            dry_run,
            revise,
        )
        .await?;
    changed(call, &object, &warnings)
}

fn check_escalation(call: &Call<'_>, new: &Value, old: &Value) -> Result<(), Status> {
    let (resource, namespace) = (call.target.resource, call.target.namespace());
    access::check_escalation(call.api, call.user, resource, namespace, new, Some(old))
}

/// A patch that does not name another version than the current one holds for any: it is made
/// again when somebody else was faster.
fn conditional(current: &Value, mut new: Value) -> Value {
    if new["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"] {
        metadata::unset(&mut new, "resourceVersion");
    }
    new
}

/// What an apply must say whatever the object is.
fn check_apply(call: &Call<'_>, wanted: &Value) -> Result<(), Status> {
    let text = |field: &str| wanted[field].as_str().unwrap_or_default();
    let resource = call.target.resource;
    let (version, kind) = (text("apiVersion"), text("kind"));
    if version != resource.api_version() || kind != resource.kind {
        let version = match version {
            "" => "/".to_owned(),
            version if version.contains('/') => version.to_owned(),
            core => format!("/{core}"),
        };
        return Err(Status::bad_request(format!(
            "invalid object type: {version}, Kind={kind}"
        )));
    }
    if !wanted["metadata"]["managedFields"].is_null() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let (name, uid) = (call.target.name(), metadata::uid(wanted));
    let known = call.api.object(resource, call.target.namespace(), name);
    if known.is_some() || call.target.subresource.is_some() {
        // The object that is there has its name.
        return body::check_place(call, wanted);
    }
    patched::check_place(call, wanted)?;
    if !uid.is_empty() {
        let why = format!(
            "uid mismatch: the provided object specified uid {uid}, and no existing object was \
             found"
        );
        return Err(Status::conflict_because(resource, name, &why));
    }
    Ok(())
}
