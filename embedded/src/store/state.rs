//! The objects in memory, with their indexes and the latest changes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{Key, Object};
use crate::{metadata, resource::STORAGES, watch::History};

/// All objects and what is derived from them.
pub(crate) struct State {
    version: u64,
    tables: Vec<Table>,
    /// The version at which this process took over.
    start: u64,
    by_uid: HashMap<String, Key>,
    by_owner: HashMap<String, HashSet<Key>>,
}

struct Table {
    objects: BTreeMap<String, BTreeMap<String, Arc<Object>>>,
    by_label: HashMap<(String, String), BTreeSet<(String, String)>>,
    history: History,
}

impl Table {
    fn new(start: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            by_label: HashMap::new(),
            history: History::new(start),
        }
    }
}

impl State {
    /// No objects, at a version.
    pub(super) fn new(version: u64) -> Self {
        Self {
            version,
            tables: STORAGES.iter().map(|_| Table::new(version)).collect(),
            start: version,
            by_uid: HashMap::new(),
            by_owner: HashMap::new(),
        }
    }

    /// The version of the last commit.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn set_version(&mut self, version: u64) {
        self.version = version;
    }

    /// A table, made when it is not there yet.
    fn table_mut(&mut self, storage: usize) -> &mut Table {
        while self.tables.len() <= storage {
            self.tables.push(Table::new(self.start));
        }
        &mut self.tables[storage]
    }

    /// The latest changes of a table, once it is there.
    pub(crate) fn history(&self, storage: usize) -> Option<&History> {
        Some(&self.tables.get(storage)?.history)
    }

    pub(super) fn history_mut(&mut self, storage: usize) -> &mut History {
        &mut self.table_mut(storage).history
    }

    /// The object at a place.
    pub(crate) fn get(&self, storage: usize, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.tables.get(storage)?.objects.get(namespace)?.get(name)
    }

    /// The objects of a table, all or those of one namespace, ordered by namespace and name.
    pub(crate) fn list(
        &self,
        storage: usize,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Object>> {
        let objects = self.tables.get(storage).map(|table| &table.objects);
        let one = namespace.and_then(|n| objects?.get(n));
        let all = objects.filter(|_| namespace.is_none());
        one.into_iter()
            .chain(all.into_iter().flat_map(BTreeMap::values))
            .flat_map(BTreeMap::values)
    }

    /// The objects of a table as they were at a version of the past. `Err` holds the oldest
    /// version that is known.
    pub(crate) fn list_at(
        &self,
        storage: usize,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Arc<Object>>, u64> {
        let Some(history) = self.history(storage) else {
            return Ok(Vec::new());
        };
        let events = history.after(version)?;
        let place = |object: &Object| (object.key.namespace.clone(), object.key.name.clone());
        let mut objects: BTreeMap<_, _> = self
            .list(storage, namespace)
            .map(|object| (place(object), object.clone()))
            .collect();
        for event in events.iter().rev() {
            let key = &event.object.key;
            if namespace.is_some_and(|namespace| namespace != key.namespace) {
                continue;
            }
            match &event.previous {
                Some(previous) => objects.insert(place(previous), previous.clone()),
                None => objects.remove(&place(&event.object)),
            };
        }
        Ok(objects.into_values().collect())
    }

    /// The objects of a table that have a label; `None` when that label is not indexed.
    pub(crate) fn list_labelled<'a>(
        &'a self,
        storage: usize,
        namespace: Option<&'a str>,
        label: &str,
        value: &str,
    ) -> Option<impl Iterator<Item = &'a Arc<Object>>> {
        if !is_indexed(label) {
            return None;
        }
        let table = self.tables.get(storage);
        let label = (label.to_owned(), value.to_owned());
        let places = table.and_then(|table| table.by_label.get(&label));
        let places = places.into_iter().flatten();
        let wanted = places.filter(move |(n, _)| namespace.is_none_or(|wanted| wanted == n));
        Some(wanted.filter_map(move |(namespace, name)| self.get(storage, namespace, name)))
    }

    /// Whether any object is in a namespace.
    pub(crate) fn is_empty(&self, namespace: &str) -> bool {
        self.tables
            .iter()
            .all(|table| !table.objects.contains_key(namespace))
    }

    /// Everything in a namespace.
    pub(crate) fn content(&self, namespace: &str) -> Vec<Key> {
        let tables = self
            .tables
            .iter()
            .filter_map(|table| table.objects.get(namespace));
        tables
            .flat_map(BTreeMap::values)
            .map(|object| object.key.clone())
            .collect()
    }

    /// The object with a unique identifier.
    pub(crate) fn by_uid(&self, uid: &str) -> Option<&Arc<Object>> {
        let key = self.by_uid.get(uid)?;
        self.get(key.storage, &key.namespace, &key.name)
    }

    /// The objects that name an owner by its unique identifier.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Arc<Object>> {
        let keys = self.by_owner.get(uid).into_iter().flatten();
        keys.filter_map(|key| self.get(key.storage, &key.namespace, &key.name))
            .cloned()
            .collect()
    }

    /// Whether any object names this one as its owner.
    pub(crate) fn has_dependents(&self, uid: &str) -> bool {
        self.by_owner.contains_key(uid)
    }

    /// Where objects are that name owners.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Key> {
        self.by_owner.values().flatten()
    }

    /// Every object.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.tables
            .iter()
            .flat_map(|t| t.objects.values())
            .flat_map(BTreeMap::values)
    }

    /// Puts an object in the place of the one before it, which is returned.
    pub(super) fn put(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let key = &object.key;
        let table = self.table_mut(key.storage);
        let old = table
            .objects
            .entry(key.namespace.clone())
            .or_default()
            .insert(key.name.clone(), object.clone());
        let value = object.value();
        let before = old.as_ref().map(|old| old.value());
        if let Some(before) = &before {
            self.unindex(key, before, Some(&value));
        }
        self.index(key, &value, before.as_deref());
        old
    }

    /// Takes an object away and returns it.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let objects = &mut self.tables.get_mut(key.storage)?.objects;
        let namespace = objects.get_mut(&key.namespace)?;
        let old = namespace.remove(&key.name)?;
        if namespace.is_empty() {
            objects.remove(&key.namespace);
        }
        self.unindex(key, &old.value(), None);
        Some(old)
    }

    fn index(&mut self, key: &Key, value: &Value, old: Option<&Value>) {
        if old.is_none_or(|old| metadata::uid(old) != metadata::uid(value)) {
            self.by_uid
                .insert(metadata::uid(value).to_owned(), key.clone());
        }
        for uid in owner_uids(value) {
            if old.is_none_or(|old| !owner_uids(old).any(|o| o == uid)) {
                self.by_owner
                    .entry(uid.to_owned())
                    .or_default()
                    .insert(key.clone());
            }
        }
        if old.is_none_or(|old| metadata::labels(old) != metadata::labels(value)) {
            let place = (key.namespace.clone(), key.name.clone());
            for label in indexed_labels(value) {
                let index = &mut self.tables[key.storage].by_label;
                index.entry(label).or_default().insert(place.clone());
            }
        }
    }

    /// Removes what no longer holds once `new` has taken the place of a value.
    fn unindex(&mut self, key: &Key, value: &Value, new: Option<&Value>) {
        if new.is_none_or(|new| metadata::uid(new) != metadata::uid(value)) {
            self.by_uid.remove(metadata::uid(value));
        }
        for uid in owner_uids(value) {
            if new.is_some_and(|new| owner_uids(new).any(|o| o == uid)) {
                continue;
            }
            if let Some(keys) = self.by_owner.get_mut(uid) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_owner.remove(uid);
                }
            }
        }
        if new.is_none_or(|new| metadata::labels(new) != metadata::labels(value)) {
            let place = (key.namespace.clone(), key.name.clone());
            for label in indexed_labels(value) {
                let index = &mut self.tables[key.storage].by_label;
                if let Some(places) = index.get_mut(&label) {
                    places.remove(&place);
                    if places.is_empty() {
                        index.remove(&label);
                    }
                }
            }
        }
    }
}

/// Labels by which controllers and clients select among many objects.
fn is_indexed(label: &str) -> bool {
    label.starts_with("katib.kubeflow.org/")
        || matches!(label, "batch.kubernetes.io/job-name" | "job-name")
        || matches!(
            label,
            "batch.kubernetes.io/controller-uid" | "controller-uid"
        )
}

fn indexed_labels(value: &Value) -> impl Iterator<Item = (String, String)> {
    metadata::labels(value)
        .into_iter()
        .flatten()
        .filter(|(label, _)| is_indexed(label))
        .filter_map(|(label, value)| Some((label.clone(), value.as_str()?.to_owned())))
}

fn owner_uids(value: &Value) -> impl Iterator<Item = &str> {
    metadata::owners(value)
        .iter()
        .filter_map(|owner| owner["uid"].as_str())
}
