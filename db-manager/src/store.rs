//! The port of the observation log, and its databases.
//!
//! A database is one file here that implements [`ObservationStore`] and passes
//! `tests/conformance.rs`. Only these files contain SQL.

mod account;
mod server;
mod sqlite;

pub use server::ServerStore;
pub use sqlite::SqliteStore;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use diwan_api::MetricLog;
use futures::{StreamExt as _, stream::BoxStream};

use crate::{
    curve::Curve,
    summary::Summary,
    time::{self, TimeError},
    url::{DatabaseUrl, ServerUrl},
};

/// A trial, by name.
///
/// The namespace is empty where the caller doesn't know it (Katib's messages have no room for it).
/// Such a call means the one trial of that name, and is refused when there are several. Rows
/// reported before any namespace was known belong to the first namespace that asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TrialRef {
    /// Its namespace, or nothing.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl TrialRef {
    /// Names a trial in a namespace.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

/// Rows of one trial, stored together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who reports.
    pub trial: TrialRef,
    /// What is reported. Rows with an empty time stamp are left out, as Katib does.
    pub rows: Vec<MetricLog>,
    /// How a repetition is recognised.
    pub delivery: Delivery,
}

/// How a repeated report is recognised, so that a retry stores nothing twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Not at all: each report is stored.
    #[default]
    Plain,
    /// By an id that the sender drew for this report, such as a UUID; ids are forgotten after
    /// [`BATCHES_KEPT`].
    Batch(String),
    /// By the stretch of a source that the rows were read from.
    Source(SourceRange),
}

/// A stretch of bytes of something that is read from its beginning to its end, once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRange {
    /// The source, unique within its trial: such as the path of a log.
    pub source: String,
    /// The first byte, where the report before this one ended. 0 is the beginning.
    pub from: u64,
    /// Behind the last byte. An empty stretch adds only rows that are not there yet.
    pub to: u64,
    /// The source was emptied or replaced: counting began anew, whatever was read before.
    pub rewound: bool,
}

/// Which rows are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Whose.
    pub trial: TrialRef,
    /// Of one metric; of all when none is named.
    pub metric: Option<String>,
    /// Not before this time, RFC 3339.
    pub start: Option<String>,
    /// Not after this time, RFC 3339.
    pub end: Option<String>,
}

/// Why a store did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row of a report can't be stored; nothing of the report was.
    #[error("entry {index} (metric {metric:?}): {source}")]
    Row {
        /// Position in the report, from 0.
        index: usize,
        /// The metric.
        metric: String,
        /// What is wrong.
        source: TimeError,
    },
    /// A bound of a query can't be read.
    #[error("{bound}: {source}")]
    Bound {
        /// `start time` or `end time`.
        bound: &'static str,
        /// What is wrong.
        source: TimeError,
    },
    /// The name alone means several trials.
    #[error("trial {name:?} exists in the namespaces {}; send the namespace", namespaces.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Where it exists.
        namespaces: Vec<String>,
    },
    /// A stretch of a source does not follow what was stored of it.
    #[error("source {source_key:?} was read to byte {stored}, the report begins at {from}")]
    Gap {
        /// The source.
        source_key: String,
        /// Where the next report has to begin.
        stored: u64,
        /// Where this one begins.
        from: u64,
    },
    /// The database can't hold what was reported; nothing of the report was stored.
    #[error("the database can't store the report: {0}")]
    Refused(String),
    /// The database lacks tables, or may not be given them.
    #[error("database schema: {0}")]
    Schema(String),
    /// The database was written by a later version.
    #[error("database has schema {found}, this version knows {known}; use a newer version")]
    Newer {
        /// The version found.
        found: i64,
        /// The latest version known.
        known: i64,
    },
    /// The database failed.
    #[error("observation log: {0}")]
    Database(String),
    /// The store was closed.
    #[error("observation log is closed")]
    Closed,
}

