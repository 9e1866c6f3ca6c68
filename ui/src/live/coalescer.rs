//! Gathers changes so that a page gets a few messages a second, however fast trials run.
//!
//! Time comes in from outside.

use std::{collections::HashMap, time::Duration};

use indexmap::IndexMap;
use tokio::time::Instant;

use crate::view::live::{LiveBatch, LiveChange};

/// The experiment that a change belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Group {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub experiment: String,
}

/// Changes that wait to be sent, by experiment.
pub(super) struct Coalescer {
    interval: Duration,
    waiting: HashMap<Group, Waiting>,
}

struct Waiting {
    due: Instant,
    /// The latest change of each object: of a trial under its name, of the experiment under none.
    changes: IndexMap<Option<String>, LiveChange>,
}

impl Coalescer {
    /// Makes a coalescer that sends the changes of an experiment once per `interval`.
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            waiting: HashMap::new(),
        }
    }

    /// Adds a change, in place of an earlier one of the same object.
    pub(super) fn push(&mut self, group: Group, change: LiveChange, now: Instant) {
        let due = now + self.interval;
        let fresh = || Waiting {
            due,
            changes: IndexMap::new(),
        };
        let waiting = self.waiting.entry(group).or_insert_with(fresh);
        waiting
            .changes
            .insert(change.trial().map(str::to_owned), change);
    }

    /// Returns when the next batch is due; `None` when nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.due).min()
    }

    /// Takes the batches that are due.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<LiveBatch> {
        let due = self.waiting.extract_if(|_, waiting| waiting.due <= now);
        let batch = |(group, waiting): (Group, Waiting)| LiveBatch {
            namespace: group.namespace,
            experiment: group.experiment,
            changes: waiting.changes.into_values().collect(),
        };
        due.map(batch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(250);

    fn group(experiment: &str) -> Group {
        Group {
            namespace: "default".into(),
            experiment: experiment.into(),
        }
    }

    fn gone(trial: &str) -> LiveChange {
        LiveChange::TrialDeleted { name: trial.into() }
    }

    #[test]
    fn nothing_is_due_when_nothing_changed() {
        assert_eq!(Coalescer::new(INTERVAL).due(), None);
    }

    #[test]
    fn changes_of_one_experiment_leave_together_an_interval_after_the_first() {
        let start = Instant::now();
        let mut coalescer = Coalescer::new(INTERVAL);
        coalescer.push(group("a"), gone("a-1"), start);
        coalescer.push(group("a"), gone("a-2"), start + INTERVAL / 2);
        assert_eq!(coalescer.due(), Some(start + INTERVAL));
        assert_eq!(coalescer.take_due(start + INTERVAL / 2), []);
        let batches = coalescer.take_due(start + INTERVAL);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].changes, [gone("a-1"), gone("a-2")]);
        assert_eq!(coalescer.due(), None);
    }

    #[test]
    fn the_latest_change_of_an_object_replaces_earlier_ones() {
        let start = Instant::now();
        let mut coalescer = Coalescer::new(INTERVAL);
        coalescer.push(group("a"), gone("a-1"), start);
        coalescer.push(group("a"), LiveChange::ExperimentDeleted, start);
        coalescer.push(group("a"), gone("a-1"), start);
        let batches = coalescer.take_due(start + INTERVAL);
        assert_eq!(
            batches[0].changes,
            [gone("a-1"), LiveChange::ExperimentDeleted]
        );
    }

    #[test]
    fn experiments_do_not_wait_for_each_other() {
        let start = Instant::now();
        let mut coalescer = Coalescer::new(INTERVAL);
        coalescer.push(group("a"), gone("a-1"), start);
        coalescer.push(group("b"), gone("b-1"), start + INTERVAL / 2);
        let first = coalescer.take_due(start + INTERVAL);
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].experiment, "a");
        assert_eq!(coalescer.due(), Some(start + INTERVAL + INTERVAL / 2));
    }
}
