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

    /// Returns what a metric amounts to for each of the trials that reported it, in their order,
    /// with a curve of at most `points` points; without points when that is 0.
    ///
    /// # Errors
    /// When the log can't be read.
    async fn overview(
        &self,
        namespace: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<TrialMetric>, ObservationError>;
}

/// One metric of one trial.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrialMetric {
    /// Name of the trial.
    pub trial: String,
    /// How many values were reported, whatever they are.
    pub reported: u64,
    /// The smallest finite number.
    pub min: Option<f64>,
    /// The largest finite number.
    pub max: Option<f64>,
    /// The value that was reported last, as the trial wrote it.
    pub latest: String,
    /// Which report it was, counted from 0, and its value; finite numbers alone.
    pub points: Vec<(u64, f64)>,
}

/// The observation log can't be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the observation log: {0}")]
pub struct ObservationError(pub String);
