//! What happens to fields that nobody knows: `fieldValidation`.

use serde_json::Value;

use super::{Call, duplicate};
use crate::{
    custom::{self, definition},
    metadata,
    resource::{CUSTOM_RESOURCE_DEFINITIONS, Resource},
    status::Status,
};

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
    let Some(schema) = call.api.kinds().schema(resource) else {
        return Ok(Vec::new());
    };
    let about = || {
        format!(
            "{} in version \"{}\" cannot be handled as a {}",
            resource.kind, resource.version, resource.kind
        )
    };
    let mistyped = if resource.custom {
        schema.mistyped_metadata(object, old)
    } else {
        schema.mistyped(object, old)
    };
    if let Some(mistyped) = mistyped {
        return Err(Status::bad_request(format!("{}: {mistyped}", about())));
    }
    let mut unknown = schema.prune(object, old);
    schema.settle(object);
    if resource.custom {
        // Kubernetes looks at the metadata of such kinds first.
        unknown.sort_by_key(|path| !path.starts_with("metadata."));
    }
    let mut wrong = Vec::new();
    if mode != Mode::Ignore && old.is_none() {
        wrong.extend(duplicates(call, mode));
    }
    let unknown = unknown.into_iter();
    wrong.extend(unknown.map(|path| format!("unknown field \"{path}\"")));
    match mode {
        Mode::Strict if wrong.is_empty() => Ok(about_definition(resource, object)),
        Mode::Strict => {
            let list = format!("strict decoding error: {}", wrong.join(", "));
            Err(Status::bad_request(format!("{}: {list}", about())))
        }
        Mode::Warn => Ok([wrong, about_definition(resource, object)].concat()),
        Mode::Ignore => Ok(about_definition(resource, object)),
    }
}

/// The fields that a body gives twice, as the reader of its form names them.
fn duplicates(call: &Call<'_>, mode: Mode) -> Vec<String> {
    if !call.content_type.contains("yaml") {
        let paths = duplicate::of(&call.body).into_iter();
        return paths
            .map(|path| format!("duplicate field \"{path}\""))
            .collect();
    }
    let heading = match mode {
        Mode::Strict => "yaml: unmarshal errors:\n  ",
        _ => "",
    };
    let found = duplicate::in_yaml(&call.body).into_iter();
    found
        .map(|(line, key)| format!("{heading}line {line}: key \"{key}\" already set in map"))
        .collect()
}

/// What the writer of a definition is told.
fn about_definition(resource: &Resource, object: &Value) -> Vec<String> {
    if resource != &CUSTOM_RESOURCE_DEFINITIONS {
        return Vec::new();
    }
    let mut warnings = definition::warnings(object);
    let name = metadata::name(object);
    let mut wanted = object.clone();
    definition::default(&mut wanted);
    if custom::own_specification(name).is_some_and(|own| own != wanted["spec"]) {
        warnings.push(format!(
            "{name} is served as this Diwan defines it: the specification stays as it is"
        ));
    }
    warnings
}
