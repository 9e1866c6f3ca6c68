//! Follows a file that grows, from an offset: created late, emptied, or replaced.
//!
//! A file that is emptied and refilled beyond the old length between two looks can't be told from
//! one that grew.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::libc;
use tokio::sync::watch;

use crate::watch::{Subscription, Watcher};

/// How much is read at once.
const CHUNK: u64 = 256 << 10;
/// How long a change without a notification (a network file system, a link) stays unseen.
const LOOK: Duration = Duration::from_secs(1);

/// What the next look at a file gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    /// The next bytes.
    Bytes(Vec<u8>),
    /// The file was emptied or replaced: the next bytes are its first ones.
    Rewound,
    /// Nothing new for now.
    Nothing,
}

/// A file that is followed.
pub struct Tail {
    watcher: Watcher,
    subscription: Option<Subscription>,
    /// Away only while a look is under way.
    reader: Option<Reader>,
    path: PathBuf,
}

impl Tail {
    /// Follows the file at a path from an offset on. A file shorter than that counts as emptied.
    pub fn new(watcher: Watcher, path: impl Into<PathBuf>, offset: u64) -> Self {
        let path = path.into();
        let reader = Reader {
            path: path.clone(),
            file: None,
            offset,
        };
        Self {
            watcher,
            subscription: None,
            reader: Some(reader),
            path,
        }
    }

    /// Looks once, without waiting.
    pub async fn read(&mut self) -> io::Result<Chunk> {
        let mut reader = self.reader.take().ok_or_else(cancelled)?;
        let look = tokio::task::spawn_blocking(move || {
            let chunk = reader.read();
            (reader, chunk)
        });
        let (reader, chunk) = look.await.map_err(io::Error::other)?;
        self.reader = Some(reader);
        chunk
    }

    /// Waits until the file may have changed, or `ended` turns true or loses its sender.
    pub async fn wait(&mut self, ended: &mut watch::Receiver<bool>) {
        if self.watch() {
            // What happened before the watch began was not notified: look again.
            return;
        }
        let changed = async {
            match &self.subscription {
                Some(subscription) => subscription.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            _ = ended.wait_for(|ended| *ended) => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }

    /// Sees to a subscription as near to the file as possible; returns whether it is a new one.
    fn watch(&mut self) -> bool {
        if self
            .subscription
            .as_ref()
            .is_some_and(Subscription::is_settled)
        {
            return false;
        }
        let new = self.watcher.subscribe(&self.path);
        let same = match (&new, &self.subscription) {
            (Some(new), Some(old)) => new.same(old),
            (None, None) => true,
            _ => false,
        };
        if !same {
            self.subscription = new;
        }
        !same
    }
}

fn cancelled() -> io::Error {
    io::Error::other("a look at the file was cancelled")
}

struct Reader {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
}

impl Reader {
    fn read(&mut self) -> io::Result<Chunk> {
        let Some(file) = &self.file else {
            self.file = open(&self.path)?;
            return if self.file.is_some() {
                self.read()
            } else {
                Ok(Chunk::Nothing)
            };
        };
        let metadata = file.metadata()?;
        let unread = metadata.len().saturating_sub(self.offset);
        if unread > 0 {
            let mut bytes = vec![0; unread.min(CHUNK) as usize];
            let len = file.read_at(&mut bytes, self.offset)?;
            bytes.truncate(len);
            self.offset += len as u64;
            // Nothing read: the file was emptied in between, which the next look sees.
            return Ok(if len == 0 {
                Chunk::Nothing
            } else {
                Chunk::Bytes(bytes)
            });
        }
        let emptied = metadata.len() < self.offset;
        if !emptied && !self.replaced(&metadata)? {
            return Ok(Chunk::Nothing);
        }
        self.offset = 0;
        if !emptied {
            self.file = None;
        }
        Ok(Chunk::Rewound)
    }

    /// Whether the path leads to another file than the one that was read to its end.
    fn replaced(&self, read: &Metadata) -> io::Result<bool> {
        let now = match std::fs::metadata(&self.path) {
            Ok(now) => now,
            Err(error) if missing(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok((now.dev(), now.ino()) != (read.dev(), read.ino()))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    // Without blocking, because opening a pipe would wait for its writer.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_file() {
        return Ok(Some(file));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a regular file",
    ))
}

fn missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
