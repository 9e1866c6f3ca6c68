//! All controllers together.

use diwan_embedded::Api;
use tokio::task::JoinSet;

use crate::deployment::Deployments;
use crate::driver::drive;
use crate::job::JobController;
use crate::replica_set::ReplicaSets;

/// The running controllers of all kinds. Dropping them ends them.
pub struct Controllers {
    _jobs: JobController,
    _others: JoinSet<()>,
}

impl Controllers {
    /// Starts the controllers; pods go to the node of that name. To be called within a Tokio
    /// runtime.
    pub fn start(api: &Api, node: &str) -> Self {
        let mut others = JoinSet::new();
        others.spawn(drive(api.clone(), ReplicaSets::new(api.clone(), node)));
        others.spawn(drive(api.clone(), Deployments::new(api.clone())));
        Self {
            _jobs: JobController::start(api.clone(), node),
            _others: others,
        }
    }
}
