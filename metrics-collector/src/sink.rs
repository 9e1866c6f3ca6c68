//! The port through which rows leave: implemented over a store, or over gRPC.

use async_trait::async_trait;
use diwan_api::MetricLog;

/// Rows that were read from one stretch of one source.
///
/// A sink that keeps `to` of the last batch of each source, in one transaction with the rows,
/// stores each row once, whatever is killed when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Namespace of the trial.
    pub namespace: String,
    /// Name of the trial.
    pub trial: String,
    /// The source, unique within the trial.
    pub source: String,
    /// The first byte of the stretch: where the batch before it ended.
    pub from: u64,
    /// Behind its last byte. Equal to `from` for rows that stand for the lack of others; they are
    /// to be stored once.
    pub to: u64,
    /// The source was emptied or replaced, so that `from` begins anew.
    pub rewound: bool,
    /// What was found there.
    pub rows: Vec<MetricLog>,
}

/// What is known of a source that was read before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Behind the last byte that was read.
    pub position: u64,
    /// The trial has a row of the objective metric.
    pub objective_seen: bool,
}

/// Why a batch was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// For now; the same batch is sent again.
    #[error("{0}")]
    Away(String),
    /// For ever.
    #[error("{0}")]
    Refused(String),
}

/// Takes what was collected.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Returns how far a source of a trial was read before.
    async fn resume(
        &self,
        namespace: &str,
        trial: &str,
        source: &str,
        objective: &str,
    ) -> Result<Resume, SinkError>;

    /// Stores a batch; one that was stored before changes nothing.
    async fn report(&self, batch: &Batch) -> Result<(), SinkError>;
}
