//! `diwan controller`: the controllers, webhooks and the observation log on a cluster.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Flags};
use crate::signals::interrupted;

/// Runs the controllers, the admission webhooks and the observation log against a cluster.
#[derive(clap::Args)]
pub(crate) struct Controller {
    #[command(flatten)]
    flags: Flags,
}

impl Controller {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let stop = CancellationToken::new();
        let interrupt = interrupted();
        let told = stop.clone();
        tokio::spawn(async move {
            interrupt.await;
            told.cancel();
        });
        cluster::run(self.flags, stop).await?;
        Ok(ExitCode::SUCCESS)
    }
}
