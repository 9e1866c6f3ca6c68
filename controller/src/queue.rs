//! A queue of objects to look at: each at most once in the queue, never twice at a time.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::key::Key;

/// After which time something that failed is tried again the first time, and at the latest.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// How long work that is under way at the end may take.
const LAST_WORK: Duration = Duration::from_secs(5);

/// What is to happen with an object after it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing until something changes.
    Done,
    /// It is to be looked at again after this time, if nothing changes before.
    Again(Duration),
    /// It failed and is tried again with a growing delay.
    Failed,
}

/// A queue of objects to look at.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Key>,
    queued: HashSet<Key>,
    /// Those being looked at; true when they changed meanwhile.
    running: HashMap<Key, bool>,
    delayed: BTreeSet<(Instant, Key)>,
    due: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

impl State {
    fn push(&mut self, key: Key) {
        if let Some(changed) = self.running.get_mut(&key) {
            *changed = true;
        } else if self.queued.insert(key.clone()) {
            self.ready.push_back(key);
        }
    }

    fn delay(&mut self, key: Key, at: Instant) {
        if let Some(due) = self.due.get(&key).copied() {
            if due <= at {
                return;
            }
            self.delayed.remove(&(due, key.clone()));
        }
        self.due.insert(key.clone(), at);
        self.delayed.insert((at, key));
    }

    fn pop(&mut self, now: Instant) -> Option<Key> {
        while let Some((at, _)) = self.delayed.first() {
            if *at > now {
                break;
            }
            if let Some((_, key)) = self.delayed.pop_first() {
                self.due.remove(&key);
                self.push(key);
            }
        }
        let key = self.ready.pop_front()?;
        self.queued.remove(&key);
        self.running.insert(key.clone(), false);
        Some(key)
    }

    fn finish(&mut self, key: Key, outcome: Outcome, now: Instant) {
        let changed = self.running.remove(&key).unwrap_or_default();
        if outcome == Outcome::Failed {
            let failures = self.failures.entry(key.clone()).or_default();
            let delay = FIRST_RETRY
                .saturating_mul(1 << (*failures).min(12))
                .min(LAST_RETRY);
            *failures += 1;
            self.delay(key.clone(), now + delay);
        } else {
            self.failures.remove(&key);
        }
        if let Outcome::Again(after) = outcome {
            self.delay(key.clone(), now + after);
        }
        if changed {
            self.push(key);
        }
    }
}

impl Queue {
    /// Asks for an object to be looked at.
    pub(crate) fn add(&self, key: Key) {
        self.state.lock().push(key);
        self.changed.notify_one();
    }

    /// How many objects wait to be looked at.
    pub(crate) fn depth(&self) -> usize {
        self.state.lock().ready.len()
    }

    /// Looks at one object after the other, up to `concurrency` at a time, until `stop`; then waits
    /// a little for those in work.
    pub(crate) async fn run<F, Fut>(
        self: Arc<Self>,
        concurrency: usize,
        stop: CancellationToken,
        reconcile: F,
    ) where
        F: Fn(Key) -> Fut,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < concurrency {
                let Some(key) = self.state.lock().pop(Instant::now()) else {
                    break;
                };
                let work = reconcile(key.clone());
                let queue = self.clone();
                tasks.spawn(async move {
                    let guard = Finish {
                        queue: &queue,
                        key: Some(key),
                    };
                    let outcome = work.await;
                    guard.done(outcome);
                });
            }
            let next = self.state.lock().delayed.first().map(|(at, _)| *at);
            let wake = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changed.notified() => {}
                () = wake, if tasks.len() < concurrency => {}
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a pass over an object broke off");
                    }
                }
            }
        }
        let rest = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORK, rest).await.is_err() {
            tracing::debug!("work was cut off at the end");
        }
    }
}

/// Gives an object back to the queue, even when the work on it panicked.
struct Finish<'a> {
    queue: &'a Queue,
    key: Option<Key>,
}

impl Finish<'_> {
    fn done(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some(key) = self.key.take() {
            self.queue.state.lock().finish(key, outcome, Instant::now());
            self.queue.changed.notify_one();
        }
    }
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.finish(Outcome::Failed);
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST_RETRY, Key, Outcome, State};
    use tokio::time::Instant;

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    #[test]
    fn an_object_is_queued_once() {
        let now = Instant::now();
        let mut state = State::default();
        state.push(key("a"));
        state.push(key("a"));
        assert_eq!(state.pop(now), Some(key("a")));
        assert_eq!(state.pop(now), None);
    }

    #[test]
    fn an_object_in_work_is_looked_at_again_only_afterwards() {
        let now = Instant::now();
        let mut state = State::default();
        state.push(key("a"));
        state.pop(now);
        state.push(key("a"));
        assert_eq!(state.pop(now), None);
        state.finish(key("a"), Outcome::Done, now);
        assert_eq!(state.pop(now), Some(key("a")));
    }

    #[test]
    fn failures_are_tried_again_later_and_later() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 0..2 {
            state.push(key("a"));
            state.pop(now);
            state.finish(key("a"), Outcome::Failed, now);
            state.pop(now + FIRST_RETRY);
        }
        assert_eq!(state.failures.get(&key("a")), Some(&2));
    }

    #[test]
    fn of_two_delays_the_shorter_holds() {
        let now = Instant::now();
        let mut state = State::default();
        state.delay(key("a"), now + FIRST_RETRY * 4);
        state.delay(key("a"), now + FIRST_RETRY);
        state.delay(key("a"), now + FIRST_RETRY * 2);
        assert_eq!(state.pop(now), None);
        assert_eq!(state.pop(now + FIRST_RETRY), Some(key("a")));
        assert!(state.delayed.is_empty());
    }
}
