//! The objects: on disk in SQLite, in memory for reads and watches.
//!
//! One thread writes. It takes all operations that wait, decides each against what the ones
//! before it left, commits them together, and only then shows them to readers and watchers. So
//! what can be seen is durable, and resource versions grow in the order of commits.

mod database;
mod object;
mod signals;
mod state;
mod writer;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write as _},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use parking_lot::RwLock;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{mpsc as async_mpsc, oneshot};

use self::{database::Database, signals::Signals, writer::Writer};
pub(crate) use self::{object::Object, state::State};
use crate::watch::Watcher;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Its table.
    pub(crate) storage: usize,
    /// Its namespace; empty for cluster-wide kinds.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// What must hold for an operation to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// There is no object, and its namespace (if it has one) takes new ones.
    Absent,
    /// The object has this version.
    Version(u64),
    /// The object has this version, and nothing is left in the namespace that it is.
    EmptyNamespace(u64),
}

/// What an operation does.
#[derive(Debug)]
pub(crate) enum Change {
    /// The object becomes this.
    Put(Value),
    /// The object goes; this is its last state.
    Remove(Value),
}

/// What became of an operation.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Done and durable.
    Done(Arc<Object>),
    /// The object is not as expected.
    Conflict,
    /// The namespace is not there.
    NoNamespace,
    /// The namespace is going away.
    NamespaceEnds,
    /// The database refused.
    Failed(String),
}

/// One operation that waits for the writer.
pub(crate) struct Operation {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
    pub(crate) change: Change,
    pub(crate) reply: oneshot::Sender<Outcome>,
}

/// Something that the garbage collector has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// This object is gone; others may name it as their owner.
    Gone {
        /// Its unique identifier.
        uid: String,
    },
    /// This object names owners, and was just written.
    Owned(Key),
    /// This object waits for the garbage collector.
    Ending(Key),
}

/// Why a data directory can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory {} is in use by process {holder}: stop it, or choose another with --data", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that has it.
        holder: String,
    },
    /// A file can't be read or written.
    #[error("can't use data directory {}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database can't be read or written.
    #[error("can't use the database in {}: {source}", .path.display())]
    Database {
        /// The directory.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// An object in the database can't be read.
    #[error("object {key} in the database can't be read: {source}")]
    Object {
        /// The object.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The database is of a newer version.
    #[error("the database has format {found}, this program knows {known}: use a newer diwan")]
    Format {
        /// The format of the database.
        found: i64,
        /// The newest format that is known.
        known: i64,
    },
}

/// The objects of one data directory.
pub(crate) struct Store {
    state: Arc<RwLock<State>>,
    signals: Arc<Signals>,
    queue: Option<mpsc::Sender<Operation>>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens a locked data directory, reads all objects, writes `seeds` that are not there, and starts
    /// the writer. Hints for the garbage collector come out of the second value.
    pub(crate) fn open(
        directory: &Path,
        lock: File,
        seeds: Vec<(Key, Value)>,
    ) -> Result<(Self, async_mpsc::UnboundedReceiver<Hint>), OpenError> {
        let (database, state) = Database::open(directory)?;
        let state = Arc::new(RwLock::new(state));
        let signals = Arc::new(Signals::default());
        let (hints, hinted) = async_mpsc::unbounded_channel();
        let mut writer = Writer {
            database,
            state: state.clone(),
            signals: signals.clone(),
            hints,
            lock,
        };
        writer.seed(seeds);
        let (queue, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&waiting))
            .map_err(|source| OpenError::Io {
                path: directory.to_owned(),
                source,
            })?;
        let store = Self {
            state,
            signals,
            queue: Some(queue),
            writer: Some(thread),
        };
        Ok((store, hinted))
    }

    /// Looks at the objects as they are now.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read())
    }

    /// The object at a place.
    pub(crate) fn get(&self, storage: usize, namespace: &str, name: &str) -> Option<Arc<Object>> {
        self.read(|state| state.get(storage, namespace, name).cloned())
    }

    /// Does one operation, durably.
    pub(crate) async fn write(&self, key: Key, expect: Expect, change: Change) -> Outcome {
        let (reply, outcome) = oneshot::channel();
        let operation = Operation {
            key,
            expect,
            change,
            reply,
        };
        let sent = self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.send(operation).is_ok());
        if !sent {
            return Outcome::Failed("the store is closed".to_owned());
        }
        outcome
            .await
            .unwrap_or_else(|_| Outcome::Failed("the store is closed".to_owned()))
    }

    /// Changes of a table after a version.
    pub(crate) fn watch(&self, storage: usize, from: u64) -> Watcher {
        let signal = self.signals.of(storage).subscribe();
        Watcher::new(self.state.clone(), storage, from, signal)
    }

    /// The version of the last change of a table in this process; 0 before there is any.
    pub(crate) fn changed(&self, storage: usize) -> u64 {
        *self.signals.of(storage).borrow()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been printed already.
            let _ = writer.join();
        }
    }
}

/// Keeps other processes out of the directory for as long as the file is open.
pub(crate) fn lock(directory: &Path) -> Result<File, OpenError> {
    let io = |source| OpenError::Io {
        path: directory.to_owned(),
        source,
    };
    // Objects may be secrets: the directory, when it is made here, is for its owner only.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(io)?;
    let path = directory.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(io)?;
            let holder = holder.trim().to_owned();
            return Err(OpenError::InUse {
                path: directory.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}
