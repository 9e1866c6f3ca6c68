//! `diwan entrypoint`: puts the program that wraps a trial's command where its pod finds it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

/// Puts `diwan-entrypoint` into a folder.
#[derive(clap::Args)]
pub(crate) struct Entrypoint {
    /// The folder, a volume of the pod
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Entrypoint {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.folder.join("diwan-entrypoint");
        let describe = || format!("can't write {}", path.display());
        // Whole or not at all: another container may start it at any moment.
        let new = path.with_extension("new");
        std::fs::write(&new, diwan_node::ENTRYPOINT).with_context(describe)?;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&new, mode).with_context(describe)?;
        std::fs::rename(&new, &path).with_context(describe)?;
        Ok(ExitCode::SUCCESS)
    }
}
