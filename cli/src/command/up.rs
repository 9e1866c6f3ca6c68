//! `diwan up`: the whole control plane on this machine, until Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;

use crate::control_plane::{ControlPlane, Shared};
use crate::signals::interrupted;

/// Runs the API, the controllers, the web UI and the observation log until Ctrl-C.
#[derive(clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    shared: Shared,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let interrupt = interrupted();
        let plane = ControlPlane::start(&self.shared).await?;
        announce(&plane)?;
        interrupt.await;
        eprintln!("stopping; Ctrl-C again to leave at once, with trials still running");
        tokio::select! {
            () = plane.stop() => {}
            () = interrupted() => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The addresses on stdout, the kubeconfig in a form that a shell can take over.
fn announce(plane: &ControlPlane) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "web UI:     {}", plane.addresses.ui)?;
    writeln!(out, "DB manager: {}", plane.addresses.db_manager)?;
    writeln!(out, "suggestion: {}", plane.addresses.suggestion)?;
    if let Some(address) = plane.addresses.metrics {
        writeln!(out, "metrics:    http://{address}/metrics")?;
    }
    writeln!(
        out,
        "export KUBECONFIG={}",
        plane.addresses.kubeconfig.display()
    )?;
    out.flush()?;
    Ok(())
}
