//! The processes below this one, from `/proc`.

use std::fs;

use crate::sys;

/// Sends a signal to every descendant of this process. Returns whether there was one.
pub(crate) fn signal_all(number: i32) -> bool {
    let mut found = Vec::new();
    children(sys::process_id(), &mut found);
    let mut next = 0;
    while next < found.len() {
        children(found[next], &mut found);
        next += 1;
    }
    for pid in &found {
        sys::kill(*pid, number);
    }
    !found.is_empty()
}

/// Sends a signal to a process and all its descendants.
pub(crate) fn signal(pid: i32, number: i32) {
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        children(found[next], &mut found);
        next += 1;
    }
    for pid in found {
        sys::kill(pid, number);
    }
}

/// The children of this process.
pub(crate) fn own() -> Vec<i32> {
    let mut found = Vec::new();
    children(sys::process_id(), &mut found);
    found
}

/// Adds the children of all threads of a process. A process that is gone has none.
fn children(pid: i32, found: &mut Vec<i32>) {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return;
    };
    for thread in threads.flatten() {
        let Ok(text) = fs::read_to_string(thread.path().join("children")) else {
            continue;
        };
        for child in text
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
        {
            if !found.contains(&child) {
                found.push(child);
            }
        }
    }
}
