//! What was last seen of all objects of one kind: one list and watch, plus what was written here.
//!
//! The answer to a write enters the cache at once, so that the next pass plans on it. A watch event
//! that is older than what is cached changes nothing. Both need the order of resource versions,
//! which are numbers on every API server there is; where they are not, the newest arrival wins.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use parking_lot::{Mutex, RwLock};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::key::Key;

/// How many objects that went are remembered: more than answers can be under way.
const REMEMBERED: usize = 256;

/// An object that came, changed or went.
pub(crate) struct Change<K> {
    /// The object's name.
    pub(crate) key: Key,
    /// As it was; `None` when it is new.
    pub(crate) old: Option<Arc<K>>,
    /// As it is; `None` when it is gone.
    pub(crate) new: Option<Arc<K>>,
}

type OnChange<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;

/// What was last seen of all objects of one kind.
pub(crate) struct Cache<K> {
    objects: RwLock<Objects<K>>,
    /// Held from a change until all have heard of it, so that they hear of changes in order.
    changing: Mutex<()>,
    trim: fn(&mut K),
    on_change: OnChange<K>,
    synced: watch::Sender<bool>,
}

struct Objects<K> {
    seen: HashMap<Key, Seen<K>>,
    /// How often the list was taken; an object that was written here since survives its end.
    epoch: u64,
    /// The uids of the objects that went last, oldest first: the answer to a write may come after
    /// the news that the object is gone, and must not bring it back.
    gone: VecDeque<String>,
}

struct Seen<K> {
    object: Arc<K>,
    epoch: u64,
}

/// What is cached is as new.
struct Stale;

impl<K> Cache<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// A cache that calls `on_change` after each change and drops with `trim` what nobody reads.
    pub(crate) fn new(
        trim: fn(&mut K),
        on_change: impl Fn(&Change<K>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            objects: RwLock::new(Objects {
                seen: HashMap::new(),
                epoch: 0,
                gone: VecDeque::new(),
            }),
            changing: Mutex::new(()),
            trim,
            on_change: Box::new(on_change),
            synced: watch::Sender::new(false),
        }
    }

    /// The object, if it is there.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.objects
            .read()
            .seen
            .get(key)
            .map(|seen| seen.object.clone())
    }

    /// Shows each object; nothing may be awaited meanwhile.
    pub(crate) fn each(&self, mut show: impl FnMut(&Key, &K)) {
        for (key, seen) in &self.objects.read().seen {
            show(key, &seen.object);
        }
    }

    /// Waits for the first complete list.
    pub(crate) async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives in `self`, so waiting can't fail.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    /// Whether the first complete list was taken.
    pub(crate) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Takes in the answer to a write.
    pub(crate) fn written(&self, mut object: K) {
        (self.trim)(&mut object);
        let key = Key::of(object.meta());
        let object = Arc::new(object);
        let new = Some(object.clone());
        let _changing = self.changing.lock();
        let Ok(old) = self.put(&key, object) else {
            return;
        };
        (self.on_change)(&Change { key, old, new });
    }

    /// Takes in that an object is gone.
    pub(crate) fn removed(&self, key: &Key) {
        let _changing = self.changing.lock();
        self.remove(key);
    }

    /// Puts an object in and returns the one that was there.
    fn put(&self, key: &Key, object: Arc<K>) -> Result<Option<Arc<K>>, Stale> {
        let mut objects = self.objects.write();
        let epoch = objects.epoch;
        if object
            .meta()
            .uid
            .as_ref()
            .is_some_and(|uid| objects.gone.contains(uid))
        {
            return Err(Stale);
        }
        match objects.seen.entry(key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Seen { object, epoch });
                Ok(None)
            }
            Entry::Occupied(mut entry) => {
                let seen = entry.get_mut();
                seen.epoch = epoch;
                if !is_newer(&*object, &*seen.object) {
                    return Err(Stale);
                }
                Ok(Some(std::mem::replace(&mut seen.object, object)))
            }
        }
    }

    fn remove(&self, key: &Key) {
        let old = {
            let mut objects = self.objects.write();
            let old = objects.seen.remove(key);
            if let Some(uid) = old.as_ref().and_then(|old| old.object.meta().uid.clone()) {
                objects.gone.push_back(uid);
                if objects.gone.len() > REMEMBERED {
                    objects.gone.pop_front();
                }
            }
            old
        };
        if let Some(old) = old {
            let key = key.clone();
            (self.on_change)(&Change {
                key,
                old: Some(old.object),
                new: None,
            });
        }
    }

    fn deleted(&self, object: &K) {
        let key = Key::of(object.meta());
        let _changing = self.changing.lock();
        let is_reborn = self
            .get(&key)
            .is_some_and(|seen| seen.meta().uid != object.meta().uid && is_newer(&*seen, object));
        if !is_reborn {
            self.remove(&key);
        }
    }

    fn end_list(&self) {
        let _changing = self.changing.lock();
        let stale: Vec<Key> = {
            let objects = self.objects.read();
            let old = objects
                .seen
                .iter()
                .filter(|(_, seen)| seen.epoch < objects.epoch);
            old.map(|(key, _)| key.clone()).collect()
        };
        for key in &stale {
            self.remove(key);
        }
        self.synced.send_replace(true);
    }

    /// Takes in what the watch tells.
    pub(crate) fn event(&self, event: watcher::Event<K>) {
        match event {
            watcher::Event::Init => self.objects.write().epoch += 1,
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                self.written(object);
            }
            watcher::Event::InitDone => self.end_list(),
            watcher::Event::Delete(object) => self.deleted(&object),
        }
    }

    /// Lists and watches until `stop`; errors are tried again with a back-off.
    pub(crate) async fn follow(
        &self,
        api: Api<K>,
        config: watcher::Config,
        stop: CancellationToken,
    ) {
        let events = watcher(api, config).default_backoff();
        let mut events = std::pin::pin!(events.take_until(stop.cancelled_owned()));
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.event(event),
                Err(error) => tracing::debug!(%error, "watch failed, trying again"),
            }
        }
    }
}

