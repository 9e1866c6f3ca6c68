//! What a no-op program costs by itself: the same isolation, fork, run and reap that a trial's pod
//! gets, several at a time, without any control plane. Printed with and without isolation.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Parser;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use serde_json::json;

/// Measures the bare cost of a pod.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many programs to run.
    #[arg(long, default_value_t = 1000)]
    count: usize,
    /// How many at a time.
    #[arg(long, default_value_t = 8)]
    parallel: usize,
    /// The program.
    #[arg(long, default_value = "/bin/true")]
    program: String,
    /// Print one JSON document instead of lines.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let bench = Bench::new()?;
    let mut figures = serde_json::Map::new();
    for (name, isolation) in [("isolated", bench.isolation.as_str()), ("plain", "none")] {
        let rate = bench.run(&arguments, isolation)?;
        figures.insert(name.into(), json!(rate));
        if !arguments.json {
            show(&format!(
                "{name:>9} ({isolation:>4}): {rate:7.0} programs per second"
            ));
        }
    }
    if arguments.json {
        show(&json!({ "isolation": bench.isolation, "per_second": figures }).to_string());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a measurement is printed")]
fn show(line: &str) {
    println!("{line}");
}

/// The folders and the program that all runs share.
struct Bench {
    folder: tempfile::TempDir,
    entrypoint: PathBuf,
    isolation: String,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let entrypoint = diwan_node::install_entrypoint(folder.path())?;
        for name in ["stage", "account", "pods"] {
            fs::create_dir(folder.path().join(name))?;
        }
        fs::write(folder.path().join("hosts"), fs::read("/etc/hosts")?)?;
        let stage = folder.path().join("stage");
        let probe = Command::new(&entrypoint).arg("probe").arg(stage).output()?;
        let text = String::from_utf8(probe.stdout)?;
        let isolation = text.lines().next().unwrap_or("none").to_owned();
        Ok(Self {
            folder,
            entrypoint,
            isolation,
        })
    }

    /// Runs the program as often as asked and returns how many ended per second.
    fn run(&self, arguments: &Arguments, isolation: &str) -> anyhow::Result<f64> {
        let pods = self
            .folder
            .path()
            .join("pods")
            .join(format!("{isolation}-{}", arguments.count));
        let mut waiting = Vec::with_capacity(arguments.count);
        for index in 0..arguments.count {
            let pod = pods.join(index.to_string());
            fs::create_dir_all(&pod)?;
            fs::write(
                pod.join("plan"),
                self.plan(&pod, isolation, &arguments.program),
            )?;
            waiting.push(pod);
        }
        let ran = waiting.clone();
        let start = Instant::now();
        let mut running: Vec<Child> = Vec::with_capacity(arguments.parallel);
        while !waiting.is_empty() || !running.is_empty() {
            while running.len() < arguments.parallel
                && let Some(pod) = waiting.pop()
            {
                running.push(self.hold(&pod)?);
            }
            // Without reaping, so that each child is reaped by its own handle.
            let status = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
            let ended = status.pid().map(nix::unistd::Pid::as_raw);
            ensure!(
                matches!(status, WaitStatus::Exited(..)),
                "a holder was killed"
            );
            let index = running
                .iter()
                .position(|c| i32::try_from(c.id()).ok() == ended);
            running
                .swap_remove(index.context("an unknown child")?)
                .wait()?;
        }
        let rate = arguments.count as f64 / start.elapsed().as_secs_f64();
        for pod in ran {
            let record = fs::read_to_string(pod.join("status"))?;
            ensure!(
                record.contains("\nexit 0 0 0 "),
                "the program failed: {record}"
            );
        }
        fs::remove_dir_all(pods)?;
        Ok(rate)
    }

    fn hold(&self, pod: &Path) -> anyhow::Result<Child> {
        let mut command = Command::new(&self.entrypoint);
        command.arg("hold").arg(pod).env_clear();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    /// The plan of a pod as the node writes it: one container, the two mounts that every pod has.
    fn plan(&self, pod: &Path, isolation: &str, program: &str) -> Vec<u8> {
        let folder = self.folder.path();
        let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let log = pod.join("main.").to_string_lossy().into_owned();
        let mut words = vec!["diwan-pod-1".into(), "isolate".into(), isolation.into()];
        words.extend(["restart", "never", "grace", "30", "stage"].map(String::from));
        words.extend([
            path("stage"),
            "container".into(),
            "main".into(),
            "main".into(),
        ]);
        words.extend([
            "log".into(),
            log,
            "cwd".into(),
            "/".into(),
            "arg".into(),
            program.into(),
        ]);
        words.extend(["env".into(), "PATH=/usr/local/bin:/usr/bin:/bin".into()]);
        if isolation != "none" {
            let account = "/var/run/secrets/kubernetes.io/serviceaccount";
            for (source, target) in [("hosts", "/etc/hosts"), ("account", account)] {
                words.extend(["mount".into(), path(source), target.into(), "ro".into()]);
            }
        }
        words.push("end".into());
        words
            .into_iter()
            .flat_map(|word: String| word.into_bytes().into_iter().chain([0]))
            .collect()
    }
}
