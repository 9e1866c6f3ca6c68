//! The port through which metric curves are read.

use async_trait::async_trait;
use diwan_api::MetricLog;

/// Reads the observation log; implemented where the log lives.
#[async_trait]
pub trait ObservationReader: Send + Sync {
    /// Returns the rows of a trial in order of time: of the named metrics, or of all when `metrics`
    /// is empty. A trial without rows has an empty list.
    ///
    /// # Errors
    /// When the log can't be read.
    async fn series(
        &self,
        namespace: &str,
        trial: &str,
        metrics: &[String],
    ) -> Result<Vec<MetricLog>, ObservationError>;
}

/// The observation log can't be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the observation log: {0}")]
pub struct ObservationError(pub String);
