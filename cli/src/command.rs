//! The commands: one file and one variant each.

mod algorithms;
mod checkpoint;
mod controller;
mod crds;
mod db_manager;
mod entrypoint;
mod install;
mod metrics_collector;
mod run;
mod suggestion;
mod ui;
mod up;
mod validate;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::manifest::Problem;

/// Exit status of a run whose experiment failed.
const EXIT_FAILED: u8 = 1;
/// Exit status when the input is wrong.
const EXIT_INVALID: u8 = 2;
/// Exit status after Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// What `diwan` can do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the whole control plane on this machine until Ctrl-C
    Up(up::Up),
    /// Run experiments from files and print the best trials
    Run(run::Run),
    /// Check files: every error with file, line and field
    Validate(validate::Validate),
    /// List the search algorithms, or show one with its settings
    Algorithms(algorithms::Algorithms),
    /// Serve the search algorithms over gRPC
    Suggestion(suggestion::Suggestion),
    /// Serve the observation log over gRPC
    DbManager(db_manager::DbManager),
    /// Collect the metrics of a trial, as the collector container of its pod
    MetricsCollector(metrics_collector::MetricsCollector),
    /// Put the program that wraps a trial's command into a folder
    #[command(hide = true)]
    Entrypoint(entrypoint::Entrypoint),
    /// Give a trial the checkpoint that it continues
    #[command(hide = true)]
    Checkpoint(checkpoint::Checkpoint),
    /// Run controllers, webhooks and the observation log against a cluster
    Controller(controller::Controller),
    /// Print the manifests of a cluster installation as YAML
    Install(install::Install),
    /// Serve the web page of a cluster
    Ui(ui::Ui),
    /// Print the custom resource definitions as YAML
    Crds(crds::Crds),
}

impl Command {
    /// What the command runs on: one thread beside a trial, which is to have the machine.
    pub(crate) fn runtime(&self) -> Builder {
        match self {
            Self::MetricsCollector(_) | Self::Checkpoint(_) => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        }
    }

    /// Runs the command and returns the exit status.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(command) => command.run().await,
            Self::Run(command) => Box::pin(command.run()).await,
            Self::Validate(command) => command.run().await,
            Self::Algorithms(command) => command.run(),
            Self::Suggestion(command) => command.run().await,
            Self::DbManager(command) => command.run().await,
            Self::Entrypoint(command) => command.run(),
            Self::Checkpoint(command) => command.run(),
            Self::Controller(command) => Box::pin(command.run()).await,
            Self::MetricsCollector(command) => command.run().await,
            Self::Install(command) => command.run(),
            Self::Ui(command) => Box::pin(command.run()).await,
            Self::Crds(command) => crds::run(&command),
        }
    }
}

/// Prints objects as YAML documents.
fn print_yaml(objects: &[impl Serialize]) -> anyhow::Result<()> {
    let mut text = String::new();
    for object in objects {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(object)?);
    }
    print(&text)
}

/// Prints a command's result. A reader that has seen enough (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("can't print"),
        _ => Ok(()),
    }
}

/// Says what is wrong with the input; returns the exit status for it.
fn refuse(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("{problem}");
    }
    ExitCode::from(EXIT_INVALID)
}
