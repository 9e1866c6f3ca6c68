//! The thread that writes: decides, commits in groups, then shows.

use std::{
    collections::HashMap,
    fs::File,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::{mpsc as async_mpsc, oneshot};
use tracing::error;

use super::{
    Change, Expect, Hint, Key, Object, Operation, Outcome, State,
    database::{Database, Row},
    signals::Signals,
};
use crate::{
    metadata,
    resource::{CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, intern},
    watch::{Event, EventKind},
};

/// As many operations are committed together at most.
const MAX_BATCH: usize = 512;
/// A commit waits at most so long for as many operations as the last one had.
const GATHER: Duration = Duration::from_micros(200);

/// The writing end of the store.
pub(super) struct Writer {
    pub(super) database: Database,
    pub(super) state: Arc<RwLock<State>>,
    pub(super) signals: Arc<Signals>,
    pub(super) hints: async_mpsc::UnboundedSender<Hint>,
    /// Held for as long as the writer lives.
    #[expect(dead_code, reason = "closing the file lets other processes in")]
    pub(super) lock: File,
}

/// What is decided and not yet committed.
#[derive(Default)]
struct Batch {
    version: u64,
    /// The latest decided state of each place; `None` when the object goes.
    pending: HashMap<Key, Option<Arc<Object>>>,
    written: Vec<Written>,
    replies: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

struct Written {
    object: Arc<Object>,
    removed: bool,
}

impl Writer {
    /// Writes until nobody can send operations any more.
    pub(super) fn run(mut self, waiting: &mpsc::Receiver<Operation>) {
        let mut last = 1;
        while let Ok(first) = waiting.recv() {
            let mut operations = vec![first];
            let end = Instant::now() + GATHER;
            while operations.len() < MAX_BATCH {
                let next = match waiting.try_recv() {
                    Ok(next) => Some(next),
                    // Writers come back soon after their last commit: a commit that waits for
                    // them saves a sync, which takes longer than the wait.
                    Err(_) if operations.len() < last => waiting
                        .recv_timeout(end.saturating_duration_since(Instant::now()))
                        .ok(),
                    Err(_) => None,
                };
                let Some(next) = next else { break };
                operations.push(next);
            }
            last = operations.len();
            self.process(operations);
        }
    }

    /// Writes the objects that are not there or differ, before the thread starts.
    pub(super) fn seed(&mut self, seeds: Vec<(Key, Value)>) {
        let mut operations = Vec::new();
        for (key, mut value) in seeds {
            let old = self
                .state
                .read()
                .get(key.storage, &key.namespace, &key.name)
                .cloned();
            let expect = match old {
                None => Expect::Absent,
                Some(old) if old.value()["spec"] != value["spec"] => {
                    value["metadata"] = old.value()["metadata"].clone();
                    Expect::Version(old.version)
                }
                Some(_) => continue,
            };
            let (reply, _) = oneshot::channel();
            operations.push(Operation {
                key,
                expect,
                change: Change::Put(value),
                reply,
            });
        }
        if !operations.is_empty() {
            self.process(operations);
        }
    }

    fn process(&mut self, operations: Vec<Operation>) {
        let mut batch = Batch::default();
        {
            let state = self.state.read();
            batch.version = state.version();
            for Operation {
                key,
                expect,
                change,
                reply,
            } in operations
            {
                let outcome = decide(&state, &mut batch, key, expect, change);
                batch.replies.push((reply, outcome));
            }
        }
        let rows: Vec<Row<'_>> = batch
            .written
            .iter()
            .map(|w| Row {
                object: w.object.as_ref(),
                removed: w.removed,
            })
            .collect();
        if !rows.is_empty()
            && let Err(failure) = self.database.commit(&rows, batch.version)
        {
            error!(%failure, "a batch of writes could not be committed");
            for (reply, _) in batch.replies {
                // A caller that no longer waits does not need the answer.
                let _ = reply.send(Outcome::Failed(failure.to_string()));
            }
            return;
        }
        drop(rows);
        self.show(batch.written, batch.version);
        for (reply, outcome) in batch.replies {
            let _ = reply.send(outcome);
        }
    }

    /// Makes a committed batch visible.
    fn show(&self, written: Vec<Written>, version: u64) {
        let mut touched = Vec::new();
        let mut hints = Vec::new();
        {
            let mut state = self.state.write();
            for Written { object, removed } in written {
                let storage = object.key.storage;
                if !touched.contains(&storage) {
                    touched.push(storage);
                }
                let previous = if removed {
                    state.remove(&object.key)
                } else {
                    state.put(object.clone())
                };
                let kind = match (&previous, removed) {
                    (_, true) => EventKind::Deleted,
                    (None, false) => EventKind::Added,
                    (Some(_), false) => EventKind::Modified,
                };
                hint(&state, &object, previous.as_deref(), removed, &mut hints);
                let event = Event {
                    kind,
                    object,
                    previous,
                };
                state.history_mut(storage).push(Arc::new(event));
            }
            state.set_version(version);
        }
        for storage in touched {
            self.signals.send(storage, version);
        }
        for hint in hints {
            // Without a collector (a store opened for reading) nobody listens.
            let _ = self.hints.send(hint);
        }
    }
}

/// Decides one operation against what the ones before it left.
fn decide(state: &State, batch: &mut Batch, key: Key, expect: Expect, change: Change) -> Outcome {
    let current = latest(state, batch, &key);
    match (expect, current) {
        (Expect::Absent, None) => {
            if let Some(refusal) = refused_by_namespace(state, batch, &key) {
                return refusal;
            }
        }
        (Expect::Version(version), Some(object)) if object.version == version => {}
        (Expect::EmptyNamespace(version), Some(object))
            if object.version == version && namespace_is_empty(state, batch, &key.name) => {}
        _ => return Outcome::Conflict,
    }
    batch.version += 1;
    let (value, removed) = match change {
        Change::Put(value) => (value, false),
        Change::Remove(value) => (value, true),
    };
    let object = Arc::new(Object::new(key.clone(), batch.version, value));
    batch
        .pending
        .insert(key, (!removed).then(|| object.clone()));
    batch.written.push(Written {
        object: object.clone(),
        removed,
    });
    Outcome::Done(object)
}

fn latest(state: &State, batch: &Batch, key: &Key) -> Option<Arc<Object>> {
    match batch.pending.get(key) {
        Some(pending) => pending.clone(),
        None => state.get(key.storage, &key.namespace, &key.name).cloned(),
    }
}

fn refused_by_namespace(state: &State, batch: &Batch, key: &Key) -> Option<Outcome> {
    if key.namespace.is_empty() {
        return None;
    }
    let place = Key {
        storage: NAMESPACES.storage,
        namespace: String::new(),
        name: key.namespace.clone(),
    };
    match latest(state, batch, &place) {
        None => Some(Outcome::NoNamespace),
        Some(namespace) if namespace.is_deleting => Some(Outcome::NamespaceEnds),
        Some(_) => None,
    }
}

fn namespace_is_empty(state: &State, batch: &Batch, namespace: &str) -> bool {
    let mut pending = batch
        .pending
        .iter()
        .filter(|(key, _)| key.namespace == namespace);
    if pending.any(|(_, object)| object.is_some()) {
        return false;
    }
    let content = state.content(namespace);
    content
        .iter()
        .all(|key| batch.pending.get(key).is_some_and(Option::is_none))
}

/// Tells the garbage collector what it has to look at after a change.
fn hint(
    state: &State,
    object: &Object,
    previous: Option<&Object>,
    removed: bool,
    hints: &mut Vec<Hint>,
) {
    let value = &object.value();
    if removed {
        let uid = metadata::uid(value);
        if state.has_dependents(uid) {
            hints.push(Hint::Gone {
                uid: uid.to_owned(),
            });
        }
        // Its owners and its namespace may wait for it.
        for owner in metadata::owners(value)
            .iter()
            .filter_map(|o| o["uid"].as_str())
        {
            if let Some(owner) = state.by_uid(owner).filter(|o| o.is_deleting) {
                hints.push(Hint::Ending(owner.key.clone()));
            }
        }
        let namespace = state.get(NAMESPACES.storage, "", &object.key.namespace);
        if let Some(namespace) = namespace.filter(|n| n.is_deleting) {
            hints.push(Hint::Ending(namespace.key.clone()));
        }
        let definition = intern::storage_name(object.key.storage);
        let definition = state.get(CUSTOM_RESOURCE_DEFINITIONS.storage, "", definition);
        if let Some(definition) = definition.filter(|d| d.is_deleting) {
            hints.push(Hint::Ending(definition.key.clone()));
        }
        return;
    }
    let owners = metadata::owners(value);
    if !owners.is_empty() && previous.is_none_or(|p| metadata::owners(&p.value()) != owners) {
        hints.push(Hint::Owned(object.key.clone()));
    }
    if metadata::is_deleting(value) {
        hints.push(Hint::Ending(object.key.clone()));
    }
}
