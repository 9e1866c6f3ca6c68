//! A sink for a collector that reaches the DB manager over the network, and may be restarted.
//!
//! The manager knows a report again by its id, so a report that is sent twice is stored once. What
//! it doesn't know is how far a source was read; that is kept in a small file beside the source.
//! A batch is written there before it is sent. A collector that is killed in between sends the same
//! batch with the same id first, and then goes on behind it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use diwan_api::MetricLog;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::sink::{Batch, Resume, Sink, SinkError};

/// How many rows one report carries at most.
const ROWS_PER_REPORT: usize = 5_000;

/// A DB manager. A second report of a trial with the same id must store nothing.
#[async_trait]
pub trait Manager: Send + Sync {
    /// Stores rows of a trial, once per id.
    async fn report(
        &self,
        namespace: &str,
        trial: &str,
        rows: &[MetricLog],
        id: &str,
    ) -> Result<(), SinkError>;
}

/// The sink.
pub struct Journal<M> {
    manager: M,
    /// Nothing where no file can be written: then a restart reads the source again.
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Tells the reports of this journal from those of others about the same trial.
    id: String,
    /// How many reports there were.
    reports: u64,
    /// How far each source was read.
    positions: BTreeMap<String, u64>,
    /// The metrics of which the trial has rows.
    seen: BTreeSet<String>,
    /// What may have been sent.
    pending: Option<Pending>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    namespace: String,
    trial: String,
    source: String,
    from: u64,
    to: u64,
    rows: Vec<(String, String, String)>,
}

impl<M: Manager> Journal<M> {
    /// Opens or begins the journal of one trial.
    pub fn open(manager: M, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let known = fs::read(&path).ok();
        let known = known.and_then(|bytes| serde_json::from_slice::<State>(&bytes).ok());
        let mut state = known.unwrap_or_default();
        if state.id.is_empty() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |now| now.as_nanos());
            state.id = format!("{now:x}-{:x}", std::process::id());
        }
        let path = match save(&path, &state) {
            Ok(()) => Some(path),
            Err(error) => {
                tracing::warn!(
                    "{}: {error}; after a restart, metrics are reported again",
                    path.display()
                );
                None
            }
        };
        Self {
            manager,
            path,
            state: Mutex::new(state),
        }
    }

    /// Sends what is pending, and remembers that it was sent.
    async fn deliver(&self, state: &mut State) -> Result<(), SinkError> {
        let Some(pending) = &state.pending else {
            return Ok(());
        };
        let rows: Vec<MetricLog> = pending.rows.iter().map(unpack).collect();
        for (part, rows) in rows.chunks(ROWS_PER_REPORT).enumerate() {
            let id = format!("{}-{}-{part}", state.id, state.reports);
            let (namespace, trial) = (&pending.namespace, &pending.trial);
            self.manager.report(namespace, trial, rows, &id).await?;
        }
        state.positions.insert(pending.source.clone(), pending.to);
        for (_, name, _) in &pending.rows {
            if !state.seen.contains(name) {
                state.seen.insert(name.clone());
            }
        }
        state.reports += 1;
        state.pending = None;
        self.save(state);
        Ok(())
    }

    fn save(&self, state: &State) {
        let Some(path) = &self.path else { return };
        if let Err(error) = save(path, state) {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

#[async_trait]
impl<M: Manager> Sink for Journal<M> {
    async fn resume(
        &self,
        _: &str,
        _: &str,
        source: &str,
        objective: &str,
    ) -> Result<Resume, SinkError> {
        let mut state = self.state.lock().await;
        self.deliver(&mut state).await?;
        Ok(Resume {
            position: state.positions.get(source).copied().unwrap_or(0),
            objective_seen: state.seen.contains(objective),
        })
    }

    async fn report(&self, batch: &Batch) -> Result<(), SinkError> {
        let mut state = self.state.lock().await;
        let same = |pending: &Pending| {
            (pending.source.as_str(), pending.from, pending.to)
                == (batch.source.as_str(), batch.from, batch.to)
        };
        // The same batch again goes by the same id.
        if !state.pending.as_ref().is_some_and(same) {
            self.deliver(&mut state).await?;
            state.pending = Some(Pending {
                namespace: batch.namespace.clone(),
                trial: batch.trial.clone(),
                source: batch.source.clone(),
                from: batch.from,
                to: batch.to,
                rows: batch.rows.iter().map(pack).collect(),
            });
            self.save(&state);
        }
        self.deliver(&mut state).await
    }
}

fn pack(row: &MetricLog) -> (String, String, String) {
    (row.time_stamp.clone(), row.name.clone(), row.value.clone())
}

fn unpack((time_stamp, name, value): &(String, String, String)) -> MetricLog {
    MetricLog {
        time_stamp: time_stamp.clone(),
        name: name.clone(),
        value: value.clone(),
    }
}

/// Replaces the file as a whole, so that it is never half written.
fn save(path: &std::path::Path, state: &State) -> io::Result<()> {
    let new = path.with_extension("new");
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&new, serde_json::to_vec(state)?)?;
    fs::rename(&new, path)
}
