//! The observation log in one SQLite file.
//!
//! One thread writes: it takes all reports that are waiting and commits them together, so that one
//! flush of the disk serves them all. Readers have connections of their own and never wait for it.

mod ledger;
mod reader;
mod schema;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Delivery, Keep, LogQuery, ObservationStore, Pages, Report, StoreError, StoredRow, Swept,
    TrialRef, bounds, stored_rows,
};
use crate::{
    curve::{Curve, CurveCache},
    summary::Summary,
};
use writer::{Change, Job};

/// How many jobs may wait for the writer before callers wait too.
const QUEUE: usize = 1024;
/// How many pages of a log are read ahead of who reads them.
const PAGES_AHEAD: usize = 2;
/// For fewer trials than this no further thread is worth while.
const TRIALS_PER_READER: usize = 50;
/// How many idle connections are kept for readers.
const READERS: usize = 4;

/// The observation log in one SQLite file.
pub struct SqliteStore {
    writer: mpsc::Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Readers>,
    curves: Arc<CurveCache>,
}

impl SqliteStore {
    /// Opens the file, makes it if need be, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        blocking(move || Self::open_blocking(path)).await
    }

    fn open_blocking(path: PathBuf) -> Result<Self, StoreError> {
        let mut connection = schema::connect(&path)?;
        schema::migrate(&mut connection)?;
        let (writer, jobs) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("observation-log".to_owned())
            .spawn(move || writer::run(connection, jobs))
            .map_err(|error| StoreError::Database(error.to_string()))?;
        let readers = Arc::new(Readers {
            path,
            idle: Mutex::default(),
        });
        Ok(Self {
            writer,
            thread: Mutex::new(Some(thread)),
            readers,
            curves: Arc::default(),
        })
    }

    async fn write(&self, change: Change) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.writer
            .send(Job { change, done })
            .await
            .map_err(|_| StoreError::Closed)?;
        written.await.map_err(|_| StoreError::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.writer.is_closed() {
            return Err(StoreError::Closed);
        }
        let readers = Arc::clone(&self.readers);
        blocking(move || readers.read(query)).await
    }
}

#[async_trait]
impl ObservationStore for SqliteStore {
    async fn report(&self, report: Report) -> Result<(), StoreError> {
        let rows = stored_rows(report.rows)?;
        if rows.is_empty() && !matches!(report.delivery, Delivery::Source(_)) {
            return Ok(());
        }
        self.write(Change::Report {
            trial: report.trial,
            rows,
            delivery: report.delivery,
        })
        .await
    }

    async fn collected(&self, trial: &TrialRef, source: &str) -> Result<u64, StoreError> {
        let (trial, source) = (trial.clone(), source.to_owned());
        self.read(move |connection| reader::collected(connection, &trial, &source))
            .await
    }

    async fn stream(&self, query: LogQuery) -> Result<Pages, StoreError> {
        let bounds = bounds(&query)?;
        if self.writer.is_closed() {
            return Err(StoreError::Closed);
        }
        let (pages, read) = mpsc::channel(PAGES_AHEAD);
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || {
            let outcome = readers.read(|connection| {
                let (trial, metric) = (&query.trial, query.metric.as_deref());
                let take = |page| pages.blocking_send(Ok(page)).is_ok();
                reader::log(connection, trial, metric, bounds, take)
            });
            if let Err(error) = outcome {
                // Who reads may be gone.
                let _ = pages.blocking_send(Err(error));
            }
        });
        Ok(ReceiverStream::new(read).boxed())
    }

    async fn delete(&self, trial: &TrialRef) -> Result<(), StoreError> {
        self.write(Change::Delete(trial.clone())).await
    }

    async fn summaries(
        &self,
        namespace: &str,
        trials: &[String],
    ) -> Result<Vec<Summary>, StoreError> {
        let trials = trial_refs(namespace, trials);
        self.read(move |connection| reader::summaries(connection, &trials))
            .await
    }

    async fn curves(
        &self,
        namespace: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<Curve>, StoreError> {
        let trials = trial_refs(namespace, trials);
        // Each thread draws some of them, with a connection of its own.
        let share = trials.len().div_ceil(READERS).max(TRIALS_PER_READER);
        let shares = trials.chunks(share).map(|trials| {
            let (trials, metric) = (trials.to_vec(), metric.to_owned());
            let cache = Arc::clone(&self.curves);
            self.read(move |connection| {
                reader::curves(connection, &trials, &metric, points, &cache)
            })
        });
        let drawn = futures::future::try_join_all(shares).await?;
        Ok(drawn.into_iter().flatten().collect())
    }

    async fn sweep(&self, keep: Keep) -> Result<Swept, StoreError> {
        let (tell, told) = std::sync::mpsc::channel();
        self.write(Change::Sweep(keep, tell)).await?;
        // A sweep that was tried again told twice; the last time is the one that was committed.
        Ok(told.try_iter().last().unwrap_or_default())
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?))
            .await
    }

    async fn close(&self) -> Result<(), StoreError> {
        // A store that is closed already has nothing left to write.
        match self.write(Change::Close).await {
            Ok(()) | Err(StoreError::Closed) => {}
            Err(error) => return Err(error),
        }
        self.readers.lock().clear();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        blocking(move || {
            thread.map_or(Ok(()), |thread| {
                thread.join().map_err(|_| StoreError::Closed)
            })
        })
        .await
    }
}

/// Connections that only read.
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks in one transaction, so that a trial that is deleted meanwhile is there for every
    /// statement or for none.
    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.take()?;
        let snapshot = connection.unchecked_transaction()?;
        let answer = query(&snapshot);
        drop(snapshot);
        self.put(connection);
        answer
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.lock().pop();
        idle.map_or_else(|| schema::connect_to_read(&self.path), Ok)
    }

    fn put(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.len() < READERS {
            idle.push(connection);
        }
    }
}

fn trial_refs(namespace: &str, trials: &[String]) -> Vec<TrialRef> {
    trials
        .iter()
        .map(|name| TrialRef::new(namespace, name))
        .collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Database(error.to_string()))?
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.to_string())
    }
}
