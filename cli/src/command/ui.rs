//! `diwan ui`: the web page of a cluster.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::cluster::page::{self, Flags};
use crate::signals::interrupted;

/// Serves the web page and its REST interface for a cluster; each user sees what roles let them see.
#[derive(clap::Args)]
pub(crate) struct Ui {
    #[command(flatten)]
    flags: Flags,
}

impl Ui {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let stop = CancellationToken::new();
        let interrupt = interrupted();
        let told = stop.clone();
        tokio::spawn(async move {
            interrupt.await;
            told.cancel();
        });
        page::run(self.flags, stop).await?;
        Ok(ExitCode::SUCCESS)
    }
}
