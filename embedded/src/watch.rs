//! Changes of a kind, from a version on.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::RwLock;
use serde_json::Value;
use tokio::sync::watch;

use crate::store::{Object, State};

/// Bytes of JSON of the latest changes that each table keeps for watchers that come late.
const HISTORY_BYTES: usize = 2 << 20;
/// As many changes are kept even if they are larger.
const HISTORY_MIN: usize = 256;
/// As many changes are kept at most.
const HISTORY_MAX: usize = 8192;

/// One change, as a reader in this process sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent {
    /// The object is new.
    Added(Arc<Value>),
    /// The object has changed.
    Modified(Arc<Value>),
    /// The object is gone; this is its last state.
    Deleted(Arc<Value>),
    /// The history does not reach back to where the reader is: it has to list again. The last
    /// event of a stream.
    Expired,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// It is new.
    Added,
    /// It has changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// One change.
#[derive(Debug)]
pub(crate) struct Event {
    /// What happened.
    pub(crate) kind: EventKind,
    /// The object after it.
    pub(crate) object: Arc<Object>,
    /// The object before it.
    pub(crate) previous: Option<Arc<Object>>,
}

/// The latest changes of one table, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    events: VecDeque<Arc<Event>>,
    /// The version up to which changes are forgotten.
    floor: u64,
    bytes: usize,
}

impl History {
    /// Nothing is known before `floor`.
    pub(crate) fn new(floor: u64) -> Self {
        Self {
            events: VecDeque::new(),
            floor,
            bytes: 0,
        }
    }

    /// Adds a change and forgets the oldest ones beyond the bounds.
    pub(crate) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.object.json.len();
        self.events.push_back(event);
        while self.events.len() > HISTORY_MAX
            || (self.bytes > HISTORY_BYTES && self.events.len() > HISTORY_MIN)
        {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.object.json.len();
            self.floor = oldest.object.version;
        }
    }

    /// The changes after a version; `Err` holds the oldest version that can be asked for.
    pub(crate) fn after(&self, version: u64) -> Result<Vec<Arc<Event>>, u64> {
        if version < self.floor {
            return Err(self.floor);
        }
        let start = self
            .events
            .partition_point(|event| event.object.version <= version);
        Ok(self.events.range(start..).cloned().collect())
    }
}

/// The history does not reach back far enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    /// The version that was asked for.
    pub(crate) asked: u64,
    /// The oldest version that can be asked for.
    pub(crate) oldest: u64,
}

/// One reader of the changes of a table.
pub(crate) struct Watcher {
    state: Arc<RwLock<State>>,
    storage: usize,
    cursor: u64,
    signal: watch::Receiver<u64>,
}

impl Watcher {
    pub(crate) fn new(
        state: Arc<RwLock<State>>,
        storage: usize,
        from: u64,
        signal: watch::Receiver<u64>,
    ) -> Self {
        Self {
            state,
            storage,
            cursor: from,
            signal,
        }
    }

    /// The version up to which all changes were given.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The changes since the last call, without waiting. Moves the cursor to the version of the
    /// last commit, whichever table it was in.
    pub(crate) fn take(&mut self) -> Result<Vec<Arc<Event>>, Expired> {
        self.signal.borrow_and_update();
        let state = self.state.read();
        let asked = self.cursor;
        let after = |history: &History| history.after(asked);
        let events = state
            .history(self.storage)
            .map_or_else(|| Ok(Vec::new()), after)
            .map_err(|oldest| Expired { asked, oldest })?;
        self.cursor = self.cursor.max(state.version());
        Ok(events)
    }

    /// Waits for changes. `Ok(None)` when the store is closed.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Arc<Event>>>, Expired> {
        loop {
            let events = self.take()?;
            if !events.is_empty() {
                return Ok(Some(events));
            }
            if self.signal.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}
