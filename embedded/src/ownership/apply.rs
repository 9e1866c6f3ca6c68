//! Server-side apply.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    BEFORE_FIRST_APPLY, Writer,
    compare::compare,
    element::path_text,
    entry::{Entries, Entry},
    fields, last_applied,
    merge::merge,
    prune::prune,
    set::FieldSet,
    strip,
};
use crate::{metadata, resource::Resource, schema::Schema, status::Status};

/// What an apply would change although others own it: whose entry, and which of its fields.
pub(super) struct Conflict {
    who: String,
    order: (String, bool, String),
    pub(super) fields: FieldSet,
}

/// The object that comes of a configuration that a manager applies. `live` is the object as it is,
/// if there is one; with `force` the manager takes over what others own.
pub(crate) fn apply(
    schema: &Schema,
    resource: &Resource,
    live: Option<&Value>,
    config: &Value,
    writer: &Writer,
    force: bool,
    now: Timestamp,
) -> Result<Value, Status> {
    let mut object = live
        .cloned()
        .unwrap_or_else(|| json!({ "apiVersion": resource.api_version(), "kind": resource.kind }));
    let mut entries = Entries::of_live(live);
    metadata::unset(&mut object, "managedFields");
    if live.is_none() {
        metadata::of(&mut object).map(Map::clear);
    }
    if entries.is_empty() && live.is_some() {
        let empty = Value::Object(Map::new());
        if let Ok(difference) = compare(schema.place(), &empty, &object) {
            let before = Writer {
                manager: BEFORE_FIRST_APPLY.to_owned(),
                ..writer.clone()
            };
            entries.update(resource, &difference, &before, now);
        }
    }
    let attempt = Attempt {
        schema,
        resource,
        object: &object,
        config,
        writer,
        now,
    };
    let mut result = attempt.run(entries.clone(), force);
    let is_kubectl = writer.manager == last_applied::MANAGER;
    if is_kubectl && let Err(Refusal::Conflicts(conflicts)) = &mut result {
        let allowed = last_applied::unchanged(schema.place(), &object);
        for conflict in conflicts.iter_mut() {
            conflict.fields.remove(&allowed);
        }
        conflicts.retain(|conflict| !conflict.fields.is_empty());
        if conflicts.is_empty() {
            result = attempt.run(entries, true);
        }
    }
    let mut new = result.map_err(|refusal| match refusal {
        Refusal::Status(status) => status,
        Refusal::Conflicts(conflicts) => conflict_status(conflicts),
    })?;
    if is_kubectl {
        last_applied::renew(&mut new, config);
    }
    Ok(new)
}

enum Refusal {
    Status(Status),
    Conflicts(Vec<Conflict>),
}

struct Attempt<'a> {
    schema: &'a Schema,
    resource: &'a Resource,
    object: &'a Value,
    config: &'a Value,
    writer: &'a Writer,
    now: Timestamp,
}

impl Attempt<'_> {
    fn run(&self, mut entries: Entries, force: bool) -> Result<Value, Refusal> {
        let place = self.schema.place();
        let mut fields = fields::of_config(place, self.config).map_err(|text| {
            self.fail(&format!(
                "failed to create typed patch object ({}): {text}",
                self.about()
            ))
        })?;
        fields.retain(|step| self.writer.writes(self.resource, step));
        let merged = merge(place, self.object, self.config)
            .map_err(|text| self.fail(&format!("failed to merge config: {text}")))?;
        let mine = self.entry(&mut entries);
        let last = std::mem::replace(&mut entries.0[mine].fields, fields);
        let pruned = if last.is_empty() {
            merged
        } else {
            let mut owned = FieldSet::default();
            entries.0.iter().for_each(|entry| owned.add(&entry.fields));
            prune(place, merged, &last, &owned)
        };
        let mut difference = compare(place, self.object, &pruned)
            .map_err(|text| self.fail(&format!("failed to compare objects: {text}")))?;
        difference.retain(|step| self.writer.writes(self.resource, step));
        let changed = difference.changed();
        let conflicts = conflicts(&entries, mine, &changed);
        if !conflicts.is_empty() && !force {
            return Err(Refusal::Conflicts(conflicts));
        }
        let mut lost = changed;
        lost.add(&difference.removed);
        if pruned != *self.object {
            entries.0[mine].time = Some(metadata::time(self.now));
        }
        let own = std::mem::take(&mut entries.0[mine].fields);
        entries.0[mine].fields = strip(own);
        let gone = entries.0[mine].fields.is_empty();
        entries.lose(&lost, Some(mine));
        if gone {
            entries.0.retain(|entry| !entry.fields.is_empty());
        }
        let mut new = pruned;
        self.schema.settle(&mut new);
        entries.write(&mut new);
        Ok(new)
    }

    /// The place of the manager's entry, which is made when it has none.
    fn entry(&self, entries: &mut Entries) -> usize {
        let (resource, writer) = (self.resource, self.writer);
        let api_version = resource.api_version();
        let mut known = entries.0.iter_mut().enumerate();
        if let Some((place, entry)) = known.find(|(_, entry)| entry.is_of(resource, writer, true)) {
            entry.api_version = api_version;
            return place;
        }
        entries.0.push(Entry {
            manager: writer.manager.clone(),
            applies: true,
            api_version,
            subresource: writer.subresource.to_owned(),
            time: None,
            fields: FieldSet::default(),
        });
        entries.0.len() - 1
    }

    fn fail(&self, text: &str) -> Refusal {
        Refusal::Status(Status::new(500, "", text))
    }

    fn about(&self) -> String {
        let resource = self.resource;
        let (namespace, name) = (
            metadata::namespace(self.config),
            metadata::name(self.config),
        );
        format!(
            "{namespace}/{name}; {}/{}, Kind={}",
            resource.group, resource.version, resource.kind
        )
    }
}

fn conflicts(entries: &Entries, mine: usize, changed: &FieldSet) -> Vec<Conflict> {
    let others = entries.0.iter().enumerate().filter(|(i, _)| *i != mine);
    let mut conflicts: Vec<Conflict> = others
        .filter_map(|(_, entry)| {
            let fields = entry.fields.intersection(changed);
            let order = (
                entry.manager.clone(),
                !entry.applies,
                entry.api_version.clone(),
            );
            (!fields.is_empty()).then(|| Conflict {
                who: who(entry),
                order,
                fields,
            })
        })
        .collect();
    conflicts.sort_by(|a, b| a.order.cmp(&b.order));
    conflicts
}

fn who(entry: &Entry) -> String {
    let mut who = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        who.push_str(&format!(" with subresource {:?}", entry.subresource));
    }
    if !entry.applies {
        who.push_str(&format!(" using {}", entry.api_version));
    }
    who
}

fn conflict_status(conflicts: Vec<Conflict>) -> Status {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for conflict in &conflicts {
        lines.push(format!("conflicts with {}:", conflict.who));
        for path in conflict.fields.paths() {
            let field = path_text(&path);
            lines.push(format!("- {field}"));
            causes.push(json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {}", conflict.who),
                "field": field,
            }));
        }
    }
    let message = match causes.as_slice() {
        [one] => format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            conflicts[0].who,
            one["field"].as_str().unwrap_or_default()
        ),
        several => format!(
            "Apply failed with {} conflicts: {}",
            several.len(),
            lines.join("\n")
        ),
    };
    let mut status = Status::new(409, "Conflict", message);
    status.details = Some(Box::new(json!({ "causes": causes })));
    status
}

#[cfg(test)]
mod tests;
