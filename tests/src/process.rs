//! Which processes and mounts there are, and running commands.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::{diwan, path};

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(
            self.code,
            Some(0),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self.stdout
    }

    /// What a command that must have failed said on stderr.
    #[track_caller]
    pub fn err(self) -> String {
        assert_ne!(
            self.code,
            Some(0),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self.stderr
    }
}

/// The program, at home in a folder.
pub fn diwan_in(folder: &Path) -> Command {
    in_folder(Command::new(diwan()), folder)
}

/// A command at home in a folder, which nobody types to.
pub fn in_folder(mut command: Command, folder: &Path) -> Command {
    command
        .current_dir(folder)
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("PATH", path())
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ran {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
        .into()
}

/// The command lines of all processes that mention `needle`.
pub fn processes_with(needle: &str) -> Vec<String> {
    all_with(needle).into_iter().map(|(_, line)| line).collect()
}

/// The numbers of all processes whose command lines mention `needle`.
pub fn pids_with(needle: &str) -> Vec<i32> {
    let found = all_with(needle).into_iter();
    found.filter_map(|(pid, _)| pid.parse().ok()).collect()
}

/// Numbers and command lines of the processes that mention `needle`, but for this one.
fn all_with(needle: &str) -> Vec<(String, String)> {
    let own = std::process::id().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.bytes().all(|b| b.is_ascii_digit()) && *name != own
        })
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let pid = entry.file_name().to_string_lossy().into_owned();
            line.contains(needle).then_some((pid, line))
        })
        .collect()
}

/// The mounts that this process sees and that mention `needle`.
pub fn mounts_with(needle: &str) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(needle))
        .map(str::to_owned)
        .collect()
}
