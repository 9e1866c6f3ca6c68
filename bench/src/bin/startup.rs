//! How long `diwan up` takes until it serves, on a data folder that exists, and how much memory
//! it holds when idle. Bare: the same program printing its version.

#![allow(clippy::print_stdout)] // it prints its figures

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const RUNS: usize = 9;

fn main() -> anyhow::Result<()> {
    let diwan = std::env::current_exe()?.with_file_name("diwan");
    let folder = tempfile::tempdir()?;
    // The first start makes certificates and the database.
    stop(start(&diwan, folder.path())?.0)?;
    let mut starts = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..RUNS {
        let (child, took) = start(&diwan, folder.path())?;
        starts.push(took);
        stop(child)?;
        let begin = Instant::now();
        Command::new(&diwan)
            .arg("--version")
            .stdout(Stdio::null())
            .status()?;
        bare.push(begin.elapsed());
    }
    let (child, _) = start(&diwan, folder.path())?;
    std::thread::sleep(Duration::from_secs(5));
    let resident = resident_kib(child.id())?;
    stop(child)?;
    println!(
        "diwan up until it serves, warm: {} (bare, --version: {})",
        show(starts),
        show(bare)
    );
    println!(
        "resident memory after 5 s idle: {:.1} MB",
        resident as f64 / 1024.0
    );
    Ok(())
}

fn start(diwan: &Path, data: &Path) -> anyhow::Result<(Child, Duration)> {
    let begin = Instant::now();
    let mut child = Command::new(diwan)
        .args(["up", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't start {}", diwan.display()))?;
    let output = child.stdout.take().context("stdout is piped")?;
    for line in BufReader::new(output).lines() {
        if line?.starts_with("export KUBECONFIG=") {
            return Ok((child, begin.elapsed()));
        }
    }
    anyhow::bail!("diwan up ended before it served")
}

fn stop(mut child: Child) -> anyhow::Result<()> {
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    child.wait()?;
    Ok(())
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .context("VmRSS has a value")?
        .parse()?)
}

fn show(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let (min, median, max) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    format!(
        "median {:.0} ms, {:.0} to {:.0} ms of {}",
        ms(median),
        ms(min),
        ms(max),
        times.len()
    )
}
