//! Strategic merge patches: merges that know which lists have keys, and directives.

mod directive;
mod order;

use serde_json::{Map, Value};

use self::directive::{DELETE_ITEMS, DIRECTIVE, RETAIN_KEYS};
use crate::{go, schema::place::Place, status::Status};

type Spot<'a> = Option<Place<'a>>;

/// Merges a patch into an object whose place the schema describes.
pub(super) fn merge(place: Spot<'_>, object: &mut Value, patch: &Value) -> Result<(), Status> {
    let (Value::Object(fields), Value::Object(patch)) = (&mut *object, patch) else {
        object.clone_from(patch);
        return Ok(());
    };
    *fields = merge_map(place, std::mem::take(fields), patch.clone())?;
    Ok(())
}

/// A patch that makes no sense, in a way that Kubernetes did not expect.
fn nonsense(text: impl Into<String>) -> Status {
    Status::new(500, "", text)
}

fn merge_map(
    place: Spot<'_>,
    mut fields: Map<String, Value>,
    mut patch: Map<String, Value>,
) -> Result<Map<String, Value>, Status> {
    match patch.get(DIRECTIVE) {
        None => {}
        Some(directive) if directive == "replace" => {
            patch.remove(DIRECTIVE);
            return Ok(patch);
        }
        Some(directive) if directive == "delete" => return Ok(Map::new()),
        Some(other) => return Err(directive::unknown(other, &patch)),
    }
    if let Some(retained) = patch.remove(RETAIN_KEYS) {
        directive::retain(&mut fields, &patch, &retained)?;
    }
    order::merge_ordered(place, &mut fields, &mut patch)?;
    for (name, change) in patch {
        let deletes = name.starts_with(DELETE_ITEMS.trim_end_matches('/'));
        let field = if deletes {
            directive::field(&name, DELETE_ITEMS)?
        } else {
            name
        };
        merge_field(place, &mut fields, field, change, deletes)?;
    }
    Ok(fields)
}

fn merge_field(
    place: Spot<'_>,
    fields: &mut Map<String, Value>,
    field: String,
    change: Value,
    deletes: bool,
) -> Result<(), Status> {
    if change.is_null() {
        fields.remove(&field);
        return Ok(());
    }
    let child = place.and_then(|place| place.field(&field));
    match (fields.remove(&field), change) {
        (Some(Value::Object(old)), Value::Object(patch)) => {
            let merged = if replaces(child) {
                patch
            } else {
                merge_map(child, old, patch)?
            };
            fields.insert(field, Value::Object(merged));
        }
        (Some(Value::Array(old)), Value::Array(items)) => {
            let merged = merge_list(child, old, items, deletes)?;
            fields.insert(field, Value::Array(merged));
        }
        (Some(old), _) if deletes => {
            fields.insert(field, old);
        }
        (None, _) if deletes => {}
        (_, new) => {
            if let Some(new) = directive::plain(new) {
                fields.insert(field, new);
            }
        }
    }
    Ok(())
}

/// Whether the object in a place is replaced as a whole.
fn replaces(place: Spot<'_>) -> bool {
    place.is_some_and(Place::replaced_by_patch)
}

/// Merges a list item by item where the schema says so, and replaces it elsewhere.
fn merge_list(
    place: Spot<'_>,
    old: Vec<Value>,
    items: Vec<Value>,
    deletes: bool,
) -> Result<Vec<Value>, Status> {
    if deletes {
        same_types(&old, &items)?;
        let mut left = old;
        left.retain(|item| !items.contains(item));
        return Ok(left);
    }
    let Some(place) = place.filter(|place| place.merges_by_patch()) else {
        return Ok(items);
    };
    if old.is_empty() && items.is_empty() {
        return Ok(old);
    }
    let objects = same_types(&old, &items)?;
    if !objects {
        let mut merged: Vec<Value> = Vec::with_capacity(old.len() + items.len());
        for item in old.iter().chain(&items) {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        return order::ordered(merged, &items, &old, None);
    }
    let Some(key) = place.patch_key() else {
        return Err(nonsense("cannot merge lists without merge key for slice"));
    };
    let (old, items) = directive::apply_to_items(old, items, key)?;
    let mut merged = old.clone();
    for item in &items {
        let wanted = key_of(item, key)?;
        let known = merged.iter_mut().find(|old| old.get(key) == Some(wanted));
        match (known, item) {
            (Some(Value::Object(old)), Value::Object(patch)) => {
                *old = merge_map(Some(place.items()), std::mem::take(old), patch.clone())?;
            }
            _ => merged.push(item.clone()),
        }
    }
    order::ordered(merged, &items, &old, Some(key))
}

/// The key of an item of a list.
fn key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, Status> {
    item.get(key).ok_or_else(|| {
        nonsense(format!(
            "map: {} does not contain declared merge key: {key}",
            go::plain(item)
        ))
    })
}

/// Whether all items are objects; they must all be of one type, and none a list.
fn same_types(old: &[Value], items: &[Value]) -> Result<bool, Status> {
    let kind = |value: &Value| std::mem::discriminant(value);
    let mut all = old.iter().chain(items);
    let Some(first) = all.next() else {
        return Ok(false);
    };
    if all.any(|item| kind(item) != kind(first)) {
        let show = |list: &[Value]| go::plain(&Value::Array(list.to_vec()));
        return Err(nonsense(format!(
            "list element types are not identical: [{} {}]",
            show(old),
            show(items)
        )));
    }
    match first {
        Value::Array(_) => Err(Status::new(422, "", "lists of lists are not supported")),
        Value::Object(_) => Ok(true),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests;
