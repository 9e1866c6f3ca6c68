//! No-op trials per second through the whole path: Experiment, Suggestion, Trial, Job, Pod,
//! process, metric, observation, status; every write durable. `diwan run` holds the whole control
//! plane in its process; its start and end count. Run `isolation` beside it for the bare cost.

#![allow(clippy::print_stdout)] // it prints its figures

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Parser;
use diwan_bench::experiment::no_op;
use serde_json::Value;

/// Measures no-op trials per second through the whole path.
#[derive(Parser)]
struct Arguments {
    /// How many trials
    #[arg(long, default_value_t = 1000)]
    trials: u32,
    /// How many at a time
    #[arg(long, default_value_t = 8)]
    parallel: u32,
    /// Which algorithm proposes them
    #[arg(long, default_value = "random")]
    algorithm: String,
}

fn main() -> anyhow::Result<()> {
    let Arguments {
        trials,
        parallel,
        algorithm,
    } = Arguments::parse();
    let diwan = std::env::current_exe()?.with_file_name("diwan");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("experiment.yaml");
    std::fs::write(&file, no_op(trials, parallel, &algorithm))?;
    let begin = Instant::now();
    let output = Command::new(&diwan)
        .args(["run", "--output", "json"])
        .arg(&file)
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("can't start {}", diwan.display()))?;
    let took = begin.elapsed().as_secs_f64();
    ensure!(output.status.success(), "the run failed: {}", output.status);
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let succeeded = document["experiment"]["status"]["trialsSucceeded"].as_u64();
    ensure!(
        succeeded == Some(u64::from(trials)),
        "{succeeded:?} trials succeeded"
    );
    let rate = f64::from(trials) / took;
    println!("{trials} no-op trials, {parallel} at a time: {took:.2} s, {rate:.0} trials/s");
    Ok(())
}
