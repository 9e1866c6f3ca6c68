//! Schemas: which fields objects have, of which types.
//!
//! Those of our kinds come from their custom resource definitions, those of built-in kinds from
//! the types of `k8s-openapi`; the latter are made when they are first asked for.

mod builtin;
mod mistyped;
mod path;
mod prune;
mod validate;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use serde_json::{Map, Value, json};

pub(crate) use self::builtin::{
    REFERENCE_PREFIX, definitions as builtin_definitions, name as builtin_name,
};
use crate::resource::Resource;

/// The schemas of all kinds.
pub(crate) struct Schemas {
    definitions: Vec<Value>,
    custom: HashMap<&'static str, OnceLock<Schema>>,
    builtin: OnceLock<Arc<Map<String, Value>>>,
}

/// The schema of one kind.
#[derive(Clone)]
pub(crate) struct Schema {
    root: Arc<Value>,
    definitions: Arc<Map<String, Value>>,
}

impl Schemas {
    /// The schemas of all kinds.
    pub(crate) fn new() -> Self {
        let crds = diwan_api::crd::crds();
        let definitions: Vec<Value> = crds
            .iter()
            .map(|crd| serde_json::to_value(crd).expect("a definition can be written as JSON"))
            .collect();
        let kinds = ["Experiment", "Suggestion", "Trial"];
        let custom = kinds
            .into_iter()
            .map(|kind| (kind, OnceLock::new()))
            .collect();
        Self {
            definitions,
            custom,
            builtin: OnceLock::new(),
        }
    }

    /// The custom resource definitions.
    pub(crate) fn definitions(&self) -> &[Value] {
        &self.definitions
    }

    /// The definition of a kind of ours, in the version that is served.
    pub(crate) fn version(&self, resource: &Resource) -> Option<&Value> {
        let of_kind = |crd: &&Value| crd["spec"]["names"]["kind"] == resource.kind;
        let crd = self
            .definitions
            .iter()
            .find(of_kind)
            .filter(|_| resource.custom)?;
        let versions = crd["spec"]["versions"].as_array()?;
        versions
            .iter()
            .find(|version| version["name"] == resource.version)
    }

    /// The schema of a kind of ours.
    pub(crate) fn custom(&self, resource: &Resource) -> Option<&Schema> {
        let cell = self.custom.get(resource.kind).filter(|_| resource.custom)?;
        let version = self.version(resource)?;
        Some(cell.get_or_init(|| {
            let mut root = version["schema"]["openAPIV3Schema"].clone();
            // What every object has, which definitions leave out.
            let reference = format!("{REFERENCE_PREFIX}{}", builtin::OBJECT_META);
            root["properties"]["apiVersion"] = json!({ "type": "string" });
            root["properties"]["kind"] = json!({ "type": "string" });
            root["properties"]["metadata"] = json!({ "$ref": reference });
            Schema {
                root: Arc::new(root),
                definitions: self.builtin().clone(),
            }
        }))
    }

    /// The schema of any kind; `None` where none is known.
    pub(crate) fn of(&self, resource: &Resource) -> Option<Schema> {
        if let Some(schema) = self.custom(resource) {
            return Some(schema.clone());
        }
        let name = builtin::name(resource)?;
        let root = json!({ "$ref": format!("{REFERENCE_PREFIX}{name}") });
        Some(Schema {
            root: Arc::new(root),
            definitions: self.builtin().clone(),
        })
    }

    fn builtin(&self) -> &Arc<Map<String, Value>> {
        self.builtin.get_or_init(|| {
            let mut definitions = builtin_definitions(None);
            for definition in definitions.values_mut() {
                forget_descriptions(definition);
            }
            Arc::new(definitions)
        })
    }
}

impl Schema {
    /// What a node stands for, once references are followed.
    fn resolve<'a>(&'a self, mut node: &'a Value) -> &'a Value {
        while let Some(name) = node["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix(REFERENCE_PREFIX))
        {
            match self.definitions.get(name) {
                Some(definition) => node = definition,
                None => return &Value::Bool(true),
            }
        }
        node
    }
}

/// Descriptions are for readers of the OpenAPI documents; checking does without.
fn forget_descriptions(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else {
        return;
    };
    if fields.get("description").is_some_and(Value::is_string) {
        fields.remove("description");
    }
    for (field, child) in fields {
        match field.as_str() {
            "properties" => {
                let children = child.as_object_mut().into_iter().flatten();
                children.for_each(|(_, child)| forget_descriptions(child));
            }
            "items" | "additionalProperties" => forget_descriptions(child),
            _ => {}
        }
    }
}
