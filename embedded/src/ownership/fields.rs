//! Which fields a configuration has, and whether the schema allows them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    element::{self, path_text},
    set::FieldSet,
};
use crate::{
    go::{literal, plain, type_name},
    schema::place::{Items, Place, Shape},
};

/// The fields of a configuration; or everything that the schema does not allow, in the words of
/// Kubernetes.
pub(super) fn of_config(place: Place<'_>, config: &Value) -> Result<FieldSet, String> {
    let mut walk = Walk::default();
    walk.visit(place, config, false);
    match walk.errors.as_slice() {
        [] => Ok(walk.fields),
        [one] => Err(one.clone()),
        several => Err(format!("errors:\n  {}", several.join("\n  "))),
    }
}

/// The fields of an object, whatever the schema allows. Of items that can't be told apart only
/// the one place that they share is named.
pub(super) fn of_object(place: Place<'_>, object: &Value) -> FieldSet {
    let mut walk = Walk {
        duplicates: true,
        ..Walk::default()
    };
    walk.visit(place, object, false);
    walk.fields
}

#[derive(Default)]
struct Walk {
    duplicates: bool,
    path: Vec<String>,
    fields: FieldSet,
    errors: Vec<String>,
}

impl Walk {
    fn error(&mut self, text: &str) {
        self.errors.push(if self.path.is_empty() {
            text.to_owned()
        } else {
            format!("{}: {text}", path_text(&self.path))
        });
    }

    fn member(&mut self, in_leaf: bool) {
        if !in_leaf {
            self.fields.insert(&self.path);
        }
    }

    fn within(&mut self, step: String, act: impl FnOnce(&mut Self)) {
        self.path.push(step);
        act(self);
        self.path.pop();
    }

    fn visit(&mut self, place: Place<'_>, value: &Value, in_leaf: bool) {
        match place.shape(Some(value)) {
            Shape::Scalar(wanted) => {
                if let Some(text) = wrong_scalar(wanted, value) {
                    self.error(&text);
                }
                self.member(in_leaf);
            }
            Shape::List(items) => {
                let atomic = items == Items::Atomic;
                if atomic {
                    self.member(in_leaf);
                }
                match value {
                    Value::Array(list) => self.list(place, items, list, in_leaf || atomic),
                    Value::Null => {}
                    _ => self.error(&format!("expected list, got &{{{}}}", plain(value))),
                }
            }
            Shape::Map { atomic } => {
                if atomic {
                    self.member(in_leaf);
                }
                match value {
                    Value::Object(map) => self.map(place, map, in_leaf || atomic),
                    Value::Null => {}
                    _ => self.error(&format!("expected map, got &{{{}}}", plain(value))),
                }
            }
        }
    }

    fn map(&mut self, place: Place<'_>, map: &Map<String, Value>, in_leaf: bool) {
        for (name, value) in map {
            let child = place.field(name);
            let named = place.names(name);
            self.within(element::field(name), |walk| match child {
                None => walk.error("field not declared in schema"),
                Some(child) => {
                    walk.visit(child, value, in_leaf);
                    let empty = value.as_object().is_some_and(Map::is_empty);
                    if value.is_null() || empty || !named {
                        walk.member(in_leaf);
                    }
                }
            });
            if child.is_none() {
                return;
            }
        }
    }

    fn list(&mut self, place: Place<'_>, items: Items<'_>, list: &[Value], in_leaf: bool) {
        let mut seen = HashSet::new();
        let mut shared = HashSet::new();
        let mut steps = Vec::with_capacity(list.len());
        for (index, value) in list.iter().enumerate() {
            match element::item(place, items, index, value) {
                Ok(step) => {
                    if !seen.insert(step.clone()) && shared.insert(step.clone()) {
                        if !self.duplicates {
                            let text = path_text(std::slice::from_ref(&step));
                            self.error(&format!("duplicate entries for key {text}"));
                        }
                        self.within(step.clone(), |walk| walk.member(in_leaf));
                    }
                    steps.push((step, value));
                }
                Err(text) => return self.error(&format!("element {index}: {text}")),
            }
        }
        for (step, value) in steps {
            if shared.contains(&step) {
                continue;
            }
            self.within(step, |walk| {
                walk.visit(place.items(), value, in_leaf);
                walk.member(in_leaf);
            });
        }
    }
}

fn wrong_scalar(wanted: &str, value: &Value) -> Option<String> {
    let text = match (wanted, value) {
        (_, Value::Null)
        | ("string", Value::String(_))
        | ("integer" | "number", Value::Number(_))
        | ("boolean", Value::Bool(_)) => return None,
        ("string", _) => format!(
            "expected string, got &value.valueUnstructured{{Value:{}}}",
            literal(value)
        ),
        ("integer" | "number", _) => {
            format!("expected numeric (int or float), got {}", type_name(value))
        }
        ("boolean", _) => format!("expected boolean, got &{{{}}}", plain(value)),
        _ => return None,
    };
    Some(text)
}
