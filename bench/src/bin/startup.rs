//! How long `diwan up` takes until it serves, on a data folder that exists, and how much memory
//! it holds when idle. Bare: the same program printing its version.

#![allow(clippy::print_stdout)] // it prints its figures

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diwan_bench::up::Up;

const RUNS: usize = 9;

fn main() -> anyhow::Result<()> {
    let diwan = std::env::current_exe()?.with_file_name("diwan");
    let folder = tempfile::tempdir()?;
    // The first start makes certificates and the database.
    Up::start(folder.path())?.stop()?;
    let mut starts = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        let up = Up::start(folder.path())?;
        starts.push(begin.elapsed());
        up.stop()?;
        let begin = Instant::now();
        Command::new(&diwan)
            .arg("--version")
            .stdout(Stdio::null())
            .status()?;
        bare.push(begin.elapsed());
    }
    let up = Up::start(folder.path())?;
    std::thread::sleep(Duration::from_secs(5));
    let resident = up.resident_kib()?;
    up.stop()?;
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
