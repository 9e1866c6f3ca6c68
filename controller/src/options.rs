//! What can be set on the controllers.

use std::time::Duration;

/// What can be set on the controllers. [`Options::default`] fits one machine.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many objects of one kind are worked on at a time.
    pub concurrency: usize,
    /// The least time between two status writes of one experiment that only count trials.
    pub status_interval: Duration,
    /// How long trials must have stayed as they are before such a status is written: what one trial's
    /// end brings about is then one write. At most four intervals pass meanwhile.
    pub status_quiet: Duration,
    /// How long after its run has succeeded a trial's metrics may still arrive. Zero where the
    /// collector has reported before the pod's end is published.
    pub metrics_grace: Duration,
    /// How long something that fails is tried again before a condition says that it failed.
    pub patience: Duration,
    /// How long a run may be without a ready pod before its pods are looked at.
    pub start_grace: Duration,
    /// The component that events name as their source.
    pub component: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 64,
            status_interval: Duration::from_millis(250),
            status_quiet: Duration::ZERO,
            metrics_grace: Duration::ZERO,
            patience: Duration::from_mins(5),
            start_grace: Duration::from_secs(1),
            component: "diwan".to_owned(),
        }
    }
}

impl Options {
    /// The options for a cluster, where sidecars report on their own.
    pub fn cluster() -> Self {
        Self {
            metrics_grace: Duration::from_secs(10),
            status_interval: Duration::from_millis(500),
            status_quiet: Duration::from_millis(300),
            // Longer than an image that is there takes to start: looking costs a request.
            start_grace: Duration::from_secs(5),
            ..Self::default()
        }
    }
}
