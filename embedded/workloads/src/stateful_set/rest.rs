//! The pause before a pod is made again under the name of one that is gone.
//!
//! Who deletes a pod and waits for its end, like `kubectl delete`, looks for the name and then
//! watches it. A successor that is there within a few milliseconds is taken for the pod that is to
//! end, and waited for without end. In a cluster this takes longer by itself.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::driver::Key;

/// Long beside the time between two requests of a client.
const PAUSE: Duration = Duration::from_millis(250);

/// Which numbers of which sets had pods, and since when those are gone that are.
#[derive(Debug, Default)]
pub(super) struct Rests(HashMap<Key, HashMap<u64, Option<Instant>>>);

impl Rests {
    /// How long numbers of a set still rest, from those that have pods now.
    pub(super) fn look(
        &mut self,
        set: &Key,
        present: impl Iterator<Item = u64>,
        now: Instant,
    ) -> HashMap<u64, Duration> {
        let known = self.0.entry(set.clone()).or_default();
        let before = std::mem::take(known);
        known.extend(present.map(|ordinal| (ordinal, None)));
        let mut resting = HashMap::new();
        for (ordinal, gone) in before {
            let gone = gone.unwrap_or(now);
            let wait = PAUSE.saturating_sub(now.duration_since(gone));
            if !known.contains_key(&ordinal) && !wait.is_zero() {
                known.insert(ordinal, Some(gone));
                resting.insert(ordinal, wait);
            }
        }
        resting
    }

    /// A set is gone.
    pub(super) fn forget(&mut self, set: &Key) {
        self.0.remove(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_rests_once_its_pod_is_gone() {
        let (mut rests, set, start) = (Rests::default(), Key::new("n", "s"), Instant::now());
        let mut look = |present: &[u64], after: u64| {
            let now = start + Duration::from_millis(after);
            let resting = rests.look(&set, present.iter().copied(), now);
            let mut waits: Vec<(u64, u128)> = resting
                .into_iter()
                .map(|(ordinal, wait)| (ordinal, wait.as_millis()))
                .collect();
            waits.sort_unstable();
            waits
        };
        // Nothing was there: nothing rests.
        assert_eq!(look(&[], 0), []);
        assert_eq!(look(&[0, 1], 10), []);
        assert_eq!(look(&[1], 100), [(0, 250)]);
        assert_eq!(look(&[], 200), [(0, 150), (1, 250)]);
        assert_eq!(look(&[], 350), [(1, 100)]);
        assert_eq!(look(&[0], 460), []);
        assert_eq!(look(&[], 470), [(0, 250)]);
    }
}
