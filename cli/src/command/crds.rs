//! `diwan crds`: the custom resource definitions as YAML.

use std::process::ExitCode;

/// Prints the custom resource definitions, for `kubectl apply -f -`.
#[derive(clap::Args)]
pub(crate) struct Crds {}

/// Prints them.
pub(crate) fn run(_: &Crds) -> anyhow::Result<ExitCode> {
    super::print_yaml(&diwan_api::crd::cluster_crds())?;
    Ok(ExitCode::SUCCESS)
}
