//! The port of the observation log, and its databases.
//!
//! A database is one file here that implements [`ObservationStore`] and passes
//! `tests/conformance.rs`. Only these files contain SQL.

mod sqlite;

pub use sqlite::SqliteStore;

use async_trait::async_trait;
use diwan_api::MetricLog;

use crate::{
    curve::Curve,
    summary::Summary,
    time::{self, TimeError},
    url::DatabaseUrl,
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
    /// By an id that the sender drew for this report.
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

    /// Returns rows in the order of their time; equal times in the order of their report.
    async fn get(&self, query: LogQuery) -> Result<Vec<MetricLog>, StoreError>;

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

    /// Asks the database for a sign of life.
    async fn health(&self) -> Result<(), StoreError>;

    /// Ends after all that was acknowledged; later calls are refused.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Opens the store that a database URL names, and brings its schema up to date.
pub async fn open(url: &DatabaseUrl) -> Result<std::sync::Arc<dyn ObservationStore>, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => Ok(std::sync::Arc::new(SqliteStore::open(path).await?)),
    }
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
