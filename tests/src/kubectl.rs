//! `kubectl` against an API server, whichever it is.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::process::{Ran, run};
use crate::{path, wait_for};

/// Where clients find the API, and a home of their own.
pub struct Kubectl {
    pub kubeconfig: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    /// Clients with this kubeconfig and home folder.
    pub fn new(kubeconfig: impl Into<PathBuf>, home: impl Into<PathBuf>) -> Self {
        Self {
            kubeconfig: kubeconfig.into(),
            home: home.into(),
        }
    }

    /// A command that talks to this control plane.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
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
