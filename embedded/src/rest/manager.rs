//! Who owns the fields that a request writes: `fieldManager`, or else the program.

use diwan_api::FieldError;

use super::{Call, write_options};
use crate::{ownership::Writer, status::Status, validate::cause};

/// The writer that a request names, whose parameters were checked.
pub(super) fn of(call: &Call<'_>) -> Writer {
    let subresource = match call.target.subresource.as_deref() {
        Some("status") => "status",
        Some("finalize") => "finalize",
        Some("scale") => "scale",
        _ => "",
    };
    Writer::named(call.query.get("fieldManager"), call.user_agent).of(subresource)
}

/// The writer of a patch, which names it itself if it applies; and whether it takes over what
/// others own.
pub(super) fn of_patch(call: &Call<'_>, applies: bool) -> Result<(Writer, bool), Status> {
    if applies && call.query.get("fieldManager").is_none() {
        let missing = FieldError::required("fieldManager", "is required for apply patch");
        write_options::refuse("PatchOptions", &[cause(missing)])?;
    }
    // As kube-apiserver reads switches.
    let force = call.query.get("force");
    let force = force.is_some_and(|force| !matches!(force, "false" | "0"));
    let writer = of(call);
    Ok((Writer { applies, ..writer }, force))
}
