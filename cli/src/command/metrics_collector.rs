//! `diwan metrics-collector`: the collector container of a trial's pod.

use std::process::ExitCode;

use super::print;
use crate::signals::interrupted;

/// Collects what the trial of a pod reports, with the flags of Katib's collectors.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct MetricsCollector {
    /// Flags as Katib's collectors take them; `-help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FLAG"
    )]
    flags: Vec<String>,
}

impl MetricsCollector {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(help) = diwan_sidecar::help(&self.flags) {
            print(&help)?;
            return Ok(ExitCode::SUCCESS);
        }
        let Err(error) = diwan_sidecar::collect(self.flags, interrupted()).await else {
            return Ok(ExitCode::SUCCESS);
        };
        eprintln!("{error}");
        Ok(ExitCode::from(error.exit_code()))
    }
}
