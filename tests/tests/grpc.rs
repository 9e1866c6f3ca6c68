//! The gRPC door: what clients and services in Python ask and answer.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use diwan_tests::experiment::Experiment;
use diwan_tests::process::run;
use diwan_tests::up::{Up, has_condition};
use diwan_tests::{diwan, python, root, wait_for};
use serde_json::Value;

/// A service of `diwan` and its address. It is killed when the value goes.
struct Service(Child, String);

impl Service {
    fn start(command: &str) -> Self {
        let mut child = Command::new(diwan())
            .args([command, "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self(child, address)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the one trial of an experiment to run, and returns its pod.
fn running_pod(up: &Up, experiment: &str) -> Value {
    wait_for("the trial to run", || {
        let pods = up.get("default", "pods");
        let mut pods = pods["items"].as_array()?.iter();
        let is_mine = |pod: &&Value| {
            pod["metadata"]["labels"]["katib.kubeflow.org/experiment"] == experiment
                && pod["status"]["phase"] == "Running"
        };
        pods.find(is_mine).cloned()
    })
}

fn variable<'a>(pod: &'a Value, name: &str) -> &'a str {
    let variables = pod["spec"]["containers"][0]["env"].as_array().unwrap();
    let found = variables
        .iter()
        .find(|entry| entry["name"] == name)
        .unwrap();
    found["value"].as_str().unwrap()
}

#[test]
fn the_early_stopping_service_answers_as_katibs_does() {
    let mut up = Up::start();
    let experiment = Experiment {
        name: "long",
        max: 1,
        parallel: 1,
        script: "echo loss=1\nexec sleep 300",
        ..Experiment::default()
    };
    up.kubectl_with("create -f -", &experiment.yaml()).ok();
    let pod = running_pod(&up, "long");
    let trial = variable(&pod, "KATIB_TRIAL_NAME");
    assert_eq!(variable(&pod, "DIWAN_TRIAL_NAMESPACE"), "default");
    let apart = Service::start("suggestion");
    let mut command = up.command(python());
    command.arg(root().join("tests/grpc/early_stopping.py"));
    command.args([&up.suggestion, &up.db_manager, trial]);
    command.args([variable(&pod, "DIWAN_TRIAL_TOKEN"), &apart.1]);
    let said = run(&mut command).ok();
    assert!(said.ends_with("all checks passed\n"), "{said}");
    let done = up.completed("default", "long");
    assert_eq!(done["status"]["trialsEarlyStopped"], 1, "{done:#}");
    let trial = up.get("default", &format!("trial/{trial}"));
    assert!(has_condition(&trial, "EarlyStopped"), "{trial:#}");
    assert_eq!(trial["status"]["observation"]["metrics"][0]["latest"], "1");
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn an_early_stopping_service_in_python_is_started_and_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("katib-config.yaml");
    let text = format!(
        "apiVersion: config.kubeflow.org/v1beta1\nkind: KatibConfig\nruntime:\n  earlyStoppings:\n\
         \x20   - algorithmName: best-by-half\n      command: ['{}', '{}']\n",
        python().display(),
        root().join("tests/grpc/own_stopper.py").display()
    );
    fs::write(&config, text).unwrap();
    let mut up = Up::with(&["--config", config.to_str().unwrap()]);
    // The first trial is the best; the second is stopped in the middle.
    let first = up.folder().join("first");
    let script = format!(
        "if mkdir {}; then echo loss=1; else echo loss=2; exec sleep 300; fi",
        first.display()
    );
    let experiment = Experiment {
        name: "half",
        max: 2,
        parallel: 1,
        script: &script,
        extra: "earlyStopping:\n  algorithmName: best-by-half",
        ..Experiment::default()
    };
    up.kubectl_with("create -f -", &experiment.yaml()).ok();
    let done = up.completed("default", "half");
    assert_eq!(done["status"]["trialsEarlyStopped"], 1, "{done:#}");
    assert_eq!(done["status"]["trialsSucceeded"], 1, "{done:#}");
    let unknown = experiment.yaml().replace("best-by-half", "no-such");
    let refusal = up
        .kubectl_with("create -f -", &unknown.replace("name: half", "name: other"))
        .err();
    assert!(
        refusal.contains("best-by-half"),
        "the known ones are named: {refusal}"
    );
    assert_eq!(up.stop(), Some(0));
    let left = diwan_tests::process::processes_with("own_stopper.py");
    assert_eq!(left, Vec::<String>::new());
}
