//! What differs between two objects, field by field as the schema has it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{element, set::FieldSet};
use crate::schema::place::{Items, Place, Shape};

/// The fields that differ between an old and a new object.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// Those that the old object alone has.
    pub(super) removed: FieldSet,
    /// Those that have other values.
    pub(super) modified: FieldSet,
    /// Those that the new object alone has.
    pub(super) added: FieldSet,
}

impl Comparison {
    /// Keeps what differs below the steps that `keep` wants.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        for set in [&mut self.removed, &mut self.modified, &mut self.added] {
            set.retain(&keep);
        }
    }

    /// The fields that are now so, and were not.
    pub(super) fn changed(&self) -> FieldSet {
        let mut changed = self.modified.clone();
        changed.add(&self.added);
        changed
    }
}

/// Compares two objects. The error says where an item of a list can't be told apart.
pub(super) fn compare(place: Place<'_>, old: &Value, new: &Value) -> Result<Comparison, String> {
    let mut walk = Walk::default();
    walk.compare(place, Some(old), Some(new), false)?;
    Ok(walk.found)
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    found: Comparison,
}

type Side<'a> = Option<&'a Value>;

impl Walk {
    fn compare(
        &mut self,
        place: Place<'_>,
        old: Side<'_>,
        new: Side<'_>,
        in_leaf: bool,
    ) -> Result<(), String> {
        if old == new {
            return Ok(());
        }
        let (before, after) = (place.shape(old), place.shape(new));
        let leaf = if new.is_none() {
            self.as_shape(place, before, old, new, in_leaf)?
        } else {
            if old.is_some() && before != after {
                self.as_shape(place, before, old, new, in_leaf)?;
            }
            self.as_shape(place, after, old, new, in_leaf)?
        };
        if !leaf && old.is_none() {
            self.found.added.insert(&self.path);
        } else if !leaf && new.is_none() {
            self.found.removed.insert(&self.path);
        }
        Ok(())
    }

    /// Compares in one form; returns whether it is a leaf, or within one.
    fn as_shape(
        &mut self,
        place: Place<'_>,
        shape: Shape<'_>,
        old: Side<'_>,
        new: Side<'_>,
        in_leaf: bool,
    ) -> Result<bool, String> {
        let leaf = match shape {
            Shape::Scalar(_) => true,
            Shape::List(items) => {
                let list =
                    |side: Side<'_>| side.and_then(Value::as_array).is_none_or(Vec::is_empty);
                items == Items::Atomic || (list(old) && list(new))
            }
            Shape::Map { atomic } => {
                let map =
                    |side: Side<'_>| side.and_then(Value::as_object).is_none_or(Map::is_empty);
                atomic || (map(old) && map(new) && !has_standing(place, old, new))
            }
        };
        if leaf || in_leaf {
            if !in_leaf {
                self.leaf(old, new);
            }
            return Ok(true);
        }
        match shape {
            Shape::List(items) => self.list(place, items, old, new)?,
            _ => self.map(place, old, new)?,
        }
        Ok(false)
    }

    fn leaf(&mut self, old: Side<'_>, new: Side<'_>) {
        let set = match (old, new) {
            (None, _) => &mut self.found.added,
            (_, None) => &mut self.found.removed,
            (old, new) if old != new => &mut self.found.modified,
            _ => return,
        };
        set.insert(&self.path);
    }

    fn at(
        &mut self,
        step: String,
        place: Place<'_>,
        old: Side<'_>,
        new: Side<'_>,
    ) -> Result<(), String> {
        self.path.push(step);
        let result = self.compare(place, old, new, false);
        self.path.pop();
        result
    }

    fn map(&mut self, place: Place<'_>, old: Side<'_>, new: Side<'_>) -> Result<(), String> {
        let empty = Map::new();
        let before = old.and_then(Value::as_object);
        let after = new.and_then(Value::as_object);
        let (left, right) = (before.unwrap_or(&empty), after.unwrap_or(&empty));
        let names = left
            .keys()
            .chain(right.keys().filter(|k| !left.contains_key(*k)));
        for name in names {
            let (old, new) = (left.get(name), right.get(name));
            if old == new || (self.path.len() == 1 && is_managed_fields(&self.path[0], name)) {
                continue;
            }
            // A struct within a struct is there, even if nothing of it is written.
            let missing = old.is_none() || new.is_none();
            let standing = missing.then(|| place.standing(name)).flatten();
            let old = old.or(standing.as_ref().filter(|_| before.is_some()));
            let new = new.or(standing.as_ref().filter(|_| after.is_some()));
            let child = place.field(name).unwrap_or(place);
            self.at(element::field(name), child, old, new)?;
        }
        if before.is_some() != after.is_some() {
            self.standing(place, before, after)?;
        }
        Ok(())
    }

    /// The structs that stand unwritten in a value that only one side has.
    fn standing(
        &mut self,
        place: Place<'_>,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) -> Result<(), String> {
        let written = before.or(after);
        let nothing = Value::Object(Map::new());
        for name in place.standing_fields() {
            if written.is_some_and(|map| map.contains_key(name)) {
                continue;
            }
            let child = place.field(name).unwrap_or(place);
            let (old, new) = (before.map(|_| &nothing), after.map(|_| &nothing));
            self.at(element::field(name), child, old, new)?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        place: Place<'_>,
        items: Items<'_>,
        old: Side<'_>,
        new: Side<'_>,
    ) -> Result<(), String> {
        let mut order = Vec::new();
        let mut sides: [HashMap<String, Vec<&Value>>; 2] = [HashMap::new(), HashMap::new()];
        for (side, list) in [old, new].into_iter().enumerate() {
            let list = list.and_then(Value::as_array).into_iter().flatten();
            for (index, value) in list.enumerate() {
                let step = element::item(place, items, index, value)?;
                let known = sides.iter().any(|side| side.contains_key(&step));
                if !known {
                    order.push(step.clone());
                }
                sides[side].entry(step).or_default().push(value);
            }
        }
        for step in order {
            let values = |side: usize| sides[side].get(&step).map_or(&[][..], Vec::as_slice);
            let (left, right) = (values(0), values(1));
            let mark = |set: &mut FieldSet, path: &[String]| {
                let mut path = path.to_vec();
                path.push(step.clone());
                set.insert(&path);
            };
            match (left.len(), right.len()) {
                (0 | 1, 0 | 1) => {
                    let (old, new) = (left.first().copied(), right.first().copied());
                    self.at(step, place.items(), old, new)?;
                }
                // Items that can't be told apart count as one value.
                (2.., 2..) => {
                    if left != right {
                        mark(&mut self.found.modified, &self.path);
                    }
                }
                (2.., _) => {
                    mark(&mut self.found.removed, &self.path);
                    if let Some(new) = right.first() {
                        self.at(step, place.items(), None, Some(new))?;
                    }
                }
                (_, 2..) => {
                    mark(&mut self.found.added, &self.path);
                    if let Some(old) = left.first() {
                        self.at(step, place.items(), Some(old), None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_managed_fields(step: &str, name: &str) -> bool {
    step == "f:metadata" && name == "managedFields"
}

/// Whether structs stand in a value that only one side has.
fn has_standing(place: Place<'_>, old: Side<'_>, new: Side<'_>) -> bool {
    (old.is_none() || new.is_none()) && place.standing_fields().next().is_some()
}
