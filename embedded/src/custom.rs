//! Kinds that come from custom resource definitions.

mod version;

use std::sync::{Arc, OnceLock};

use serde_json::Value;

pub(crate) use self::version::priority;
use crate::{
    metadata,
    resource::{Resource, intern},
    schema::{self, Schema},
};

/// One served version of a kind that comes from a definition.
pub(crate) struct Custom {
    /// Its row.
    pub(crate) resource: &'static Resource,
    /// The version in which objects are stored.
    pub(crate) storage_version: &'static str,
    /// This version, as the definition has it.
    pub(crate) version: Value,
    origin: Origin,
    schema: OnceLock<Schema>,
}

/// Of which state of which definition a kind is made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    uid: String,
    generation: i64,
}

impl Custom {
    /// What objects look like.
    pub(crate) fn schema(&self) -> &Schema {
        self.schema
            .get_or_init(|| schema::custom(&self.version["schema"]["openAPIV3Schema"]))
    }
}

/// The kinds of a definition, one of each version that is served. One that is in `before` and of
/// the same state of the definition is taken over.
pub(crate) fn of(
    definition: &Value,
    before: impl Fn(&Resource) -> Option<Arc<Custom>>,
) -> Vec<Arc<Custom>> {
    if !has_condition(definition, "Established") {
        return Vec::new();
    }
    let origin = Origin {
        uid: metadata::uid(definition).to_owned(),
        generation: definition["metadata"]["generation"].as_i64().unwrap_or(0),
    };
    let all = definition["spec"]["versions"].as_array();
    let versions = all.map_or(&[][..], Vec::as_slice);
    let stored = versions.iter().find(|version| version["storage"] == true);
    let Some(stored) = stored.and_then(|version| version["name"].as_str()) else {
        return Vec::new();
    };
    let storage_version = intern::text(stored);
    let served = versions.iter().filter(|version| version["served"] == true);
    served
        .map(|version| {
            let resource = intern::row(row(definition, version));
            let known = before(resource).filter(|custom| custom.origin == origin);
            known.unwrap_or_else(|| {
                Arc::new(Custom {
                    resource,
                    storage_version,
                    version: version.clone(),
                    origin: origin.clone(),
                    schema: OnceLock::new(),
                })
            })
        })
        .collect()
}

/// The definitions that are there from the start.
pub(crate) fn seeds() -> Vec<Value> {
    let definitions = diwan_api::crd::crds();
    definitions
        .iter()
        .map(|crd| {
            let mut definition =
                serde_json::to_value(crd).expect("a definition can be written as JSON");
            definition["status"] = crate::api::established(&definition);
            definition
        })
        .collect()
}

/// Whether a condition of an object holds.
pub(crate) fn has_condition(object: &Value, type_: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == type_ && c["status"] == "True")
}

fn row(definition: &Value, version: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let text = |value: &Value| intern::text(value.as_str().unwrap_or_default());
    let list = |value: &Value| {
        let items = value.as_array().into_iter().flatten();
        intern::list(items.map(&text).collect())
    };
    let subresource = |name: &str| version["subresources"][name].is_object();
    Resource {
        group: text(&spec["group"]),
        version: text(&version["name"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        kind: text(&names["kind"]),
        short_names: list(&names["shortNames"]),
        categories: list(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        status: subresource("status"),
        scale: subresource("scale"),
        custom: true,
        read_only: false,
        unconditional_update: false,
        returns_deleted: false,
        storage: intern::storage(metadata::name(definition)),
    }
}
