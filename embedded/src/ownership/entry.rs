//! The entries of `metadata.managedFields`: one per manager, operation and subresource.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Writer, set::FieldSet};
use crate::{metadata, resource::Resource};

/// As many entries there are at most of managers that do not apply.
const MAX_UPDATERS: usize = 10;
/// Who owns what the oldest of more managers owned.
const ANCIENT: &str = "ancient-changes";

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: String,
    /// Whether the manager applies, instead of updating.
    pub(super) applies: bool,
    pub(super) api_version: String,
    pub(super) subresource: String,
    /// When the manager last changed anything.
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entries(pub(super) Vec<Entry>);

impl Entry {
    fn read(value: &Value) -> Option<Self> {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        if value["fieldsType"] != "FieldsV1" {
            return None;
        }
        Some(Self {
            manager: text("manager"),
            applies: match value["operation"].as_str()? {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            },
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: value["time"].as_str().map(str::to_owned),
            fields: match &value["fieldsV1"] {
                Value::Null => FieldSet::default(),
                Value::Object(set) => FieldSet::from_json(set.clone()),
                _ => return None,
            },
        })
    }

    fn into_json(self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.applies { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.into_json(),
        });
        if let Some(time) = self.time {
            entry["time"] = json!(time);
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    /// Whether this is the entry of a writer. A manager that applies has one for all versions.
    pub(super) fn is_of(&self, resource: &Resource, writer: &Writer, applies: bool) -> bool {
        self.applies == applies
            && self.manager == writer.manager
            && self.subresource == writer.subresource
            && (applies || self.api_version == resource.api_version())
    }
}

impl Entries {
    /// The entries of an object. `None` when one of them makes no sense.
    fn read(list: &[Value]) -> Option<Self> {
        list.iter()
            .map(Entry::read)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The entries of a stored object.
    pub(super) fn of_live(live: Option<&Value>) -> Self {
        let list = live.and_then(|live| live["metadata"]["managedFields"].as_array());
        list.and_then(|list| Self::read(list)).unwrap_or_default()
    }

    /// The entries that an update starts from: those that the client sent, unless it left them
    /// out or they make no sense. An empty list, or a list of one empty entry, forgets all.
    pub(super) fn of_update(live: Option<&Value>, new: &Value, writer: &Writer) -> Self {
        let before = live.map_or(&Value::Null, |live| &live["metadata"]["managedFields"]);
        let sent = &new["metadata"]["managedFields"];
        let Some(list) = sent
            .as_array()
            .filter(|_| writer.subresource.is_empty() && sent != before)
        else {
            return Self::of_live(live);
        };
        let forgets = match list.as_slice() {
            [] => true,
            [one] => one.as_object().is_some_and(Map::is_empty),
            _ => false,
        };
        if forgets {
            return Self::default();
        }
        match Self::read(list).and_then(Self::normal) {
            Some(entries) => entries,
            None => Self::of_live(live),
        }
    }

    /// The entries with their fields in the form in which they are compared.
    fn normal(mut self) -> Option<Self> {
        for entry in &mut self.0 {
            entry.fields = std::mem::take(&mut entry.fields).normal()?;
        }
        Some(self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes fields away from all but one entry. Who owns nothing any more has no entry.
    pub(super) fn lose(&mut self, fields: &FieldSet, except: Option<usize>) {
        let mut index = 0;
        self.0.retain_mut(|entry| {
            let spared = except == Some(index);
            index += 1;
            if !spared {
                entry.fields.remove(fields);
            }
            spared || !entry.fields.is_empty()
        });
    }

    /// Gives fields to a writer that updates.
    pub(super) fn own(
        &mut self,
        resource: &Resource,
        writer: &Writer,
        fields: FieldSet,
        now: Timestamp,
    ) {
        if fields.is_empty() {
            return;
        }
        let time = Some(metadata::time(now));
        let mut known = self.0.iter_mut();
        if let Some(entry) = known.find(|entry| entry.is_of(resource, writer, false)) {
            entry.fields.add(&fields);
            entry.time = time;
            return;
        }
        self.0.push(Entry {
            manager: writer.manager.clone(),
            applies: false,
            api_version: resource.api_version(),
            subresource: writer.subresource.to_owned(),
            time,
            fields,
        });
    }

    /// Puts the oldest entries of managers that do not apply together when there are too many.
    pub(super) fn cap(&mut self) {
        let count = self.0.iter().filter(|entry| !entry.applies).count();
        if count <= MAX_UPDATERS {
            return;
        }
        let (mut updaters, mut rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|entry| !entry.applies);
        updaters.sort_by(|a, b| (&a.time, &a.manager).cmp(&(&b.time, &b.manager)));
        let mut excess = count - MAX_UPDATERS;
        // The first of each version waits in its bucket until a second one comes.
        let mut buckets: HashMap<String, usize> = HashMap::new();
        for mut entry in updaters {
            match buckets.get(&entry.api_version) {
                Some(bucket) if excess > 0 => {
                    let bucket = &mut rest[*bucket];
                    bucket.manager = ANCIENT.to_owned();
                    bucket.subresource = String::new();
                    bucket.fields.add(&entry.fields);
                    bucket.time = entry.time.take();
                    excess -= 1;
                }
                known => {
                    if known.is_none() {
                        buckets.insert(entry.api_version.clone(), rest.len());
                    }
                    rest.push(entry);
                }
            }
        }
        self.0 = rest;
    }

    /// Writes the entries into an object, in the order of Kubernetes.
    pub(super) fn write(mut self, object: &mut Value) {
        let rank = |e: &Entry| {
            (
                !e.applies,
                e.time.clone(),
                e.manager.clone(),
                e.api_version.clone(),
                e.subresource.clone(),
            )
        };
        self.0.sort_by_cached_key(rank);
        if self.is_empty() {
            metadata::unset(object, "managedFields");
            return;
        }
        let list: Vec<Value> = self.0.into_iter().map(Entry::into_json).collect();
        metadata::set(object, "managedFields", list);
    }
}

/// Whether two objects differ at most in when their managers last changed anything.
pub(crate) fn same_but_times(old: &Value, new: &Value) -> bool {
    let (Some(before), Some(after)) = (old.as_object(), new.as_object()) else {
        return old == new;
    };
    let metadata = |object: &Value| object["metadata"].as_object().cloned().unwrap_or_default();
    before.len() == after.len()
        && before
            .iter()
            .all(|(field, value)| field == "metadata" || after.get(field) == Some(value))
        && {
            let (mut before, mut after) = (metadata(old), metadata(new));
            untimed(&mut before);
            untimed(&mut after);
            before == after
        }
}

fn untimed(metadata: &mut Map<String, Value>) {
    let Some(Value::Array(list)) = metadata.get_mut("managedFields") else {
        return;
    };
    for entry in list.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
    list.sort_by_cached_key(Value::to_string);
}

#[cfg(test)]
mod tests {
    use super::{Entries, Entry, FieldSet, MAX_UPDATERS};

    fn entry(manager: &str, time: &str) -> Entry {
        let mut fields = FieldSet::default();
        fields.insert(&[format!("f:{manager}")]);
        Entry {
            manager: manager.to_owned(),
            applies: false,
            api_version: "v1".to_owned(),
            subresource: String::new(),
            time: Some(time.to_owned()),
            fields,
        }
    }

    #[test]
    fn the_oldest_of_too_many_managers_are_put_together() {
        let mut entries = Entries(
            (0..MAX_UPDATERS + 2)
                .map(|i| entry(&format!("m{i:02}"), &format!("2026-01-01T00:00:{i:02}Z")))
                .collect(),
        );
        entries.cap();
        assert_eq!(entries.0.len(), MAX_UPDATERS);
        let ancient = &entries.0[0];
        assert_eq!(ancient.manager, "ancient-changes");
        assert_eq!(ancient.time.as_deref(), Some("2026-01-01T00:00:02Z"));
        assert_eq!(ancient.fields.paths(), [["f:m00"], ["f:m01"], ["f:m02"]]);
    }
}