/// Whether `new` is to replace `old`.
fn is_newer<K: Resource>(new: &K, old: &K) -> bool {
    let version = |object: &K| object.meta().resource_version.as_ref()?.parse::<u64>().ok();
    match (version(new), version(old)) {
        (Some(new), Some(old)) => new > old,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn map(uid: &str, version: u64) -> ConfigMap {
        let metadata = json!({
            "name": "a", "namespace": "n", "uid": uid, "resourceVersion": version.to_string()
        });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    fn version(cache: &Cache<ConfigMap>) -> Option<String> {
        cache
            .get(&Key::new("n", "a"))?
            .metadata
            .resource_version
            .clone()
    }

    #[test]
    fn an_older_event_changes_nothing() {
        let cache = Cache::new(|_| {}, |_| {});
        cache.written(map("u", 3));
        cache.event(watcher::Event::Apply(map("u", 2)));
        assert_eq!(version(&cache).as_deref(), Some("3"));
    }

    #[test]
    fn a_late_answer_does_not_bring_back_what_is_gone() {
        let cache = Cache::new(|_| {}, |_| {});
        cache.event(watcher::Event::Apply(map("u", 1)));
        cache.event(watcher::Event::Delete(map("u", 3)));
        cache.written(map("u", 2));
        assert_eq!(version(&cache), None);
        cache.written(map("another", 4));
        assert_eq!(version(&cache).as_deref(), Some("4"));
    }

    #[test]
    fn what_a_new_list_lacks_is_gone_but_not_what_was_written_meanwhile() {
        let cache = Cache::new(|_| {}, |_| {});
        cache.written(map("u", 1));
        cache.event(watcher::Event::Init);
        cache.event(watcher::Event::InitDone);
        assert_eq!(version(&cache), None);
        cache.event(watcher::Event::Init);
        cache.written(map("another", 2));
        cache.event(watcher::Event::InitDone);
        assert_eq!(version(&cache).as_deref(), Some("2"));
    }
}
