//! What happens to fields that nobody knows: `fieldValidation`.

use serde_json::Value;

use super::Call;
use crate::{schema::Mistyped, status::Status};

/// What is done about unknown fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// They are dropped silently.
    Ignore,
    /// They are dropped, and the client is told.
    Warn,
    /// The request is refused.
    Strict,
}

/// Drops unknown fields from an object and returns a warning for each; or refuses the request,
/// if the client wants it so or values have wrong types. `old` is the object as it was.
pub(super) fn check(
    call: &Call<'_>,
    object: &mut Value,
    old: Option<&Value>,
) -> Result<Vec<String>, Status> {
    let resource = call.target.resource;
    let mode = match call.query.get("fieldValidation") {
        Some("Ignore") => Mode::Ignore,
        Some("Strict") => Mode::Strict,
        _ => Mode::Warn,
    };
    let Some(schema) = call.api.schemas().of(resource) else {
        return Ok(Vec::new());
    };
    let about = || {
        format!(
            "{} in version \"{}\" cannot be handled as a {}",
            resource.kind, resource.version, resource.kind
        )
    };
    if !resource.custom
        && let Some(Mistyped {
            path,
            given,
            wanted,
        }) = schema.mistyped(object, old)
    {
        return Err(Status::bad_request(format!(
            "{}: json: cannot unmarshal {given} into Go struct field {}.{path} of type {wanted}",
            about(),
            resource.kind
        )));
    }
    let unknown: Vec<String> = schema
        .prune(object, old)
        .into_iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    match mode {
        Mode::Strict if !unknown.is_empty() => {
            let list = unknown.join(", ");
            Err(Status::bad_request(format!(
                "{}: strict decoding error: {list}",
                about()
            )))
        }
        Mode::Warn => Ok(unknown),
        _ => Ok(Vec::new()),
    }
}
