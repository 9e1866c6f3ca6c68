//! `diwan up` as a program of its own, looked at from outside.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// A running `diwan up`.
pub struct Up {
    child: Child,
    /// For kubectl.
    pub kubeconfig: PathBuf,
}

impl Up {
    /// Starts the program beside this one on a data folder; returns once it serves.
    pub fn start(data: &Path) -> anyhow::Result<Self> {
        let diwan = std::env::current_exe()?.with_file_name("diwan");
        let mut child = Command::new(&diwan)
            .args(["up", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start {}", diwan.display()))?;
        let output = child.stdout.take().context("stdout is piped")?;
        for line in BufReader::new(output).lines() {
            if let Some(path) = line?.strip_prefix("export KUBECONFIG=") {
                let kubeconfig = PathBuf::from(path.trim_matches(['\'', '"']));
                return Ok(Self { child, kubeconfig });
            }
        }
        anyhow::bail!("diwan up ended before it served")
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(value.context("VmRSS")?.parse()?)
    }

    /// The processor time it has used, without that of the programs it started.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').context("stat has a name")?.1;
        let mut fields = after_name.split_whitespace().skip(11);
        let mut ticks = || -> anyhow::Result<f64> { Ok(fields.next().context("stat")?.parse()?) };
        let used = ticks()? + ticks()?;
        let rate = sysconf(SysconfVar::CLK_TCK)?.context("CLK_TCK")?;
        Ok(used / rate as f64)
    }

    /// Ends it as Ctrl-C does.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            Signal::SIGINT,
        )?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}
