//! One experiment of many trials on `diwan up`: what the first thousand and the last thousand cost,
//! memory, what stays on disk for a trial, and how long a restart takes after a kill -9.

#![allow(clippy::print_stdout)] // it prints its figures

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use diwan_bench::experiment::no_op;
use diwan_bench::up::Up;

/// One experiment of many trials.
#[derive(Parser)]
struct Arguments {
    /// How many trials
    #[arg(long, default_value_t = 10_000)]
    trials: u32,
    /// How many at a time
    #[arg(long, default_value_t = 8)]
    parallel: u32,
    /// Which algorithm proposes them
    #[arg(long, default_value = "random")]
    algorithm: String,
}

/// Where the experiment was at a time.
struct Mark {
    at: Instant,
    trials: u32,
    processor: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let up = Up::start(folder.path())?;
    let file = folder.path().join("experiment.yaml");
    let Arguments {
        trials,
        parallel,
        algorithm,
    } = arguments;
    std::fs::write(&file, no_op(trials, parallel, &algorithm))?;
    kubectl(&up, &["create", "-f", &file.to_string_lossy()])?;
    let marks = follow(&up, trials)?;
    let slice = (trials / 10).max(1);
    let first = cost(&marks, 0, slice)?;
    let last = cost(&marks, trials - slice, trials)?;
    let total = cost(&marks, 0, trials)?;
    println!(
        "{trials} no-op trials, {parallel} at a time, {algorithm}: {:.0} s, {:.1} trials/s",
        total.seconds,
        f64::from(trials) / total.seconds
    );
    println!(
        "first {slice}: {:.1} ms and {:.2} ms of processor a trial; last {slice}: {:.1} ms and {:.2} ms; \
         ratios {:.2} and {:.2}",
        1000.0 * first.seconds / f64::from(slice),
        1000.0 * first.processor / f64::from(slice),
        1000.0 * last.seconds / f64::from(slice),
        1000.0 * last.processor / f64::from(slice),
        last.seconds / first.seconds,
        last.processor / first.processor
    );
    println!(
        "resident memory: {:.0} MB",
        up.resident_kib()? as f64 / 1024.0
    );
    up.kill()?;
    for name in ["objects.db", "observations.db"] {
        let bytes = size(&folder.path().join(name))?;
        println!(
            "{name}: {:.1} MB, {} bytes a trial",
            bytes as f64 / 1e6,
            bytes / u64::from(trials)
        );
    }
    let begin = Instant::now();
    let up = Up::start(folder.path())?;
    let took = begin.elapsed();
    let listed = kubectl(&up, &["get", "trials", "-o", "name"])?
        .lines()
        .count();
    println!(
        "restart after kill -9: serves after {:.0} ms, {listed} trials there; resident memory then {:.0} MB",
        took.as_secs_f64() * 1000.0,
        up.resident_kib()? as f64 / 1024.0
    );
    up.stop()
}

/// Notes where the experiment is until all trials have succeeded.
fn follow(up: &Up, trials: u32) -> anyhow::Result<Vec<Mark>> {
    let mut marks = vec![Mark {
        at: Instant::now(),
        trials: 0,
        processor: up.processor_seconds()?,
    }];
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let path = "jsonpath={.status.trialsSucceeded} {.status.trialsFailed}";
        let status = kubectl(up, &["get", "experiment", "no-op", "-o", path])?;
        let mut counts = status.split(' ').map(|text| text.parse().unwrap_or(0));
        let (succeeded, failed): (u32, u32) =
            (counts.next().unwrap_or(0), counts.next().unwrap_or(0));
        ensure!(failed == 0, "{failed} trials failed");
        marks.push(Mark {
            at: Instant::now(),
            trials: succeeded,
            processor: up.processor_seconds()?,
        });
        if succeeded >= trials {
            return Ok(marks);
        }
    }
}

struct Cost {
    seconds: f64,
    processor: f64,
}

/// What the trials from one count to another cost; between two looks the progress is taken as even.
fn cost(marks: &[Mark], from: u32, to: u32) -> anyhow::Result<Cost> {
    let start = marks[0].at;
    let at = |count: u32| -> anyhow::Result<(f64, f64)> {
        let after = marks.iter().position(|mark| mark.trials >= count);
        let after = after.with_context(|| format!("{count} trials were not reached"))?;
        let late = &marks[after];
        let early = &marks[after.saturating_sub(1)];
        let share = match late.trials - early.trials {
            0 => 0.0,
            step => f64::from(count - early.trials) / f64::from(step),
        };
        let seconds = |mark: &Mark| (mark.at - start).as_secs_f64();
        Ok((
            seconds(early) + share * (seconds(late) - seconds(early)),
            early.processor + share * (late.processor - early.processor),
        ))
    };
    let (begin, end) = (at(from)?, at(to)?);
    Ok(Cost {
        seconds: end.0 - begin.0,
        processor: end.1 - begin.1,
    })
}

/// The bytes of a database with what is not yet merged into it.
fn size(path: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for suffix in ["", "-wal"] {
        let path = format!("{}{suffix}", path.display());
        if let Ok(file) = std::fs::metadata(path) {
            bytes += file.len();
        }
    }
    ensure!(bytes > 0, "{} is empty", path.display());
    Ok(bytes)
}

fn kubectl(up: &Up, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("kubectl")
        .args(arguments)
        .env("KUBECONFIG", &up.kubeconfig)
        .stderr(Stdio::inherit())
        .output()
        .context("can't start kubectl")?;
    ensure!(output.status.success(), "kubectl {arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}
