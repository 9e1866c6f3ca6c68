//! Patches: what a PATCH request makes of an object.

mod json;
mod strategic;

use serde_json::{Map, Value};

use crate::{go, resource::Resource, rest::body, schema::Schema, status::Status};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// The media types of patches.
pub(crate) const MEDIA_TYPES: [&str; 4] = [JSON, MERGE, STRATEGIC, APPLY];

/// A patch in one of the forms that Kubernetes knows.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    /// `application/json-patch+json` (RFC 6902).
    Json(json::Operations),
    /// `application/merge-patch+json` (RFC 7386).
    Merge(Value),
    /// `application/strategic-merge-patch+json`: a merge that knows the keys of lists.
    Strategic(Value),
    /// `application/apply-patch+yaml`: what a manager wants to be so.
    Apply(Value),
}

/// The form of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Form {
    /// The form that a media type stands for. Custom kinds have no strategic merge patches.
    pub(crate) fn of(resource: &Resource, media_type: &str) -> Result<Self, Status> {
        match media_type {
            JSON => Ok(Self::Json),
            MERGE => Ok(Self::Merge),
            STRATEGIC if !resource.custom => Ok(Self::Strategic),
            APPLY => Ok(Self::Apply),
            _ if resource.custom => Err(Status::unsupported_media_type(
                &[JSON, MERGE, APPLY].join(", "),
            )),
            _ => {
                let text = "415: Unsupported Media Type";
                let mut status = Status::new(415, "UnsupportedMediaType", text);
                status.details = Some(Box::new(serde_json::json!({})));
                Err(status)
            }
        }
    }
}

impl Patch {
    /// Reads the patch of a request.
    pub(crate) fn read(form: Form, bytes: &[u8]) -> Result<Self, Status> {
        match form {
            Form::Json => json::Operations::read(bytes).map(Self::Json),
            Form::Merge => object("error decoding patch: ", bytes).map(Self::Merge),
            Form::Strategic if bytes == b"null" => Ok(Self::Strategic(Value::Object(Map::new()))),
            Form::Strategic => object("", bytes).map(Self::Strategic),
            Form::Apply => configuration(bytes).map(Self::Apply),
        }
    }

    /// The patch, or what it made of an object, as an error names it.
    pub(crate) fn shown(&self, object: &Value) -> String {
        match self {
            Self::Strategic(patch) => go::plain(patch),
            _ => object.to_string(),
        }
    }

    /// What the patch makes of an object. An apply makes it by itself: see [`Patch::wanted`].
    pub(crate) fn apply(&self, object: &Value, schema: Option<&Schema>) -> Result<Value, Status> {
        let mut object = object.clone();
        match self {
            Self::Json(operations) => operations.apply(&mut object)?,
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
            Self::Strategic(patch) => {
                strategic::merge(schema.map(Schema::place), &mut object, patch)?;
            }
            Self::Apply(_) => {}
        }
        Ok(object)
    }

    /// What is to be so, if this is an apply.
    pub(crate) fn wanted(&self) -> Option<&Value> {
        match self {
            Self::Apply(wanted) => Some(wanted),
            _ => None,
        }
    }
}

/// A patch that is a JSON object.
fn object(prefix: &str, bytes: &[u8]) -> Result<Value, Status> {
    match serde_json::from_slice(bytes) {
        Ok(patch @ Value::Object(_)) => Ok(patch),
        Ok(Value::Null) => Err(Status::bad_request("Invalid JSON Patch")),
        Ok(other) => Err(Status::bad_request(format!(
            "{prefix}json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            go_kind(&other)
        ))),
        Err(error) => Err(Status::bad_request(format!(
            "{prefix}{}",
            json_error(&error)
        ))),
    }
}

fn json_error(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    error.to_string()
}

/// What a manager wants to be so.
fn configuration(bytes: &[u8]) -> Result<Value, Status> {
    let error = |text: &str| Status::bad_request(format!("error decoding YAML: {text}"));
    let wanted = body::yaml(bytes).map_err(|status| error(&status.message))?;
    match wanted {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(wanted),
        other => Err(error(&format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go \
             value of type map[string]interface {{}}",
            go_kind(&other)
        ))),
    }
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
