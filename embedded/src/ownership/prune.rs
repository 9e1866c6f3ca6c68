//! Taking away what a manager applied last time and does not any more.

use serde_json::{Map, Value};

use super::{
    element, fields,
    set::{Below, FieldSet},
};
use crate::schema::place::{Items, Place, Shape};

/// Takes the fields of `last` away from an object that somebody has merged, unless anybody still
/// owns them (`owned`). What is within such a field goes too, save for what was not in `last`.
pub(super) fn prune(place: Place<'_>, merged: Value, last: &FieldSet, owned: &FieldSet) -> Value {
    let last = with_named(place, last);
    let pruned = without(place, &merged, &last);
    let all = with_named(place, &fields::of_object(place, &merged));
    // What anybody owns comes back.
    let mut kept = with_named(place, &fields::of_object(place, &pruned));
    kept.add(&with_named(place, owned));
    let mut gone = all.clone();
    gone.remove(&kept);
    let pruned = without(place, &merged, &gone);
    // So does what went only because it was within something that went.
    let mut gone = all;
    gone.remove(&with_named(place, &fields::of_object(place, &pruned)));
    without(place, &merged, &gone.intersection(&last))
}

fn without(place: Place<'_>, object: &Value, gone: &FieldSet) -> Value {
    if gone.is_empty() {
        return object.clone();
    }
    remove(place, object, &|step| gone.below(step)).unwrap_or_else(|| Value::Object(Map::new()))
}

/// What is left of a value; `None` when that is nothing, or the value is replaced as a whole.
fn remove<'a>(
    place: Place<'_>,
    value: &Value,
    gone: &dyn Fn(&str) -> Option<Below<'a>>,
) -> Option<Value> {
    match (place.shape(Some(value)), value) {
        (Shape::Map { atomic: false }, Value::Object(map)) => {
            let mut left = Map::new();
            for (name, value) in map {
                let child = place.field(name).unwrap_or(place);
                if let Some(value) = one(child, &element::field(name), value, gone) {
                    left.insert(name.clone(), value);
                }
            }
            (!left.is_empty()).then_some(Value::Object(left))
        }
        (Shape::List(items @ (Items::Set | Items::Keys(_))), Value::Array(list)) => {
            let kept = list.iter().enumerate().filter_map(|(index, value)| {
                match element::item(place, items, index, value) {
                    Ok(step) => one(place.items(), &step, value, gone),
                    Err(_) => Some(value.clone()),
                }
            });
            let left: Vec<Value> = kept.collect();
            (!left.is_empty()).then_some(Value::Array(left))
        }
        (Shape::Scalar(_), _) => Some(value.clone()),
        _ => None,
    }
}

fn one<'a>(
    place: Place<'_>,
    step: &str,
    value: &Value,
    gone: &dyn Fn(&str) -> Option<Below<'a>>,
) -> Option<Value> {
    match gone(step) {
        None => Some(value.clone()),
        Some(node) if node.is_member() => None,
        Some(node) => remove(place, value, &|step| node.below(step)),
    }
}

/// A set in which every field that the schema names is a member when anything below it is.
fn with_named(place: Place<'_>, set: &FieldSet) -> FieldSet {
    named(Some(place), set.nodes())
}

fn named<'a>(
    place: Option<Place<'_>>,
    nodes: impl Iterator<Item = (&'a str, Below<'a>)>,
) -> FieldSet {
    let mut out = FieldSet::default();
    for (step, node) in nodes {
        let field = step.strip_prefix("f:");
        let is_named = field.is_some_and(|name| place.is_some_and(|place| place.names(name)));
        let child = match field {
            Some(name) => place.and_then(|place| place.field(name)),
            None => place.map(Place::items),
        };
        let below = named(child, node.nodes());
        out.put(
            step,
            node.is_member() || (is_named && !node.is_leaf()),
            below,
        );
    }
    out
}
