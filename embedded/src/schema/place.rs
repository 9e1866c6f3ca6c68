//! What a schema says about one place in objects: which values it holds and how they merge.

use serde_json::{Map, Value};

use super::{REFERENCE_PREFIX, Schema, builtin::OBJECT_META};

static NOTHING: Value = Value::Null;
static ANYTHING: Value = Value::Bool(true);

/// A place in the objects of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    schema: &'a Schema,
    kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    /// The schema describes it.
    Node {
        node: &'a Value,
        /// What the reference to the node says about merging, before what the node says.
        map_type: Option<&'a str>,
        /// Whether fields that nobody described are kept.
        open: bool,
        /// Whether it is within a built-in type, whose values are structs in Kubernetes.
        builtin: bool,
    },
    /// Nobody described it: maps merge field by field, lists are replaced.
    Free,
    /// It is replaced as a whole, whatever it is.
    Opaque,
}

/// Which form a value has, and how it merges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape<'a> {
    /// One value, of this type; of any when empty.
    Scalar(&'a str),
    /// A list.
    List(Items<'a>),
    /// An object; an atomic one is replaced as a whole.
    Map {
        /// Whether it is replaced as a whole.
        atomic: bool,
    },
}

/// How the items of a list are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Items<'a> {
    /// Not at all: the list is replaced as a whole.
    Atomic,
    /// By their values.
    Set,
    /// By these fields.
    Keys(&'a [Value]),
}

impl Schema {
    /// The place of whole objects.
    pub(crate) fn place(&self) -> Place<'_> {
        self.at(&self.root, false, false)
    }

    fn at<'a>(&'a self, node: &'a Value, open: bool, builtin: bool) -> Place<'a> {
        let reference = node["$ref"]
            .as_str()
            .or_else(|| node["allOf"][0]["$ref"].as_str())
            .and_then(|path| path.strip_prefix(REFERENCE_PREFIX));
        let kind = match reference {
            Some(name) if name.ends_with(".RawExtension") => Kind::Opaque,
            Some(name) if name.ends_with(".Quantity") => Kind::Node {
                node: &ANYTHING,
                map_type: None,
                open: false,
                builtin,
            },
            Some(name) => {
                let map_type = node["x-kubernetes-map-type"].as_str();
                self.definitions
                    .get(name)
                    .map_or(Kind::Free, |target| Kind::Node {
                        node: self.resolve(target),
                        map_type,
                        open: target["x-kubernetes-preserve-unknown-fields"] == true,
                        builtin: true,
                    })
            }
            None => Kind::Node {
                node,
                map_type: None,
                open: open || node["x-kubernetes-preserve-unknown-fields"] == true,
                builtin,
            },
        };
        Place { schema: self, kind }
    }
}

