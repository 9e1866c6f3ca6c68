//! The kinds that one API serves at one time: the built-in ones and those of definitions.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::{ALL, ENDPOINTS, Resource};
use crate::{
    custom::{self, Custom},
    schema::{self, Schema},
};

/// The kinds that are served. It never changes: another takes its place.
pub struct Kinds {
    rows: Vec<&'static Resource>,
    customs: HashMap<(&'static str, &'static str, &'static str), Arc<Custom>>,
    documents: Mutex<HashMap<String, Bytes>>,
}

impl Kinds {
    /// The built-in kinds and those of established definitions, whose schemas are taken over from
    /// `before` where they are the same.
    pub(crate) fn new(definitions: &[Arc<Value>], before: Option<&Self>) -> Self {
        let mut kinds = Self {
            rows: ALL.into_iter().filter(|row| !row.custom).collect(),
            customs: HashMap::new(),
            documents: Mutex::default(),
        };
        for definition in definitions {
            for custom in custom::of(definition, |row| before.and_then(|b| b.shared(row))) {
                kinds.rows.push(custom.resource);
                kinds.customs.insert(key(custom.resource), custom);
            }
        }
        kinds
    }

    /// What the readers of a deprecated kind are told.
    pub(crate) fn deprecation(&self, resource: &Resource) -> Option<&str> {
        if resource == &ENDPOINTS {
            return Some(
                "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
            );
        }
        self.custom(resource)?.deprecation.as_deref()
    }

    /// All kinds, in the order in which discovery lists them.
    pub fn all(&self) -> &[&'static Resource] {
        &self.rows
    }

    /// The kind at a path.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
        let mut rows = self.rows.iter().copied();
        rows.find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// The kind of an object.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<&'static Resource> {
        let mut rows = self.rows.iter().copied();
        rows.find(|r| r.kind == kind && r.api_version() == api_version)
    }

    /// The kind whose objects a table holds, in the version in which they are stored.
    pub(crate) fn of_storage(&self, storage: usize) -> Option<&'static Resource> {
        let mut rows = self.rows.iter().copied();
        rows.find(|row| {
            row.storage == storage
                && self
                    .custom(row)
                    .is_none_or(|c| c.storage_version == row.version)
        })
    }

    /// What the definition of a custom kind says.
    pub(crate) fn custom(&self, resource: &Resource) -> Option<&Custom> {
        self.customs.get(&key(resource)).map(Arc::as_ref)
    }

    /// A document about the kinds, made once.
    pub(crate) fn document(&self, path: &str, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut documents = self.documents.lock();
        documents
            .entry(path.to_owned())
            .or_insert_with(make)
            .clone()
    }

    fn shared(&self, resource: &Resource) -> Option<Arc<Custom>> {
        self.customs.get(&key(resource)).cloned()
    }

    /// The schema of a kind; `None` where none is known.
    pub(crate) fn schema(&self, resource: &Resource) -> Option<Schema> {
        match self.custom(resource) {
            Some(custom) => Some(custom.schema().clone()),
            None => schema::builtin(resource),
        }
    }

    /// The named groups, each once.
    pub(crate) fn groups(&self) -> Vec<&'static str> {
        let mut groups = Vec::new();
        for row in self.rows.iter().filter(|row| !row.group.is_empty()) {
            if !groups.contains(&row.group) {
                groups.push(row.group);
            }
        }
        groups
    }

    /// The versions of a group, the preferred one first.
    pub(crate) fn versions(&self, group: &str) -> Vec<&'static str> {
        let mut versions = Vec::new();
        for row in self.rows.iter().filter(|row| row.group == group) {
            if !versions.contains(&row.version) {
                versions.push(row.version);
            }
        }
        versions.sort_by_key(|version| std::cmp::Reverse(custom::priority(version)));
        versions
    }

    /// The kinds of a group's version.
    pub(crate) fn served(
        &self,
        group: &str,
        version: &str,
    ) -> impl Iterator<Item = &'static Resource> {
        let rows = self.rows.iter().copied();
        rows.filter(move |r| r.group == group && r.version == version)
    }
}

fn key(resource: &Resource) -> (&'static str, &'static str, &'static str) {
    (resource.group, resource.version, resource.plural)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Kinds;
    use crate::{
        custom::seeds,
        resource::{ALL, STORAGES},
    };

    #[test]
    fn every_built_in_kind_has_a_table_and_is_found_by_its_name() {
        let definitions: Vec<_> = seeds().into_iter().map(Arc::new).collect();
        let kinds = Kinds::new(&definitions, None);
        for resource in ALL {
            assert!(STORAGES[resource.storage].starts_with(resource.plural));
            let found = kinds.find_kind(&resource.api_version(), resource.kind);
            // The very row of the program: definitions say the same of ours.
            assert!(std::ptr::eq(found.unwrap(), resource), "{}", resource.kind);
            if resource.group != "events.k8s.io" {
                assert_eq!(kinds.of_storage(resource.storage), Some(resource));
            }
        }
    }
}
