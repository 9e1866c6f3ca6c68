//! A running `diwan up` with a data folder of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kubectl::Kubectl;
pub use crate::kubectl::{has_condition, is_completed};
use crate::{diwan, path, wait_for};

/// A running `diwan up`. It is stopped when the value goes.
pub struct Up {
    child: Option<Child>,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    pub ui: String,
    pub db_manager: String,
    pub suggestion: String,
    /// Where metrics are served, if a flag says so.
    pub metrics: String,
    client: Kubectl,
}

impl Up {
    /// Starts with an empty data folder.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with an empty data folder and further flags.
    pub fn with(arguments: &[&str]) -> Self {
        Self::with_variables(arguments, &[])
    }

    /// Starts with an empty data folder, further flags and variables.
    pub fn with_variables(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("diwan-test-")
            .tempdir()
            .unwrap();
        let mut up = Self {
            child: None,
            client: Kubectl::new("", folder.path()),
            folder,
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            variables: variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ui: String::new(),
            db_manager: String::new(),
            suggestion: String::new(),
            metrics: String::new(),
        };
        up.launch();
        up
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the test's own files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the program on the same data folder and waits until it serves.
    pub fn launch(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("diwan.log"))
            .unwrap();
        let mut child = Command::new(diwan())
            .arg("up")
            .arg("--data")
            .arg(self.data())
            .args(&self.arguments)
            .env("PATH", path())
            .env("RUST_LOG", "info")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let Some(line) = lines.next() else {
                panic!("diwan up ended before it served:\n{}", self.log());
            };
            let line = line.unwrap();
            if let Some(address) = line.strip_prefix("web UI:") {
                address.trim().clone_into(&mut self.ui);
            } else if let Some(address) = line.strip_prefix("DB manager:") {
                address.trim().clone_into(&mut self.db_manager);
            } else if let Some(address) = line.strip_prefix("suggestion:") {
                address.trim().clone_into(&mut self.suggestion);
            } else if let Some(address) = line.strip_prefix("metrics:") {
                address.trim().clone_into(&mut self.metrics);
            } else if let Some(file) = line.strip_prefix("export KUBECONFIG=") {
                self.client.kubeconfig = PathBuf::from(file);
                break;
            }
        }
        self.child = Some(child);
    }

    /// What the program logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("diwan.log")).unwrap_or_default()
    }

    /// Ends the program at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends the program as Ctrl-C does and returns its exit status.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        wait_for("diwan up to stop", || child.try_wait().unwrap()).code()
    }
}

impl Deref for Up {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.client
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of diwan up ---\n{}", self.log());
        }
        let _ = self.stop();
    }
}