/// Keeps what trials reported. Calls may run at the same time; what was acknowledged survives the
/// loss of power.
#[async_trait]
pub trait ObservationStore: Send + Sync + 'static {
    /// Stores the rows of a report. One that was stored before (see [`Delivery`]) is acknowledged
    /// and changes nothing.
    async fn report(&self, report: Report) -> Result<(), StoreError>;

    /// Returns how far a source was read; 0 for an unknown one.
    async fn collected(&self, trial: &TrialRef, source: &str) -> Result<u64, StoreError>;

    /// Returns rows in the order of their time; equal times in the order of their report. They
    /// come in pages as they are read, so that a log of any length needs the memory of a few.
    async fn stream(&self, query: LogQuery) -> Result<Pages, StoreError>;

    /// Returns all that [`ObservationStore::stream`] does at once.
    async fn get(&self, query: LogQuery) -> Result<Vec<MetricLog>, StoreError> {
        let mut pages = self.stream(query).await?;
        let mut rows = Vec::new();
        while let Some(page) = pages.next().await {
            rows.append(&mut page?);
        }
        Ok(rows)
    }

    /// Forgets all about a trial. An unknown one is no error.
    async fn delete(&self, trial: &TrialRef) -> Result<(), StoreError>;

    /// Returns one line per metric for each of the trials, in their order.
    async fn summaries(
        &self,
        namespace: &str,
        trials: &[String],
    ) -> Result<Vec<Summary>, StoreError>;

    /// Returns one curve of a metric for each of the trials that reported it, in their order, each
    /// thinned out to `points` points.
    async fn curves(
        &self,
        namespace: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<Curve>, StoreError>;

    /// Forgets what is older than wanted.
    async fn sweep(&self, keep: Keep) -> Result<Swept, StoreError>;

    /// Asks the database for a sign of life.
    async fn health(&self) -> Result<(), StoreError>;

    /// Ends after all that was acknowledged; later calls are refused.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Rows of a log, page by page.
pub type Pages = BoxStream<'static, Result<Vec<MetricLog>, StoreError>>;

/// How long ids of batches are remembered: a sender that tries again after this is not recognised.
pub const BATCHES_KEPT: Duration = Duration::from_hours(24);

/// What is kept, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Logs of trials that reported since then; all when there is no bound.
    pub logs_since: Option<i64>,
    /// Ids of batches that were stored since then.
    pub batches_since: i64,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Trials whose log is gone.
    pub trials: u64,
    /// Ids of batches.
    pub batches: u64,
}

/// Which tables of a database server are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// Diwan's tables where they are; else Katib's table where it is, as it is; else Diwan's are
    /// made.
    #[default]
    Detect,
    /// As found: Diwan's tables, else Katib's. No table is made or changed.
    Untouched,
    /// Diwan's. Rows of Katib's table are taken over the first time; the table stays.
    Diwan,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Which tables of a database server are used.
    pub schema: Schema,
    /// How long to wait for a database server that is not there yet.
    pub connect_timeout: Duration,
    /// How long a call waits for a database server that went away.
    pub patience: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            schema: Schema::Detect,
            connect_timeout: Duration::from_mins(1),
            patience: Duration::from_secs(30),
        }
    }
}

/// Opens the store that a database URL names, and brings its schema up to date.
pub async fn open(url: &DatabaseUrl) -> Result<Arc<dyn ObservationStore>, StoreError> {
    open_with(url, OpenOptions::default()).await
}

/// Opens the store that a database URL names.
pub async fn open_with(
    url: &DatabaseUrl,
    options: OpenOptions,
) -> Result<Arc<dyn ObservationStore>, StoreError> {
    let open = |url: &ServerUrl| ServerStore::open(url.clone(), options);
    Ok(match url {
        DatabaseUrl::Sqlite(path) => Arc::new(SqliteStore::open(path).await?),
        DatabaseUrl::Postgres(url) | DatabaseUrl::Mysql(url) => Arc::new(open(url).await?),
    })
}

