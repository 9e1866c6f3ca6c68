//! The port through which logs are read that the Kubernetes API no longer has.

use async_trait::async_trait;

/// Keeps the logs of trials whose pods are gone; implemented where logs are stored.
#[async_trait]
pub trait LogArchive: Send + Sync {
    /// Returns what the primary container of a trial wrote, only the last lines when `tail_lines`
    /// is given; `None` when nothing is kept.
    async fn read(&self, namespace: &str, trial: &str, tail_lines: Option<usize>)
    -> Option<String>;
}
