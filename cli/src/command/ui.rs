//! `diwan ui`: the web page of a cluster.

use std::process::ExitCode;

use crate::cluster::page::{self, Flags};
use crate::signals::until_interrupted;

/// Serves the web page and its REST interface for a cluster; each user sees what roles let them see.
#[derive(clap::Args)]
pub(crate) struct Ui {
    #[command(flatten)]
    flags: Flags,
}

impl Ui {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        page::run(self.flags, until_interrupted()).await?;
        Ok(ExitCode::SUCCESS)
    }
}
