//! `diwan validate`: every error of the files, with file, line and field path.

use std::path::PathBuf;
use std::process::ExitCode;

use super::refuse;
use crate::apply::{self, ApplyError, Mode};
use crate::control_plane::Checker;
use crate::manifest;

/// Checks files as the API server would, without a server.
#[derive(clap::Args)]
pub(crate) struct Validate {
    /// Files with one or several YAML or JSON documents
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A KatibConfig file that names further algorithms
    #[arg(long, value_name = "FILE", env = "DIWAN_CONFIG")]
    config: Option<PathBuf>,
}

impl Validate {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let manifests = match manifest::read_files(&self.files) {
            Ok(manifests) => manifests,
            Err(problems) => return Ok(refuse(&problems)),
        };
        // The same server that runs experiments, empty: nothing can be valid here and not there.
        let checker = Checker::start(self.config.as_deref())?;
        apply::create_namespaces(&checker.client, &manifests).await?;
        match apply::apply(&checker.client, &manifests, Mode::DryRun).await {
            Ok(_) => {}
            Err(ApplyError::Invalid(problems)) => return Ok(refuse(&problems)),
            Err(ApplyError::Other(error)) => return Err(error),
        }
        println!("no errors");
        Ok(ExitCode::SUCCESS)
    }
}
