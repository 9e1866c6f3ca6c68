//! What the sidecar takes beside a trial that logs ten lines a second: memory, and time on the
//! processor.
//!
//! `cargo bench -p diwan-metrics-collector --bench sidecar`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for people that fails by panicking"
)]

use std::{fs, io::sink, process::Command};

use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_metrics_collector::{
    Manager, SinkError,
    sidecar::{Flags, Processes, run},
};

/// How long the trial runs.
const SECONDS: u64 = 30;

/// Takes everything.
struct Nowhere;

#[async_trait]
impl Manager for Nowhere {
    async fn report(&self, _: &str, _: &str, _: &[MetricLog], _: &str) -> Result<(), SinkError> {
        Ok(())
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let process = folder.path().join("proc/40");
    fs::create_dir_all(&process).unwrap();
    fs::write(process.join("stat"), "40 (sh) S 0 1 1").unwrap();
    fs::write(process.join("cmdline"), "sh").unwrap();
    let script = format!(
        "i=0; while [ $i -lt {} ]; do echo \"2026-03-04T17:55:08Z INFO epoch $i loss=0.$i\" >> log; \
         i=$((i+1)); sleep 0.1; done; echo completed > 40.pid; rm -r proc/40",
        SECONDS * 10
    );
    let mut trial = Command::new("sh")
        .args(["-c", &script])
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    let path = folder.path().join("log");
    let line = format!(
        "-t trial -m loss -o-type minimize -s-db x:1 -format TEXT -path {}",
        path.display()
    );
    let flags = Flags::parse(line.split(' ').map(Into::into)).unwrap();
    let processes = Processes::new(folder.path().join("proc"), folder.path());
    let before = on_processor();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime
        .block_on(run(
            &flags,
            Nowhere,
            None,
            &processes,
            std::future::pending(),
            &mut sink(),
        ))
        .unwrap();
    let time = on_processor() - before;
    trial.wait().unwrap();
    let memory = fs::read_to_string("/proc/self/status").unwrap();
    let most = memory
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    println!(
        "{} rows in {SECONDS} s; resident at most:{}",
        outcome.rows,
        &most[6..]
    );
    println!(
        "on the processor: {:.3} % of a core",
        time / SECONDS as f64 * 100.0
    );
}

/// Seconds of all threads, counted in hundredths.
fn on_processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}