impl<'a> Place<'a> {
    /// The form that a value has here. Where the schema leaves the form open, the value decides;
    /// without one it is an object.
    pub(crate) fn shape(self, value: Option<&Value>) -> Shape<'a> {
        let known = match self.kind {
            Kind::Node { node, .. } => node["type"].as_str(),
            Kind::Free | Kind::Opaque => None,
        };
        match (known, value) {
            (Some("object"), _) => self.map(),
            (Some("array"), _) | (None, Some(Value::Array(_))) => Shape::List(self.list()),
            (Some(scalar), _) => Shape::Scalar(scalar),
            (None, None | Some(Value::Null | Value::Object(_))) => self.map(),
            (None, Some(_)) => Shape::Scalar(""),
        }
    }

    fn map(self) -> Shape<'a> {
        let atomic = match self.kind {
            Kind::Node { node, map_type, .. } => {
                map_type.or_else(|| node["x-kubernetes-map-type"].as_str()) == Some("atomic")
            }
            Kind::Free => false,
            Kind::Opaque => true,
        };
        Shape::Map { atomic }
    }

    fn list(self) -> Items<'a> {
        let Kind::Node { node, .. } = self.kind else {
            return Items::Atomic;
        };
        let keys = |keys: &'a [Value]| {
            if keys.is_empty() {
                Items::Set
            } else {
                Items::Keys(keys)
            }
        };
        match node["x-kubernetes-list-type"].as_str() {
            Some("set") => Items::Set,
            Some("map") => keys(
                node["x-kubernetes-list-map-keys"]
                    .as_array()
                    .map_or(&[], Vec::as_slice),
            ),
            Some(_) => Items::Atomic,
            None if self.merges_by_patch() => keys(
                node.get("x-kubernetes-patch-merge-key")
                    .map_or(&[], std::slice::from_ref),
            ),
            None => Items::Atomic,
        }
    }

    fn node(self) -> &'a Value {
        match self.kind {
            Kind::Node { node, .. } => node,
            Kind::Free | Kind::Opaque => &NOTHING,
        }
    }

    /// Whether a strategic merge patch merges the list here instead of replacing it.
    pub(crate) fn merges_by_patch(self) -> bool {
        let strategy = self.node()["x-kubernetes-patch-strategy"].as_str();
        strategy.is_some_and(|s| s.split(',').any(|part| part == "merge"))
    }

    /// Whether a strategic merge patch replaces the object here instead of merging it.
    pub(crate) fn replaced_by_patch(self) -> bool {
        self.node()["x-kubernetes-patch-strategy"] == "replace"
    }

    /// By which field of its items a strategic merge patch merges the list here.
    pub(crate) fn patch_key(self) -> Option<&'a str> {
        self.node()["x-kubernetes-patch-merge-key"].as_str()
    }

    /// Whether the schema names the field.
    pub(crate) fn names(self, field: &str) -> bool {
        self.properties().is_some_and(|p| p.contains_key(field))
            || (self.is_embedded() && matches!(field, "apiVersion" | "kind" | "metadata"))
    }

    fn properties(self) -> Option<&'a Map<String, Value>> {
        self.node()["properties"].as_object()
    }

    fn is_embedded(self) -> bool {
        self.node()["x-kubernetes-embedded-resource"] == true
    }

    /// The place of a field; `None` where the schema allows no such field.
    pub(crate) fn field(self, field: &str) -> Option<Self> {
        let Kind::Node {
            node,
            open,
            builtin,
            ..
        } = self.kind
        else {
            return Some(self);
        };
        let schema = self.schema;
        if let Some(child) = self.properties().and_then(|p| p.get(field)) {
            return Some(schema.at(child, open, builtin));
        }
        if self.is_embedded() && self.names(field) {
            let metadata = schema.definitions.get(OBJECT_META);
            return Some(match metadata.filter(|_| field == "metadata") {
                Some(node) => schema.at(node, false, true),
                None => schema.at(&ANYTHING, open, builtin),
            });
        }
        let free = Self {
            schema,
            kind: Kind::Free,
        };
        match node.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(child @ Value::Object(_)) => Some(schema.at(child, open, builtin)),
            Some(_) => Some(free),
            None if open || self.properties().is_none_or(Map::is_empty) => Some(free),
            None => None,
        }
    }

    /// The place of the items of a list.
    pub(crate) fn items(self) -> Self {
        let Kind::Node {
            node,
            open,
            builtin,
            ..
        } = self.kind
        else {
            return self;
        };
        match node.get("items") {
            Some(items) => self.schema.at(items, open, builtin),
            None => Self {
                schema: self.schema,
                kind: Kind::Free,
            },
        }
    }

    /// What a field counts as when it is left out.
    pub(crate) fn default(self, field: &str) -> Option<&'a Value> {
        self.properties()?.get(field)?.get("default")
    }

    /// What stands in a field of a built-in type even when it is left out: an empty object where
    /// the type holds the object itself, null where it holds a list that is always written.
    pub(crate) fn standing(self, field: &str) -> Option<Value> {
        let property = self.properties()?.get(field)?;
        if !self.is_builtin() {
            return None;
        }
        if property["default"].as_object().is_some_and(Map::is_empty) {
            return Some(Value::Object(Map::new()));
        }
        let listed = property["type"] == "array" && self.requires(field);
        listed.then_some(Value::Null)
    }

    /// Whether values here must have the field.
    pub(super) fn requires(self, field: &str) -> bool {
        let required = self.node()["required"].as_array();
        required.is_some_and(|names| names.iter().any(|name| name == field))
    }

    /// Whether a value here is a list, or an object whose fields nobody names.
    pub(super) fn is_collection(self) -> bool {
        let node = self.node();
        node["type"] == "array" || node.get("additionalProperties").is_some()
    }

    /// The fields that stand even when they are left out.
    pub(crate) fn standing_fields(self) -> impl Iterator<Item = &'a String> {
        let properties = self.properties().filter(|_| self.is_builtin());
        properties
            .into_iter()
            .flatten()
            .filter(|(_, p)| p["default"].as_object().is_some_and(Map::is_empty))
            .map(|(field, _)| field)
    }

    pub(crate) fn is_builtin(self) -> bool {
        matches!(self.kind, Kind::Node { builtin: true, .. })
    }
}
