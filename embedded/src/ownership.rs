//! Who owns which fields of an object: `metadata.managedFields`.
//!
//! Whoever writes an object owns the fields that the write changed; whoever applies a
//! configuration owns the fields in it, whether they changed or not. An apply that would change
//! what others own is a conflict.

mod apply;
mod compare;
mod element;
mod entry;
mod fields;
mod last_applied;
mod made;
mod merge;
mod prune;
mod set;

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use self::{
    apply::apply,
    entry::same_but_times,
    made::{disown, made},
};
use self::{
    compare::{Comparison, compare},
    entry::Entries,
    set::FieldSet,
};
use crate::{metadata, resource::Resource, schema::Schema};

/// As long as the name of a manager may be.
pub(crate) const MANAGER_MAX: usize = 128;
/// Who owns what was there before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes an object, and which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// The name that owns fields.
    pub(crate) manager: String,
    /// The subresource, or nothing.
    pub(crate) subresource: &'static str,
    /// Whether it applies, so that what it writes says already who owns what.
    pub(crate) applies: bool,
}

impl Writer {
    /// A writer of whole objects.
    pub(crate) fn new(manager: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            subresource: "",
            applies: false,
        }
    }

    /// The writer that a request names, or else its program: what stands before the `/`.
    pub(crate) fn named(manager: Option<&str>, user_agent: &str) -> Self {
        let program = user_agent.split('/').next().unwrap_or_default();
        let printable = |c: &char| !c.is_control();
        let program = || {
            program
                .chars()
                .filter(printable)
                .take(MANAGER_MAX)
                .collect()
        };
        let manager: String = manager.map_or_else(program, str::to_owned);
        Self::new(if manager.is_empty() {
            "unknown"
        } else {
            &manager
        })
    }

    /// The same writer, of a subresource.
    pub(crate) fn of(mut self, subresource: &'static str) -> Self {
        self.subresource = subresource;
        self
    }

    /// Whether a write changes what is below this step.
    fn writes(&self, resource: &Resource, step: &str) -> bool {
        match self.subresource {
            "status" => step == "f:status",
            _ => !(resource.status && step == "f:status"),
        }
    }
}

/// Records in `new`, which is about to be stored, that the writer owns what it changed of `live`.
/// Nothing is recorded of objects whose owners nobody keeps.
pub(crate) fn track(
    schema: &Schema,
    resource: &Resource,
    live: Option<&Value>,
    new: &mut Value,
    writer: &Writer,
    now: Timestamp,
) {
    let mut entries = Entries::of_update(live, new, writer);
    metadata::unset(new, "managedFields");
    if live.is_some() && entries.is_empty() {
        return;
    }
    let empty = Value::Object(serde_json::Map::new());
    // Where items of a list can't be told apart, owners stay as they are.
    if let Ok(difference) = compare(schema.place(), live.unwrap_or(&empty), new) {
        entries.update(resource, &difference, writer, now);
    }
    entries.write(new);
}

impl Entries {
    /// Gives what differs to the writer.
    fn update(
        &mut self,
        resource: &Resource,
        difference: &Comparison,
        writer: &Writer,
        now: Timestamp,
    ) {
        let mut owned = difference.changed();
        owned.retain(|step| writer.writes(resource, step));
        let mut lost = owned.clone();
        let mut removed = difference.removed.clone();
        removed.retain(|step| writer.writes(resource, step));
        lost.add(&removed);
        self.lose(&lost, None);
        self.own(resource, writer, strip(owned), now);
        self.cap();
    }
}

/// Leaves out what everybody has in every object, and what the server alone writes.
fn strip(mut fields: FieldSet) -> FieldSet {
    const METADATA: [&str; 9] = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut out = FieldSet::default();
    for step in ["f:apiVersion", "f:kind", "f:metadata"] {
        out.insert(&[step]);
    }
    for field in METADATA {
        out.insert(&["f:metadata".to_owned(), element::field(field)]);
    }
    fields.remove(&out);
    fields
}
