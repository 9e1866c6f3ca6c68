//! Locks that tell others that something runs.

use std::fs::File;
use std::time::Duration;

use crate::sys;

/// How often a lock is tried.
const LOCK_TRIES: u32 = 10;
/// How long to wait between two tries.
const LOCK_AGAIN: Duration = Duration::from_millis(10);

/// Takes the lock. Whoever only looks whether it is held has it for an instant, so a refusal
/// counts when it stays.
pub(crate) fn take(lock: &File) -> bool {
    (0..LOCK_TRIES).any(|attempt| {
        if attempt > 0 {
            std::thread::sleep(LOCK_AGAIN);
        }
        sys::try_lock(lock)
    })
}
