//! Who owns the fields that a request writes: `fieldManager`, or else the program.

use serde_json::json;

use super::Call;
use crate::{
    ownership::{MANAGER_MAX, Writer},
    status::Status,
};

/// The writer that a request names. `options` is the kind of the request's options.
pub(super) fn of(call: &Call<'_>, options: &str) -> Result<Writer, Status> {
    let manager = call.query.get("fieldManager");
    if let Some((reason, message)) = manager.and_then(wrong) {
        return Err(invalid(options, "fieldManager", reason, &message));
    }
    let subresource = match call.target.subresource.as_deref() {
        Some("status") => "status",
        Some("finalize") => "finalize",
        Some("scale") => "scale",
        _ => "",
    };
    Ok(Writer::named(manager, call.user_agent).of(subresource))
}

/// The writer of a patch, which names it itself if it applies; and whether it takes over what
/// others own.
pub(super) fn of_patch(call: &Call<'_>, applies: bool) -> Result<(Writer, bool), Status> {
    const OPTIONS: &str = "PatchOptions";
    let force = call.query.get("force");
    if !applies && force.is_some() {
        let message = "Forbidden: may not be specified for non-apply patch";
        return Err(invalid(OPTIONS, "force", "FieldValueForbidden", message));
    }
    if applies && call.query.get("fieldManager").is_none() {
        let message = "Required value: is required for apply patch";
        return Err(invalid(
            OPTIONS,
            "fieldManager",
            "FieldValueRequired",
            message,
        ));
    }
    let writer = of(call, OPTIONS)?;
    // As kube-apiserver reads switches.
    let force = force.is_some_and(|force| !matches!(force, "false" | "0"));
    Ok((Writer { applies, ..writer }, force))
}

fn wrong(manager: &str) -> Option<(&'static str, String)> {
    if manager.len() > MANAGER_MAX {
        let message = format!("Too long: may not be more than {MANAGER_MAX} bytes");
        return Some(("FieldValueTooLong", message));
    }
    let (place, letter) = manager.chars().enumerate().find(|(_, c)| c.is_control())?;
    let message = format!(
        "Invalid value: {manager:?}: invalid character U+{:04X} (at position {place})",
        u32::from(letter)
    );
    Some(("FieldValueInvalid", message))
}

/// Options of a request that break rules.
fn invalid(options: &str, field: &str, reason: &str, message: &str) -> Status {
    let text = format!("{options}.meta.k8s.io \"\" is invalid: {field}: {message}");
    let mut status = Status::new(422, "Invalid", text);
    status.details = Some(Box::new(json!({
        "group": "meta.k8s.io",
        "kind": options,
        "causes": [{ "reason": reason, "message": message, "field": field }],
    })));
    status
}