/// How many rows a page of a log holds.
const PAGE: usize = 1_000;

/// A trial that a database knows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    id: i64,
    namespace: String,
    next_row: i64,
}

/// Picks the trial that a name means among those of the name: the one of its namespace, else the
/// one of no namespace yet. Without a namespace it is the only one.
fn pick(trial: &TrialRef, mut known: Vec<Known>) -> Result<Option<Known>, StoreError> {
    if trial.namespace.is_empty() {
        if known.len() > 1 {
            let mut namespaces: Vec<_> = known.into_iter().map(|known| known.namespace).collect();
            namespaces.sort();
            let name = trial.name.clone();
            return Err(StoreError::Ambiguous { name, namespaces });
        }
        return Ok(known.pop());
    }
    let exact = known
        .iter()
        .position(|known| known.namespace == trial.namespace);
    let found = exact.or_else(|| known.iter().position(|known| known.namespace.is_empty()));
    Ok(found.map(|at| known.swap_remove(at)))
}

/// What a stretch of a source means after what was stored of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Store,
    Done,
}

/// Compares a stretch of a source with how far the source was stored.
fn next_step(range: &SourceRange, stored: u64) -> Result<Step, StoreError> {
    if range.rewound || range.from == stored {
        Ok(Step::Store)
    } else if range.from < stored && range.to <= stored {
        Ok(Step::Done)
    } else {
        let (source_key, from) = (range.source.clone(), range.from);
        Err(StoreError::Gap {
            source_key,
            stored,
            from,
        })
    }
}

/// Microseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// A row as databases keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StoredRow {
    metric: String,
    micros: i64,
    value: String,
}

/// Reads the time stamps of a report; leaves rows without one out.
fn stored_rows(rows: Vec<MetricLog>) -> Result<Vec<StoredRow>, StoreError> {
    let stamped = rows
        .into_iter()
        .enumerate()
        .filter(|(_, row)| !row.time_stamp.is_empty());
    let stored = stamped.map(|(index, row)| match time::parse(&row.time_stamp) {
        Ok(micros) => Ok(StoredRow {
            metric: row.name,
            micros,
            value: row.value,
        }),
        Err(source) => Err(StoreError::Row {
            index,
            metric: row.name,
            source,
        }),
    });
    stored.collect()
}

/// Reads the bounds of a query as microseconds, both inclusive.
fn bounds(query: &LogQuery) -> Result<(i64, i64), StoreError> {
    let read = |bound, text: &Option<String>, open| {
        let parsed = text.as_deref().map_or(Ok(open), time::parse);
        parsed.map_err(|source| StoreError::Bound { bound, source })
    };
    Ok((
        read("start time", &query.start, i64::MIN)?,
        read("end time", &query.end, i64::MAX)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_follows_repeats_or_leaves_a_gap() {
        let range = |from, to, rewound| SourceRange {
            source: "log".into(),
            from,
            to,
            rewound,
        };
        let gap = |stored, from| {
            Err(StoreError::Gap {
                source_key: "log".into(),
                stored,
                from,
            })
        };
        for (given, stored, expected) in [
            (range(0, 10, false), 0, Ok(Step::Store)),
            (range(10, 20, false), 10, Ok(Step::Store)),
            (range(10, 10, false), 10, Ok(Step::Store)),
            (range(0, 10, false), 10, Ok(Step::Done)),
            (range(0, 10, false), 30, Ok(Step::Done)),
            (range(0, 10, false), 5, gap(5, 0)),
            (range(20, 30, false), 10, gap(10, 20)),
            (range(0, 5, true), 30, Ok(Step::Store)),
        ] {
            assert_eq!(
                next_step(&given, stored),
                expected,
                "{given:?} after {stored}"
            );
        }
    }
}
