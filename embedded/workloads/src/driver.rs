//! What all controllers do alike: look at an object when it, or something that concerns it, has
//! changed, one after the other, and again after the time that was asked for.
//!
//! The API is in this process, so a controller reads from it what is, its own writes included, and
//! keeps nothing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use diwan_embedded::resource::Resource;
use diwan_embedded::{Api, Status, WatchEvent};
use futures::stream::{BoxStream, select_all};
use futures::{FutureExt as _, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

use crate::object::{controller_of, metadata};

/// The wait after the API refused something; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after the API refused something.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The namespace and the name of an object; the namespace is empty for cluster-wide kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Of an object.
    pub(crate) fn of(object: &Value) -> Self {
        let field = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        Self::new(field("namespace"), field("name"))
    }

    /// Of the object of a kind that controls this one.
    pub(crate) fn of_controller(object: &Value, kind: &str) -> Option<Self> {
        let name = controller_of(object, kind)?["name"].as_str()?;
        Some(Self::new(metadata(object, "namespace"), name))
    }
}

/// When an object is to be looked at again, if nothing changes.
pub(crate) type Again = Option<Duration>;

/// A controller of one kind of objects.
pub(crate) trait Controller: Send {
    /// The kinds that are watched.
    fn watched(&self) -> Vec<&'static Resource>;

    /// The objects that are to be looked at because this one has come, changed or gone.
    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key>;

    /// Looks at an object, which may be gone, and does what it needs.
    fn reconcile(&mut self, key: &Key) -> impl Future<Output = Result<Again, Status>> + Send;
}

/// Runs a controller until the API ends.
pub(crate) async fn drive(api: Api, mut controller: impl Controller) {
    loop {
        let mut work = Work::default();
        let streams: Vec<_> = controller
            .watched()
            .into_iter()
            .map(|resource| watch(&api, &controller, resource, &mut work))
            .collect();
        let mut events = select_all(streams);
        loop {
            // What has happened comes first: then an object is looked at once for all of it.
            while let Some(event) = events.next().now_or_never() {
                match event {
                    Some((resource, event)) => match object(&event) {
                        Some(object) => work.extend(controller.concerned(resource, object)),
                        None => break,
                    },
                    None => return,
                }
            }
            if let Some(key) = work.next() {
                look(&mut controller, key, &mut work).await;
                continue;
            }
            let wake = work.wakes.first().map_or_else(Instant::now, |(at, _)| *at);
            tokio::select! {
                event = events.next() => match event {
                    Some((resource, event)) => match object(&event) {
                        Some(object) => work.extend(controller.concerned(resource, object)),
                        None => break,
                    },
                    None => return,
                },
                () = sleep_until(wake), if !work.wakes.is_empty() => {}
            }
        }
    }
}

/// Lists a kind, and goes on from there.
fn watch(
    api: &Api,
    controller: &impl Controller,
    resource: &'static Resource,
    work: &mut Work,
) -> BoxStream<'static, (&'static Resource, WatchEvent)> {
    let (objects, version) = api.list(resource, None);
    for object in objects {
        work.extend(controller.concerned(resource, &object));
    }
    let events = api.watch(resource, None, version);
    events.map(move |event| (resource, event)).boxed()
}

/// The object of an event; none when events were missed.
fn object(event: &WatchEvent) -> Option<&Value> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
            Some(object)
        }
        WatchEvent::Expired => None,
    }
}

async fn look(controller: &mut impl Controller, key: Key, work: &mut Work) {
    match controller.reconcile(&key).await {
        Ok(again) => {
            work.refused.remove(&key);
            work.wake(again, key);
        }
        Err(status) => {
            let Key { namespace, name } = &key;
            if status.reason != "Conflict" && status.reason != "NotFound" {
                tracing::warn!(namespace, name, %status, "the API refuses what the object needs");
            }
            let times = work.refused.entry(key.clone()).or_default();
            let wait = (FIRST_WAIT * 2_u32.pow(*times)).min(LONGEST_WAIT);
            *times = (*times + 1).min(10);
            work.wake(Some(wait), key);
        }
    }
}

/// The objects that are to be looked at.
#[derive(Default)]
struct Work {
    queue: VecDeque<Key>,
    queued: HashSet<Key>,
    /// How often in a row the API refused what an object needs. What changes then, such as the
    /// object's own status, does not make it be tried any sooner.
    refused: HashMap<Key, u32>,
    wakes: BTreeSet<(Instant, Key)>,
}

impl Work {
    fn extend(&mut self, keys: Vec<Key>) {
        for key in keys {
            if !self.refused.contains_key(&key) {
                self.push(key);
            }
        }
    }

    fn push(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.queue.push_back(key);
        }
    }

    /// The next one, from those whose time has come too.
    fn next(&mut self) -> Option<Key> {
        while let Some((at, _)) = self.wakes.first() {
            if *at > Instant::now() {
                break;
            }
            if let Some((_, key)) = self.wakes.pop_first() {
                self.push(key);
            }
        }
        let key = self.queue.pop_front()?;
        self.queued.remove(&key);
        Some(key)
    }

    fn wake(&mut self, after: Again, key: Key) {
        self.wakes.retain(|(_, known)| *known != key);
        if let Some(after) = after {
            self.wakes.insert((Instant::now() + after, key));
        }
    }
}
