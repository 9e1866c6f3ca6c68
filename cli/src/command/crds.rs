//! `diwan crds`: the custom resource definitions as YAML.

use std::io::Write as _;
use std::process::ExitCode;

/// Prints the custom resource definitions, for `kubectl apply -f -`.
#[derive(clap::Args)]
pub(crate) struct Crds {}

/// Prints them.
pub(crate) fn run(_: &Crds) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for crd in diwan_api::crd::crds() {
        write!(out, "---\n{}", serde_saphyr::to_string(&crd)?)?;
    }
    Ok(ExitCode::SUCCESS)
}
