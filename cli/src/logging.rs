//! Logs: to stderr, as text or as JSON lines, filtered by `RUST_LOG`.

use std::io::{IsTerminal, stderr};

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How logs are written.
#[derive(Args)]
pub(crate) struct LogArguments {
    /// Format of the log lines on stderr; `RUST_LOG` says which lines there are
    #[arg(long, global = true, env = "DIWAN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Starts logging; later calls do nothing.
pub(crate) fn start(arguments: &LogArguments) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    let started = match arguments.log_format {
        LogFormat::Text => builder.with_ansi(stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Err(error) = started {
        eprintln!("diwan: can't start logging: {error}");
    }
}
