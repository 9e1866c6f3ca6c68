//! Kinds that come from custom resource definitions.

pub(crate) mod default;
pub(crate) mod definition;
mod keeper;
pub(crate) mod problem;
mod rules;
mod scale;
pub(crate) mod status;
mod version;

use std::sync::{Arc, LazyLock, OnceLock};

use jiff::Timestamp;
use serde_json::Value;

use self::rules::Rules;
pub(crate) use self::{keeper::keep, version::priority};
use crate::{
    metadata,
    resource::{Resource, intern},
    schema::{self, Schema},
    status::Cause,
};

/// One served version of a kind that comes from a definition.
pub(crate) struct Custom {
    /// Its row.
    pub(crate) resource: &'static Resource,
    /// The version in which objects are stored.
    pub(crate) storage_version: &'static str,
    /// The version of the store at which the definition became what it is, or later.
    pub(crate) since: u64,
    /// The kind of a list of its objects.
    pub(crate) list_kind: String,
    /// What its readers are told when it is deprecated.
    pub(crate) deprecation: Option<String>,
    /// This version, as the definition has it.
    pub(crate) version: Value,
    origin: Origin,
    schema: OnceLock<Schema>,
    rules: OnceLock<Rules>,
}

/// Of which state of which definition a kind is made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    uid: String,
    generation: i64,
    ending: bool,
}

impl Custom {
    /// What objects look like.
    pub(crate) fn schema(&self) -> &Schema {
        self.schema
            .get_or_init(|| schema::custom(self.written_schema()))
    }

    fn written_schema(&self) -> &Value {
        &self.version["schema"]["openAPIV3Schema"]
    }

    /// Whether the definition is being deleted: no object may be made any more.
    pub(crate) fn is_ending(&self) -> bool {
        self.origin.ending
    }

    /// Fills in the defaults of an object.
    pub(crate) fn default(&self, object: &mut Value) {
        default::apply(self.written_schema(), object);
    }

    /// Everything that is wrong with an object.
    pub(crate) fn check(&self, object: &Value, old: Option<&Value>) -> Vec<Cause> {
        let mut causes = self.schema().validate(object, old);
        scale::check(&self.version, object, &mut causes);
        let rules = self.rules.get_or_init(|| Rules::new(self.written_schema()));
        if rules.is_empty() {
            return causes;
        }
        if causes.iter().any(blocks) {
            let detail = "some validation rules were not checked because the object was invalid; \
                          correct the existing errors to complete validation";
            causes.push(problem::invalid("<nil>", &Value::Null, detail));
        } else {
            causes.extend(rules.evaluate(self.written_schema(), object, old));
        }
        causes
    }
}

/// Whether rules can't be asked of an object with such a mistake.
fn blocks(cause: &Cause) -> bool {
    matches!(
        cause.reason,
        "FieldValueNotSupported"
            | "FieldValueRequired"
            | "FieldValueTooLong"
            | "FieldValueTooMany"
            | "FieldValueTypeInvalid"
    )
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
        ending: metadata::is_deleting(definition),
    };
    let all = definition["spec"]["versions"].as_array();
    let versions = all.map_or(&[][..], Vec::as_slice);
    let stored = versions.iter().find(|version| version["storage"] == true);
    let Some(stored) = stored.and_then(|version| version["name"].as_str()) else {
        return Vec::new();
    };
    let storage_version = intern::text(stored);
    let names = &definition["status"]["acceptedNames"];
    let list_kind = names["listKind"].as_str().unwrap_or_default();
    // What is stored of our own kinds has been checked by the program.
    let since = match own_specification(metadata::name(definition)) {
        Some(_) => 0,
        None => metadata::text(definition, "resourceVersion")
            .parse()
            .unwrap_or(0),
    };
    let served = versions.iter().filter(|version| version["served"] == true);
    served
        .map(|version| {
            let resource = intern::row(row(definition, version));
            let known = before(resource).filter(|custom| custom.origin == origin);
            known.unwrap_or_else(|| {
                Arc::new(Custom {
                    resource,
                    storage_version,
                    since,
                    list_kind: list_kind.to_owned(),
                    deprecation: deprecation(definition, version),
                    version: version.clone(),
                    origin: origin.clone(),
                    schema: OnceLock::new(),
                    rules: OnceLock::new(),
                })
            })
        })
        .collect()
}

/// What readers of a deprecated version are told: what the definition says, or which to use.
fn deprecation(definition: &Value, version: &Value) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(warning) = version["deprecationWarning"].as_str() {
        return Some(warning.to_owned());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind) = (
        text(&definition["spec"]["group"]),
        text(&definition["spec"]["names"]["kind"]),
    );
    let name = text(&version["name"]);
    let others = definition["spec"]["versions"]
        .as_array()
        .into_iter()
        .flatten();
    let better = others
        .filter(|other| other["served"] == true && other["deprecated"] != true)
        .map(|other| text(&other["name"]))
        .filter(|other| priority(other) > priority(&name))
        .max_by_key(|other| priority(other));
    let warning = format!("{group}/{name} {kind} is deprecated");
    Some(match better {
        Some(better) => format!("{warning}; use {group}/{better} {kind}"),
        None => warning,
    })
}

/// The definitions that are there from the start.
pub(crate) fn seeds() -> Vec<Value> {
    let definitions = diwan_api::crd::cluster_crds();
    definitions
        .iter()
        .map(|crd| {
            let mut definition =
                serde_json::to_value(crd).expect("a definition can be written as JSON");
            definition::default(&mut definition);
            definition::count_stored_version(&mut definition);
            definition["status"] = status::of(&definition, &[], Timestamp::now());
            definition
        })
        .collect()
}

/// What the specification of one of our definitions is, whatever clients want it to be.
pub(crate) fn own_specification(name: &str) -> Option<Value> {
    static OWN: LazyLock<Vec<Value>> = LazyLock::new(seeds);
    let own = OWN
        .iter()
        .find(|definition| metadata::name(definition) == name)?;
    Some(own["spec"].clone())
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
    let selectable = version["selectableFields"].as_array().into_iter().flatten();
    let selectable = selectable
        .filter_map(|field| field["jsonPath"].as_str())
        .map(|path| intern::text(path.trim_start_matches('.')));
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
        selectable: intern::list(selectable.collect()),
        custom: true,
        read_only: false,
        unconditional_update: false,
        returns_deleted: false,
        storage: intern::storage(metadata::name(definition)),
    }
}
