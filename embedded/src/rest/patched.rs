//! What a patched object must still be.

use serde_json::Value;

use super::{Call, body};
use crate::{
    metadata,
    patch::Patch,
    resource::Resource,
    schema::Schema,
    status::{Cause, Status},
};

/// Checks that a patch made no other object of an object.
pub(super) fn check(
    call: &Call<'_>,
    patch: &Patch,
    old: &Value,
    new: &Value,
) -> Result<(), Status> {
    let resource = call.target.resource;
    let text = |field: &str| new[field].as_str().filter(|text| !text.is_empty());
    let own = resource.api_version();
    let (version, kind) = (
        text("apiVersion").unwrap_or(&own),
        text("kind").unwrap_or(resource.kind),
    );
    if version != own || kind != resource.kind {
        let why = format!("no kind {kind:?} is registered for version {version:?} in scheme");
        return Err(invalid(&patch.shown(new), &why));
    }
    check_place(call, new)?;
    check_uid(call, old, new)
}

/// Checks that an object stays the one that it is.
pub(super) fn check_uid(call: &Call<'_>, old: &Value, new: &Value) -> Result<(), Status> {
    let (before, after) = (metadata::uid(old), metadata::uid(new));
    if !after.is_empty() && before != after {
        let cause = Cause {
            field: "metadata.uid".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {after:?}: field is immutable"),
        };
        // Kubernetes checks this twice.
        let causes = [cause.clone(), cause];
        let (resource, name) = (call.target.resource, call.target.name());
        return Err(Status::invalid(resource, name, &causes));
    }
    Ok(())
}

/// Checks that an object names itself, as the path does.
pub(super) fn check_place(call: &Call<'_>, object: &Value) -> Result<(), Status> {
    if metadata::name(object).is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            call.target.name()
        )));
    }
    body::check_place(call, object)
}

/// Checks that the fields of an object can hold what a strategic merge patch put into them.
pub(super) fn check_fit(
    patch: &Patch,
    schema: &Schema,
    old: &Value,
    new: &Value,
) -> Result<(), Status> {
    if !matches!(patch, Patch::Strategic(_)) {
        return Ok(());
    }
    match schema.misfit(new, old) {
        Some(why) => Err(invalid(&patch.shown(new), &why)),
        None => Ok(()),
    }
}

/// Why a patched object can't be read, from why it could not be if it had been sent whole.
pub(super) fn unreadable(resource: &Resource, shown: &str, status: Status) -> Status {
    let about = format!("cannot be handled as a {}: ", resource.kind);
    match status.message.split_once(&about) {
        Some((_, why)) if status.code == 400 => invalid(shown, why),
        _ => status,
    }
}

fn invalid(shown: &str, why: &str) -> Status {
    let message = format!("Invalid value: {shown:?}: {why}");
    let mut status = Status::new(
        422,
        "Invalid",
        format!(" \"\" is invalid: patch: {message}"),
    );
    status.details = Some(Box::new(serde_json::json!({
        "causes": [{ "reason": "FieldValueInvalid", "message": message, "field": "patch" }],
    })));
    status
}
