//! Patches: what a PATCH request makes of an object.

mod apply;
mod json;
mod list_key;
mod strategic;

use serde_json::Value;

use crate::{resource::Resource, status::Status};

/// A patch in one of the forms that Kubernetes knows.
#[derive(Clone, Debug)]
pub(crate) enum Patch {
    /// `application/json-patch+json` (RFC 6902).
    Json(Value),
    /// `application/merge-patch+json` (RFC 7386).
    Merge(Value),
    /// `application/strategic-merge-patch+json`: a merge that knows the keys of lists.
    Strategic(Value),
    /// `application/apply-patch+yaml`: the fields that a manager wants to be so.
    Apply {
        /// The fields.
        wanted: Value,
        /// Whether the kind is a custom one.
        custom: bool,
    },
}

/// The media types of patches.
pub(crate) const MEDIA_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

impl Patch {
    /// The patch of a request, whose body is read only if its media type is one of a patch.
    pub(crate) fn new(
        resource: &Resource,
        media_type: &str,
        body: impl FnOnce() -> Result<Value, Status>,
    ) -> Result<Self, Status> {
        match media_type {
            "application/json-patch+json" => Ok(Self::Json(body()?)),
            "application/merge-patch+json" => Ok(Self::Merge(body()?)),
            "application/strategic-merge-patch+json" if !resource.custom => {
                Ok(Self::Strategic(body()?))
            }
            "application/apply-patch+yaml" => Ok(Self::Apply {
                wanted: body()?,
                custom: resource.custom,
            }),
            _ => Err(Status::unsupported_media_type(&known(resource).join(", "))),
        }
    }

    /// What the patch makes of an object.
    pub(crate) fn apply(&self, object: &Value) -> Result<Value, Status> {
        let mut object = object.clone();
        match self {
            Self::Json(patch) => json::apply(&mut object, patch)?,
            Self::Merge(patch) => {
                require_object(patch)?;
                json_patch::merge(&mut object, patch);
            }
            Self::Strategic(patch) => {
                require_object(patch)?;
                strategic::merge(&mut object, patch).map_err(Status::bad_request)?;
            }
            Self::Apply { wanted, custom } => {
                require_object(wanted)?;
                apply::merge(&mut object, wanted, *custom);
            }
        }
        Ok(object)
    }

    /// The object that this patch makes when there is none; only an apply does.
    pub(crate) fn creates(&self) -> Option<&Value> {
        match self {
            Self::Apply { wanted, .. } => Some(wanted),
            _ => None,
        }
    }
}

fn known(resource: &Resource) -> Vec<&'static str> {
    let strategic = "application/strategic-merge-patch+json";
    MEDIA_TYPES
        .into_iter()
        .filter(|t| !resource.custom || *t != strategic)
        .collect()
}

fn require_object(patch: &Value) -> Result<(), Status> {
    if patch.is_object() {
        return Ok(());
    }
    Err(Status::bad_request("the patch must be a JSON object"))
}

/// How clients are to merge a list in a field of a built-in schema: by which key, or, with an
/// empty key, as a set. `None` when the list is replaced.
pub(crate) fn merge_key(schema: &str, field: &str) -> Option<&'static str> {
    if field == "ports" {
        return match schema.rsplit('.').next()? {
            "Container" | "EphemeralContainer" => Some("containerPort"),
            "ServiceSpec" => Some("port"),
            _ => None,
        };
    }
    match list_key::of(field, &[])? {
        list_key::ListKey::Field(key) => Some(key),
        list_key::ListKey::Set => Some(""),
    }
}
