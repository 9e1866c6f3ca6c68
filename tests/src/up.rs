//! A running `diwan up` with a data folder of its own, and `kubectl` against it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::process::{Ran, run};
use crate::{diwan, path, wait_for};

/// A running `diwan up`. It is stopped when the value goes.
pub struct Up {
    child: Option<Child>,
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    pub ui: String,
    pub db_manager: String,
    pub suggestion: String,
    pub kubeconfig: PathBuf,
}

impl Up {
    /// Starts with an empty data folder.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with an empty data folder and further flags.
    pub fn with(arguments: &[&str]) -> Self {
        let mut up = Self {
            child: None,
            folder: tempfile::Builder::new()
                .prefix("diwan-test-")
                .tempdir()
                .unwrap(),
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            ui: String::new(),
            db_manager: String::new(),
            suggestion: String::new(),
            kubeconfig: PathBuf::new(),
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
            } else if let Some(file) = line.strip_prefix("export KUBECONFIG=") {
                self.kubeconfig = PathBuf::from(file);
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

    /// A command that talks to this control plane.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.folder.path())
            .env("PATH", path())
            .stdin(Stdio::null());
        command
    }

    /// Runs `kubectl` with the words of `arguments`.
    #[track_caller]
    pub fn kubectl(&self, arguments: &str) -> Ran {
        run(self.command("kubectl").args(arguments.split_whitespace()))
    }

    /// Runs `kubectl … -f -` with this text as its input.
    #[track_caller]
    pub fn kubectl_with(&self, arguments: &str, input: &str) -> Ran {
        let mut child = self
            .command("kubectl")
            .args(arguments.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// An object as JSON; `Null` when there is none.
    #[track_caller]
    pub fn get(&self, namespace: &str, what: &str) -> Value {
        let ran = self.kubectl(&format!("-n {namespace} get {what} -o json"));
        if ran.code == Some(0) {
            return serde_json::from_str(&ran.stdout).unwrap();
        }
        assert!(ran.stderr.contains("NotFound"), "{}", ran.stderr);
        Value::Null
    }

    /// Waits until the experiment has succeeded or failed, and returns it.
    #[track_caller]
    pub fn completed(&self, namespace: &str, experiment: &str) -> Value {
        wait_for(&format!("experiment {experiment} to complete"), || {
            let object = self.get(namespace, &format!("experiment/{experiment}"));
            is_completed(&object).then_some(object)
        })
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

/// Whether an experiment has succeeded or failed.
pub fn is_completed(experiment: &Value) -> bool {
    has_condition(experiment, "Succeeded") || has_condition(experiment, "Failed")
}

/// Whether a condition of this type is True.
pub fn has_condition(object: &Value, type_: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == type_ && condition["status"] == "True")
}
