//! `diwan controller`: the controllers, webhooks and the observation log on a cluster.

use std::process::ExitCode;

use crate::cluster::{self, Flags};
use crate::signals::until_interrupted;

/// Runs the controllers, the admission webhooks and the observation log against a cluster.
#[derive(clap::Args)]
pub(crate) struct Controller {
    #[command(flatten)]
    flags: Flags,
}

impl Controller {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        cluster::run(self.flags, until_interrupted()).await?;
        Ok(ExitCode::SUCCESS)
    }
}
