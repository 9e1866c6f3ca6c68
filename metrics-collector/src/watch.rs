//! Tells followers that their file may have changed.
//!
//! One inotify instance serves all files of the process: no thread and no timer per file. Where
//! the system grants none, followers fall back to looking once a second.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
    path::{Component, Path},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor},
};
use tokio::{io::unix::AsyncFd, sync::Notify, task::JoinHandle};

/// Watches files for any number of followers. Clones share one instance.
#[derive(Clone)]
pub struct Watcher(Option<Arc<Running>>);

impl Watcher {
    /// Starts watching on the current tokio runtime.
    pub fn new() -> Self {
        match Hub::open() {
            Ok(hub) => {
                let hub = Arc::new(hub);
                let task = tokio::spawn(dispatch(Arc::clone(&hub)));
                Self(Some(Arc::new(Running { hub, task })))
            }
            Err(error) => {
                tracing::warn!(%error, "no file notifications; logs are read once a second");
                Self(None)
            }
        }
    }

    /// Watches nothing: followers look again after a while.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Subscribes to changes of the file at a path, whether it exists or not. While its folder is
    /// missing, the nearest folder above it is watched for the way to it.
    pub(crate) fn subscribe(&self, path: &Path) -> Option<Subscription> {
        let hub = &self.0.as_ref()?.hub;
        let mut name = path.file_name()?;
        let mut folder = path.parent()?;
        let mut direct = true;
        loop {
            match hub.add(folder, name) {
                Ok((watch, signal)) => {
                    return Some(Subscription {
                        hub: Arc::clone(hub),
                        watch,
                        signal,
                        direct,
                    });
                }
                Err(Errno::ENOENT) if folder.parent().is_some() => {
                    direct = false;
                    name = match folder.components().next_back()? {
                        Component::Normal(name) => name,
                        _ => return None,
                    };
                    folder = folder.parent()?;
                }
                Err(error) => {
                    tracing::debug!(%error, folder = %folder.display(), "the folder is not watched");
                    return None;
                }
            }
        }
    }
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

struct Running {
    hub: Arc<Hub>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A follower's interest in one file; ends with its life.
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    watch: WatchDescriptor,
    signal: Arc<Signal>,
    direct: bool,
}

impl Subscription {
    /// Waits until the file may have changed since the last call.
    pub(crate) async fn changed(&self) {
        self.signal.changed.notified().await;
    }

    /// Whether the file itself is watched, rather than a folder on the way to it.
    pub(crate) fn is_settled(&self) -> bool {
        self.direct && !self.signal.lost.load(Ordering::Acquire)
    }

    /// Whether both watch the same folder.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.watch == other.watch
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.remove(self.watch, &self.signal);
    }
}

#[derive(Default)]
struct Signal {
    changed: Notify,
    /// The folder is gone.
    lost: AtomicBool,
}

struct Subscriber {
    name: OsString,
    signal: Arc<Signal>,
}

struct Hub {
    events: AsyncFd<Descriptor>,
    /// Held over the system calls too, so that a watch is not removed while another follower
    /// begins to share it.
    subscribers: Mutex<HashMap<WatchDescriptor, Vec<Subscriber>>>,
}

struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Hub {
    fn open() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // Its unsafe successor asks for a descriptor that stays open and the same: `Inotify` owns
        // it, and the `AsyncFd` owns the `Inotify`.
        #[allow(deprecated)]
        let events = AsyncFd::new(Descriptor(inotify))?;
        Ok(Self {
            events,
            subscribers: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WatchDescriptor, Vec<Subscriber>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        folder: &Path,
        name: &std::ffi::OsStr,
    ) -> Result<(WatchDescriptor, Arc<Signal>), Errno> {
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let mut subscribers = self.lock();
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        let watch = self.events.get_ref().0.add_watch(folder, flags)?;
        let signal = Arc::new(Signal::default());
        let subscriber = Subscriber {
            name: name.to_owned(),
            signal: Arc::clone(&signal),
        };
        subscribers.entry(watch).or_default().push(subscriber);
        Ok((watch, signal))
    }

    fn remove(&self, watch: WatchDescriptor, signal: &Arc<Signal>) {
        let mut subscribers = self.lock();
        let Some(of_watch) = subscribers.get_mut(&watch) else {
            return;
        };
        of_watch.retain(|subscriber| !Arc::ptr_eq(&subscriber.signal, signal));
        if of_watch.is_empty() {
            subscribers.remove(&watch);
            // The folder may be gone, and its watch with it.
            let _ = self.events.get_ref().0.rm_watch(watch);
        }
    }

    fn publish(&self, event: &InotifyEvent) {
        let mut subscribers = self.lock();
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            for subscriber in subscribers.values().flatten() {
                subscriber.signal.changed.notify_one();
            }
        } else if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            for subscriber in subscribers.remove(&event.wd).into_iter().flatten() {
                subscriber.signal.lost.store(true, Ordering::Release);
                subscriber.signal.changed.notify_one();
            }
        } else {
            for subscriber in subscribers.get(&event.wd).into_iter().flatten() {
                if event.name.as_ref() == Some(&subscriber.name) {
                    subscriber.signal.changed.notify_one();
                }
            }
        }
    }
}

async fn dispatch(hub: Arc<Hub>) {
    loop {
        let Ok(mut ready) = hub.events.readable().await else {
            return;
        };
        match ready.try_io(|events| Ok(events.get_ref().0.read_events()?)) {
            Ok(Ok(events)) => events.iter().for_each(|event| hub.publish(event)),
            Ok(Err(error)) => {
                tracing::warn!(%error, "file notifications ended; logs are read once a second");
                return;
            }
            // Nothing there after all: wait again.
            Err(_) => {}
        }
    }
}
