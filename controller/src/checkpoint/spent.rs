//! Trials whose checkpoints nobody will continue any more, until a trial that starts is told to
//! remove them.

use std::collections::{HashMap, HashSet, VecDeque};

use parking_lot::Mutex;

/// So many folders one trial removes at most.
const MOST: usize = 100;

/// The spent trials of all experiments, by the experiment's uid.
///
/// Nothing is lost with the process: each answer of the algorithm brings all of them anew, and to
/// remove what is gone does no harm.
#[derive(Default)]
pub(crate) struct Spent {
    by_uid: Mutex<HashMap<String, Names>>,
}

#[derive(Default)]
struct Names {
    /// Those that no trial was told yet.
    waiting: VecDeque<String>,
    known: HashSet<String>,
}

impl Spent {
    /// Takes in all spent trials of an experiment.
    pub(crate) fn learn(&self, uid: &str, names: Vec<String>) {
        if names.is_empty() {
            return;
        }
        let mut by_uid = self.by_uid.lock();
        let entry = by_uid.entry(uid.to_owned()).or_default();
        for name in names {
            if entry.known.insert(name.clone()) {
                entry.waiting.push_back(name);
            }
        }
    }

    /// Those that the next trial is to remove.
    pub(crate) fn take(&self, uid: &str) -> Vec<String> {
        let mut by_uid = self.by_uid.lock();
        let Some(names) = by_uid.get_mut(uid) else {
            return Vec::new();
        };
        let count = names.waiting.len().min(MOST);
        names.waiting.drain(..count).collect()
    }

    /// Takes back those that a trial was not told after all.
    pub(crate) fn put_back(&self, uid: &str, names: Vec<String>) {
        if let Some(entry) = self.by_uid.lock().get_mut(uid) {
            entry.waiting.extend(names);
        }
    }

    /// Drops those of an experiment that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.by_uid.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| n.to_string()).collect()
    }

    #[test]
    fn each_is_told_once() {
        let spent = Spent::default();
        assert_eq!(spent.take("e"), names(0));
        spent.learn("e", names(2));
        spent.learn("e", names(3));
        assert_eq!(spent.take("other"), names(0));
        assert_eq!(spent.take("e"), names(3));
        spent.learn("e", names(3));
        assert_eq!(spent.take("e"), names(0));
        spent.put_back("e", names(1));
        assert_eq!(spent.take("e"), names(1));
    }

    #[test]
    fn one_trial_is_not_told_too_many() {
        let spent = Spent::default();
        spent.learn("e", names(MOST + 1));
        assert_eq!(spent.take("e").len(), MOST);
        assert_eq!(spent.take("e").len(), 1);
    }
}
