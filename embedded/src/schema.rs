//! Schemas: which fields objects have, of which types.
//!
//! Those of our kinds come from their custom resource definitions, those of built-in kinds from
//! the types of `k8s-openapi`; the latter are made when they are first asked for.

mod builtin;
mod lists;
mod mistyped;
mod path;
pub(crate) mod place;
mod prune;
mod settle;
mod validate;

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

pub(crate) use self::builtin::{
    REFERENCE_PREFIX, definitions as builtin_definitions, name as builtin_name,
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
    // What every object has, which definitions leave out.
    let reference = format!("{REFERENCE_PREFIX}{}", builtin::OBJECT_META);
    root["properties"]["apiVersion"] = json!({ "type": "string" });
    root["properties"]["kind"] = json!({ "type": "string" });
    root["properties"]["metadata"] = json!({ "$ref": reference });
    Schema {
        root: Arc::new(root),
        definitions: BUILTIN.clone(),
    }
}

static BUILTIN: LazyLock<Arc<Map<String, Value>>> = LazyLock::new(|| {
    let mut definitions = builtin_definitions(None);
    for definition in definitions.values_mut() {
        forget_descriptions(definition);
    }
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
