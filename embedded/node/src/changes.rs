//! Tells when files change, through one inotify instance for the whole node.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::path::Path;
use std::sync::Arc;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use parking_lot::Mutex;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Tells when files change.
pub(crate) struct Changes {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

struct Shared {
    source: AsyncFd<Source>,
    watched: Mutex<HashMap<WatchDescriptor, Watched>>,
}

/// A file or folder that somebody waits for.
struct Watched {
    signal: watch::Sender<()>,
    subscriptions: usize,
}

/// The inotify instance in the form that Tokio waits for.
struct Source(Inotify);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// A file, or the files in a folder, whose changes are told. Ends when dropped.
pub(crate) struct Subscription {
    shared: Arc<Shared>,
    watch: WatchDescriptor,
    signal: watch::Receiver<()>,
}

impl Changes {
    /// Starts listening. To be called within a Tokio runtime.
    ///
    /// # Errors
    /// The system has no inotify instance left for this user.
    pub(crate) fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let source = listen(Source(inotify))?;
        let shared = Arc::new(Shared {
            source,
            watched: Mutex::default(),
        });
        let reader = tokio::spawn(read(Arc::clone(&shared)));
        Ok(Self { shared, reader })
    }

    /// Subscribes to a file, or to the files that lie directly in a folder.
    ///
    /// # Errors
    /// It does not exist, or the system watches too many files already.
    pub(crate) fn subscribe(&self, path: &Path) -> io::Result<Subscription> {
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE_SELF;
        // Under the lock, so that the same file is not given up in between.
        let mut watched = self.shared.watched.lock();
        let watch = self.shared.source.get_ref().0.add_watch(path, flags)?;
        let entry = watched.entry(watch).or_insert_with(|| Watched {
            signal: watch::Sender::new(()),
            subscriptions: 0,
        });
        entry.subscriptions += 1;
        let signal = entry.signal.subscribe();
        Ok(Subscription {
            shared: Arc::clone(&self.shared),
            watch,
            signal,
        })
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Subscription {
    /// Waits for a change after the last call.
    pub(crate) async fn changed(&mut self) {
        if self.signal.changed().await.is_err() {
            // Nothing will be told any more.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut watched = self.shared.watched.lock();
        let Some(entry) = watched.get_mut(&self.watch) else {
            return;
        };
        entry.subscriptions -= 1;
        if entry.subscriptions == 0 {
            watched.remove(&self.watch);
            // Fails when the file is gone, which is as good.
            let _ = self.shared.source.get_ref().0.rm_watch(self.watch);
        }
    }
}

/// Registers the instance with Tokio.
#[expect(
    deprecated,
    reason = "its successor is unsafe; the instance stays open in its wrapper"
)]
fn listen(source: Source) -> io::Result<AsyncFd<Source>> {
    AsyncFd::new(source)
}

/// Passes on what the kernel tells.
async fn read(shared: Arc<Shared>) {
    while let Ok(mut ready) = shared.source.readable().await {
        loop {
            match shared.source.get_ref().0.read_events() {
                Ok(events) => {
                    let watched = shared.watched.lock();
                    for event in events {
                        if let Some(entry) = watched.get(&event.wd) {
                            entry.signal.send_replace(());
                        }
                    }
                }
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        ready.clear_ready();
    }
}
