//! How long something has been failing, so that no wait is endless.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::key::Key;

/// Since when something has been failing, by object. Kept in memory: a restart starts anew.
#[derive(Default)]
pub(crate) struct Patience {
    since: Mutex<HashMap<Key, Timestamp>>,
}

impl Patience {
    /// For how long it has been failing, this time included.
    pub(crate) fn waited(&self, key: &Key, now: Timestamp) -> Duration {
        let mut since = self.since.lock();
        let start = *since.entry(key.clone()).or_insert(now);
        Duration::try_from(now.duration_since(start)).unwrap_or_default()
    }

    /// Forgets an object, because it no longer fails or no longer exists.
    pub(crate) fn forget(&self, key: &Key) {
        self.since.lock().remove(key);
    }
}
