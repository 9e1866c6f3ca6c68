//! What an object becomes when a configuration is laid over it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::element;
use crate::schema::place::{Items, Place, Shape};

type Side<'a> = Option<&'a Value>;

/// Lays a configuration over an object: its values win, what it does not have stays.
pub(super) fn merge(place: Place<'_>, object: &Value, config: &Value) -> Result<Value, String> {
    let merged = value(place, Some(object), Some(config))?;
    Ok(merged.unwrap_or_else(|| object.clone()))
}

fn value(place: Place<'_>, old: Side<'_>, new: Side<'_>) -> Result<Option<Value>, String> {
    match place.shape(new.or(old)) {
        Shape::Map { atomic } => {
            let (left, right) = (map(old), map(new));
            let empty = |map: Option<&Map<String, Value>>| map.is_none_or(Map::is_empty);
            if atomic || (empty(left) && empty(right)) {
                return Ok(new.or(old).cloned());
            }
            merge_maps(place, left, right)
        }
        Shape::List(items) => {
            let (left, right) = (list(old), list(new));
            if items == Items::Atomic || (left.is_empty() && right.is_empty()) {
                return Ok(new.or(old).cloned());
            }
            merge_lists(place, items, left, right)
        }
        Shape::Scalar(_) => Ok(new.or(old).cloned()),
    }
}

fn map(side: Side<'_>) -> Option<&Map<String, Value>> {
    side.and_then(Value::as_object)
}

fn list(side: Side<'_>) -> &[Value] {
    side.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn merge_maps(
    place: Place<'_>,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
) -> Result<Option<Value>, String> {
    let Some(new) = new else {
        return Ok(old.cloned().map(Value::Object));
    };
    let mut out = old.cloned().unwrap_or_default();
    for (name, wanted) in new {
        let child = place.field(name).unwrap_or(place);
        match value(child, old.and_then(|old| old.get(name)), Some(wanted))? {
            Some(merged) => out.insert(name.clone(), merged),
            None => out.remove(name),
        };
    }
    Ok((!out.is_empty()).then_some(Value::Object(out)))
}

/// Items keep their places, save that those in the configuration come in its order.
fn merge_lists(
    place: Place<'_>,
    items: Items<'_>,
    old: &[Value],
    new: &[Value],
) -> Result<Option<Value>, String> {
    let steps = |list: &[Value], side: &str| {
        let step = |(i, value)| {
            element::item(place, items, i, value)
                .map_err(|text| format!("{side}: element {i}: {text}"))
        };
        list.iter()
            .enumerate()
            .map(step)
            .collect::<Result<Vec<_>, _>>()
    };
    let (left, right) = (steps(old, "lhs")?, steps(new, "rhs")?);
    let wanted: HashMap<&String, &Value> = right.iter().zip(new).collect();
    let mut known: HashMap<&String, Side<'_>> = HashMap::new();
    for (step, value) in left.iter().zip(old) {
        // Of items that can't be told apart none is merged.
        known
            .entry(step)
            .and_modify(|v| *v = None)
            .or_insert(Some(value));
    }
    let mut shared = right.iter().filter(|step| known.contains_key(step));
    let mut next = shared.next();
    let mut done: HashSet<&String> = HashSet::new();
    let mut out = Vec::with_capacity(old.len().max(new.len()));
    let merged = |step: &String| {
        let before = known.get(step).copied().flatten();
        value(place.items(), before, wanted.get(step).copied())
    };
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            let step = &left[l];
            if *step == right[r] {
                out.extend(merged(step)?);
                done.insert(step);
                next = shared.next();
                (l, r) = (l + 1, r + 1);
                continue;
            }
            if wanted.contains_key(step) && next.is_some_and(|next| next != step) {
                l += 1;
                continue;
            }
        }
        if l < left.len() {
            let step = &left[l];
            if !wanted.contains_key(step) {
                out.push(old[l].clone());
                l += 1;
                continue;
            }
            if done.contains(step) {
                l += 1;
            }
        }
        if r < right.len() {
            let step = &right[r];
            out.extend(merged(step)?);
            done.insert(step);
            if next == Some(step) {
                next = shared.next();
            }
            r += 1;
        }
    }
    Ok((!out.is_empty()).then_some(Value::Array(out)))
}
