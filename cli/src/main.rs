//! Diwan: hyperparameter tuning and neural architecture search on one machine or on a
//! Kubernetes cluster, with one binary.
//!
//! This crate is the only one that sees all others: it reads the command line, the environment
//! and configuration files, and wires the parts together.

// A command line program prints.
#![allow(clippy::print_stdout)]

mod apply;
mod cluster;
mod command;
mod control_plane;
mod database;
mod install;
mod katib_config;
mod logging;
mod manifest;
mod metrics;
mod port;
mod progress;
mod report;
mod signals;
mod table;

use std::process::ExitCode;

use clap::Parser;

/// Hyperparameter tuning and neural architecture search on one machine or on a Kubernetes cluster.
#[derive(Parser)]
#[command(name = "diwan", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    logging: logging::LogArguments,
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    logging::start(&arguments.logging);
    // Several TLS users share the process; they must agree on who does the cryptography.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match arguments.command.runtime().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("diwan: can't start the runtime: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(arguments.command.run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("diwan: {error:#}");
            ExitCode::from(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_fits_together() {
        super::Arguments::command().debug_assert();
    }
}
