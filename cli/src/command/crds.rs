//! `diwan crds`: the custom resource definitions as YAML.

use std::process::ExitCode;

/// Prints the custom resource definitions, for `kubectl apply -f -`.
#[derive(clap::Args)]
pub(crate) struct Crds {}

/// Prints them.
pub(crate) fn run(_: &Crds) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    for crd in diwan_api::crd::cluster_crds() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&crd)?);
    }
    super::print(&text)?;
    Ok(ExitCode::SUCCESS)
}
