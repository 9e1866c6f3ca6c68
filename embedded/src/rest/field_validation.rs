//! What happens to fields that nobody knows: `fieldValidation`.

use serde_json::{Value, json};

use super::Call;
use crate::{
    custom::{self, definition},
    metadata,
    resource::{CUSTOM_RESOURCE_DEFINITIONS, Resource},
    schema::{Mistyped, Schema},
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
        None | Some("Warn") => Mode::Warn,
        Some("Ignore") => Mode::Ignore,
        Some("Strict") => Mode::Strict,
        Some(other) => {
            return Err(Status::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \
                 \"Strict\", \"Warn\""
            )));
        }
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
    if resource.custom {
        check_metadata(&schema, object, old, about)?;
    }
    let unknown: Vec<String> = schema
        .prune(object, old)
        .into_iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    schema.settle(object);
    match mode {
        Mode::Strict if !unknown.is_empty() => {
            let list = unknown.join(", ");
            Err(Status::bad_request(format!(
                "{}: strict decoding error: {list}",
                about()
            )))
        }
        Mode::Warn => Ok([unknown, about_definition(resource, object)].concat()),
        _ => Ok(about_definition(resource, object)),
    }
}

/// Of a custom kind only the metadata has to be of the right types before anything else is looked
/// at.
fn check_metadata(
    schema: &Schema,
    object: &Value,
    old: Option<&Value>,
    about: impl Fn() -> String,
) -> Result<(), Status> {
    let only = json!({ "metadata": object["metadata"] });
    let Some(Mistyped {
        path,
        given,
        wanted,
    }) = schema.mistyped(&only, old)
    else {
        return Ok(());
    };
    // Kubernetes names the field of the metadata and nothing within it.
    let path = path.strip_prefix("metadata.").unwrap_or(&path);
    let field = path.split(['.', '[']).next().unwrap_or(path);
    let given = if matches!(given, "integer" | "number") {
        "number"
    } else {
        given
    };
    Err(Status::bad_request(format!(
        "{}: json: cannot unmarshal {given} into Go struct field ObjectMeta.{field} of type {wanted}",
        about()
    )))
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
