//! Schemas: which fields objects have, of which types.
//!
//! Those of our kinds come from their custom resource definitions, those of built-in kinds from
//! the types of `k8s-openapi`; the latter are made when they are first asked for.

mod branch;
mod builtin;
mod format;
mod lists;
mod misfit;
mod mistyped;
mod path;
pub(crate) mod place;
mod prune;
mod settle;
mod validate;

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

pub(crate) use self::{
    builtin::{REFERENCE_PREFIX, definitions as builtin_definitions, name as builtin_name},
    format::FORMATS,
    path::Path,
    validate::correlated,
};
use crate::resource::Resource;

/// The schema of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    root: Arc<Value>,
    definitions: Arc<Map<String, Value>>,
}

/// The schema of a built-in kind; `None` where none is known.
pub(crate) fn builtin(resource: &Resource) -> Option<Schema> {
    let name = builtin::name(resource)?;
    let root = json!({ "$ref": format!("{REFERENCE_PREFIX}{name}") });
    Some(Schema {
        root: Arc::new(root),
        definitions: BUILTIN.clone(),
    })
}

/// The schema of a custom kind, from that in its definition.
pub(crate) fn custom(schema: &Value) -> Schema {
    let mut root = schema.clone();
    identify(&mut root);
    identify_embedded(&mut root);
    close(&mut root);
    plain(&root)
}

/// Says of an object without described fields that it has none: a definition means it so, where
/// a built-in schema means any.
fn close(node: &mut Value) {
    let shapeless = node["type"] == "object"
        && node["properties"].is_null()
        && node["additionalProperties"].is_null();
    if shapeless && node["x-kubernetes-preserve-unknown-fields"] != true {
        node["properties"] = json!({});
    }
    each_child(node, &mut close);
}

/// Changes the schemas of the fields and items of a node.
pub(crate) fn each_child(node: &mut Value, change: &mut impl FnMut(&mut Value)) {
    for (field, child) in node.as_object_mut().into_iter().flatten() {
        match field.as_str() {
            "properties" => {
                let children = child.as_object_mut().into_iter().flatten();
                children.for_each(|(_, child)| change(child));
            }
            "items" | "additionalProperties" if child.is_object() => change(child),
            _ => {}
        }
    }
}

/// A schema as it stands.
pub(crate) fn plain(schema: &Value) -> Schema {
    Schema {
        root: Arc::new(schema.clone()),
        definitions: BUILTIN.clone(),
    }
}

/// Adds what every object has, which definitions leave out.
fn identify(node: &mut Value) {
    let Some(node) = node.as_object_mut() else {
        return;
    };
    let reference = format!("{REFERENCE_PREFIX}{}", builtin::OBJECT_META);
    let properties = node.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        for field in ["apiVersion", "kind"] {
            let known = properties.entry(field).or_insert_with(|| json!({}));
            known["type"] = json!("string");
        }
        properties.insert("metadata".to_owned(), json!({ "$ref": reference }));
    }
}

/// Embedded objects have what every object has, too.
pub(crate) fn identify_embedded(node: &mut Value) {
    if node["x-kubernetes-embedded-resource"] == true {
        identify(node);
        let mut required = vec![json!("apiVersion"), json!("kind")];
        let given = node["required"].as_array().into_iter().flatten();
        required.extend(
            given
                .filter(|name| *name != "apiVersion" && *name != "kind")
                .cloned(),
        );
        node["required"] = Value::Array(required);
    }
    each_child(node, &mut identify_embedded);
}

static BUILTIN: LazyLock<Arc<Map<String, Value>>> = LazyLock::new(|| {
    let mut definitions = builtin_definitions(None);
    for definition in definitions.values_mut() {
        forget_descriptions(definition);
    }
    builtin::describe_alternatives(&mut definitions);
    Arc::new(definitions)
});

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
    each_child(node, &mut forget_descriptions);
}
