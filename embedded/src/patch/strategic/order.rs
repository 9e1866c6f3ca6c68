//! The order of lists after a strategic merge patch.

use serde_json::{Map, Value};

use super::{
    Spot,
    directive::{self, DIRECTIVE, SET_ORDER},
    key_of, merge_list, nonsense,
};
use crate::{go, schema::place::Place, status::Status};

/// Merges the lists whose order a patch sets, and takes them out of the patch.
pub(super) fn merge_ordered(
    place: Spot<'_>,
    fields: &mut Map<String, Value>,
    patch: &mut Map<String, Value>,
) -> Result<(), Status> {
    let prefix = SET_ORDER.trim_end_matches('/');
    let names: Vec<String> = patch
        .keys()
        .filter(|k| k.starts_with(prefix))
        .cloned()
        .collect();
    for name in names {
        let order = match patch.remove(&name) {
            Some(Value::Array(order)) => order,
            other => return Err(not_a_list(other.as_ref())),
        };
        let field = directive::field(&name, SET_ORDER)?;
        let (old, new) = (list(fields.get(&field))?, list(patch.get(&field))?);
        if place.is_some_and(|place| place.field(&field).is_none()) {
            return Err(nonsense(format!(
                "unable to find api field in struct for the json field {field:?}"
            )));
        }
        let child = place.and_then(|place| place.field(&field));
        let key = child.and_then(Place::patch_key);
        check_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (&old, &new) {
            (None, None) => continue,
            (Some(old), None) => old.clone(),
            (None, Some(new)) => {
                let new = directive::plain(Value::Array(new.clone()));
                new.and_then(|new| new.as_array().cloned())
                    .unwrap_or_default()
            }
            (Some(old), Some(new)) => merge_list(child, old.clone(), new.clone(), false)?,
        };
        patch.remove(&field);
        let merged = ordered(merged, &order, old.as_deref().unwrap_or_default(), key)?;
        fields.insert(field, Value::Array(merged));
    }
    Ok(())
}

fn list(value: Option<&Value>) -> Result<Option<Vec<Value>>, Status> {
    match value {
        None => Ok(None),
        Some(Value::Array(list)) => Ok(Some(list.clone())),
        other => Err(not_a_list(other)),
    }
}

fn not_a_list(value: Option<&Value>) -> Status {
    let kind = value.map_or("<nil>", go::type_name);
    nonsense(format!(
        "expected a []interface {{}}, but received a {kind}"
    ))
}

/// The items of a patch come in the order that the patch sets.
fn check_order(items: &[Value], order: &[Value], key: Option<&str>) -> Result<(), Status> {
    let mut rest = order.iter();
    for item in items.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let mut found = false;
        for other in rest.by_ref() {
            found = match key {
                Some(key) => key_of(item, key)? == key_of(other, key)?,
                None => item == other,
            };
            if found {
                break;
            }
        }
        if !found {
            let show = |list: &[Value]| go::plain(&Value::Array(list.to_vec()));
            return Err(nonsense(format!(
                "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                show(items),
                show(order)
            )));
        }
    }
    Ok(())
}

/// Orders a list: the items that a patch names come in its order, the others keep theirs, and
/// both interleave as they did before.
pub(super) fn ordered(
    merged: Vec<Value>,
    order: &[Value],
    before: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, Status> {
    if let Some(key) = key {
        for item in merged.iter().chain(order) {
            key_of(item, key)?;
        }
    }
    let place = |list: &[Value], item: &Value| {
        let same = |other: &Value| match key {
            Some(key) => other.get(key) == item.get(key),
            None => other == item,
        };
        list.iter().position(same)
    };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(before, item).unwrap_or(usize::MAX));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(next), Some(other)) = (named.peek(), others.peek()) {
        let first = match (place(before, other), place(before, next)) {
            (Some(other), Some(next)) if other < next => others.next(),
            _ => named.next(),
        };
        out.extend(first);
    }
    out.extend(named);
    out.extend(others);
    Ok(out)
}
