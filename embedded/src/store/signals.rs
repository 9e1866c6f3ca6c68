//! What wakes those who watch a table.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

/// One channel for each table, which tells the version of its last change. They close when the
/// store does.
#[derive(Default)]
pub(super) struct Signals(RwLock<Vec<Arc<watch::Sender<u64>>>>);

impl Signals {
    /// The channel of a table, made when it is first asked for.
    pub(super) fn of(&self, storage: usize) -> Arc<watch::Sender<u64>> {
        if let Some(signal) = self.0.read().get(storage) {
            return signal.clone();
        }
        let mut signals = self.0.write();
        while signals.len() <= storage {
            signals.push(Arc::new(watch::channel(0).0));
        }
        signals[storage].clone()
    }

    /// Tells a new version.
    pub(super) fn send(&self, storage: usize, version: u64) {
        self.of(storage).send_replace(version);
    }
}
