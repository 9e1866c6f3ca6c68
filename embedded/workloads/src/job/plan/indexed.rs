//! Which parts of the work of an indexed Job are done and which are to be done.

use super::{Phase, Situation};
use crate::job::index::Indexes;

impl Situation<'_> {
    /// Whether each pod has a part of the work of its own.
    pub(super) fn is_indexed(&self) -> bool {
        self.job["spec"]["completionMode"] == "Indexed"
    }

    /// Which parts of the work of an indexed Job are done; those that were counted stay so.
    pub(super) fn done(&self) -> Option<Indexes> {
        if !self.is_indexed() {
            return None;
        }
        let text = self.job["status"]["completedIndexes"].as_str();
        let end = self.number("completions").unwrap_or(0);
        let mut done = Indexes::parse(text.unwrap_or_default(), end);
        let succeeded = self.pods.iter().filter(|pod| pod.phase == Phase::Succeeded);
        done.extend(succeeded.filter_map(|pod| pod.index));
        done.keep_below(end);
        Some(done)
    }

    /// The first parts of the work that nobody has done or does.
    pub(super) fn open_indexes(&self, count: u64) -> Vec<u32> {
        let Some(mut taken) = self.done() else {
            return Vec::new();
        };
        taken.extend(self.active().filter_map(|pod| pod.index));
        taken.extend(self.creating.iter().flatten().copied());
        let completions = self.number("completions").unwrap_or(0);
        let all = 0..u32::try_from(completions).unwrap_or(u32::MAX);
        all.filter(|index| !taken.contains(*index))
            .take(usize::try_from(count).unwrap_or(usize::MAX))
            .collect()
    }
}
