//! `diwan-metrics-collector`: the same as `diwan metrics-collector`, and nothing else.

// A command line program prints.
#![allow(clippy::print_stdout)]

use std::env::args;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let words: Vec<String> = args().skip(1).collect();
    if let Some(help) = diwan_sidecar::help(&words) {
        print!("{help}");
        return ExitCode::SUCCESS;
    }
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        // The kubelet knows the time, and what is said may stand in a condition.
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("can't start the runtime: {error}");
            return ExitCode::from(1);
        }
    };
    match runtime.block_on(diwan_sidecar::collect(words, told_to_end())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Completes when the kubelet, or Ctrl-C, asks the process to end.
async fn told_to_end() {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
    let [Ok(mut terminate), Ok(mut interrupt)] = kinds.map(signal) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
