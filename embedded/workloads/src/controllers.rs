//! All controllers together.

use std::path::Path;

use diwan_embedded::Api;
use tokio::task::JoinSet;

use crate::deployment::Deployments;
use crate::driver::drive;
use crate::endpoints::EndpointsOfServices;
use crate::job::JobController;
use crate::proxy::Proxy;
use crate::replica_set::ReplicaSets;
use crate::storage::{Claims, Volumes};

/// The running controllers of all kinds. Dropping them ends them.
pub struct Controllers {
    _jobs: JobController,
    _others: JoinSet<()>,
}

impl Controllers {
    /// Starts the controllers; pods go to the node of that name, and folders of volumes are made
    /// in the data folder. To be called within a Tokio
    /// runtime.
    pub fn start(api: &Api, node: &str, data: &Path) -> Self {
        let mut others = JoinSet::new();
        others.spawn(drive(api.clone(), ReplicaSets::new(api.clone(), node)));
        others.spawn(drive(api.clone(), Deployments::new(api.clone())));
        others.spawn(drive(api.clone(), EndpointsOfServices::new(api.clone())));
        others.spawn(drive(api.clone(), Proxy::new(api.clone())));
        let folders = data.join("volumes");
        others.spawn(drive(
            api.clone(),
            Claims::new(api.clone(), folders.clone()),
        ));
        others.spawn(drive(api.clone(), Volumes::new(api.clone(), folders)));
        Self {
            _jobs: JobController::start(api.clone(), node),
            _others: others,
        }
    }
}
