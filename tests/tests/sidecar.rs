//! The collector container, `diwan metrics-collector`, beside a trial as in a pod of a cluster: with
//! Katib's wrapping, where containers share their processes, and with Diwan's entry point.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail on the spot

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use diwan_tests::experiment::Experiment;
use diwan_tests::process::{Ran, run};
use diwan_tests::up::{Up, has_condition};
use diwan_tests::{diwan, programs, python, wait_for};
use serde_json::Value;

/// A DB manager over a file, at one address even when it is started again.
struct DbManager {
    child: Option<Child>,
    folder: tempfile::TempDir,
    address: SocketAddr,
}

impl DbManager {
    fn start() -> Self {
        let mut manager = Self {
            child: None,
            folder: tempfile::tempdir().unwrap(),
            address: ([127, 0, 0, 1], 0).into(),
        };
        manager.launch();
        manager
    }

    fn launch(&mut self) {
        let url = format!("sqlite://{}", self.folder.path().join("log.db").display());
        let mut child = Command::new(diwan())
            .args(["db-manager", "--listen", &self.address.to_string()])
            .args(["--database-url", &url])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        self.address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        self.child = Some(child);
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The rows of a trial as Katib's client reads them: `name=value`, in order.
    fn rows(&self, trial: &str) -> Vec<String> {
        let script = "import sys, grpc\n\
            from kubeflow.katib import katib_api_pb2 as api, katib_api_pb2_grpc as services\n\
            log = services.DBManagerStub(grpc.insecure_channel(sys.argv[1]))\n\
            reply = log.GetObservationLog(api.GetObservationLogRequest(trial_name=sys.argv[2]))\n\
            for row in reply.observation_log.metric_logs:\n    \
                print(f'{row.metric.name}={row.metric.value}')";
        let mut command = Command::new(python());
        command.args(["-c", script, &self.address.to_string(), trial]);
        run(&mut command).ok().lines().map(str::to_owned).collect()
    }
}

impl Drop for DbManager {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A pod whose containers share their processes: its first process, into whose world the others
/// are put from outside, so that their parent is not seen there.
struct Pod {
    pause: Child,
    folder: tempfile::TempDir,
}

impl Pod {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pause = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--pid",
                "--fork",
                "--mount-proc",
            ])
            .args(["--kill-child", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { pause, folder }
    }

    /// The first process, seen from outside.
    fn first(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.pause.id());
        wait_for("the pod", || {
            let child = fs::read_to_string(&children).ok()?;
            let child = child.trim().to_owned();
            let line = fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
            line.starts_with("sleep").then_some(child)
        })
    }

    /// A program in another container of the pod.
    fn container(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--user", "--preserve-credentials", "--pid", "--mount"]);
        command.args(["--no-fork", "-t", &self.first()]);
        // The process that enters is outside; the one that it forks is inside.
        command.args(["sh", "-c", "\"$@\" & wait $!", "sh"]);
        command.arg(program.as_ref()).stdin(Stdio::null());
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("metrics.log")
    }

    /// The trial's container, wrapped as Katib's webhook wraps commands.
    fn trial(&self, script: &str) -> Command {
        let mut command = self.container("sh");
        let (log, folder) = (self.log(), self.folder.path().to_owned());
        let (log, folder) = (log.display(), folder.display());
        // As there, `$$` is the process that the collector sees.
        let marked = format!("echo completed > {folder}/$$.pid");
        let stopped = format!(
            "if test -f {folder}/$$.pid && grep -q early-stopped {folder}/$$.pid; then echo stopped \
             early; else exit 1; fi"
        );
        let script = script.replace('\'', "'\\''");
        let line = format!("sh -c '{script}' 1>{log} 2>&1 || {stopped} && {marked}");
        command.args(["-c", &line]);
        command
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.pause.kill();
        let _ = self.pause.wait();
    }
}

/// The flags that Katib's webhook gives a collector.
fn flags(trial: &str, log: &Path, db_manager: &str) -> Vec<String> {
    let log = log.display();
    let line = format!(
        "-t {trial} -m loss;acc -o-type minimize -s-db {db_manager} -path {log} -format TEXT"
    );
    line.split(' ').map(str::to_owned).collect()
}

/// A collector in a container of its own.
fn collector(pod: &Pod, more: &[&str], trial: &str, db_manager: &str) -> Command {
    let mut command = pod.container(diwan());
    command.arg("metrics-collector");
    command
        .args(flags(trial, &pod.log(), db_manager))
        .args(more);
    command
}

#[test]
fn a_pod_as_katib_makes_it_is_collected() {
    let manager = DbManager::start();
    let pod = Pod::start();
    let address = manager.address.to_string();
    let go = pod.folder.path().join("go");
    let script = format!(
        "echo start; echo loss=0.5 acc=1; until test -e {}; do sleep 0.05; done; echo loss=0.25",
        go.display()
    );
    let mut trial = pod.trial(&script).spawn().unwrap();
    let collecting = collector(&pod, &[], "t1", &address)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the first rows", || {
        (manager.rows("t1").len() == 2).then_some(())
    });
    fs::write(go, "").unwrap();
    let collected: Ran = collecting.wait_with_output().unwrap().into();
    assert!(trial.wait().unwrap().success());
    assert_eq!(collected.ok(), "start\nloss=0.5 acc=1\nloss=0.25\n");
    assert_eq!(manager.rows("t1"), ["loss=0.5", "acc=1", "loss=0.25"]);
}

#[test]
fn a_failed_trial_fails_its_pod_and_keeps_its_rows() {
    let manager = DbManager::start();
    let pod = Pod::start();
    let address = manager.address.to_string();
    let go = pod.folder.path().join("go");
    let script = format!(
        "echo loss=0.5; until test -e {}; do sleep 0.05; done; exit 3",
        go.display()
    );
    let mut trial = pod.trial(&script).spawn().unwrap();
    let collecting = collector(&pod, &[], "t2", &address)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the row", || (!manager.rows("t2").is_empty()).then_some(()));
    fs::write(go, "").unwrap();
    let collected: Ran = collecting.wait_with_output().unwrap().into();
    assert!(!trial.wait().unwrap().success());
    let problem = collected.err();
    assert!(
        problem.contains("training container is failed"),
        "{problem}"
    );
    assert_eq!(manager.rows("t2"), ["loss=0.5"]);
}

#[test]
fn a_rule_that_is_met_stops_the_trial_and_tells_the_service() {
    let mut up = Up::start();
    // Its own metrics come from nowhere; the pod below speaks for it.
    let experiment = Experiment {
        name: "ruled",
        max: 1,
        parallel: 1,
        script: "exec sleep 300",
        extra: "metricsCollectorSpec:\n  collector: {kind: Push}",
        ..Experiment::default()
    };
    up.kubectl_with("create -f -", &experiment.yaml()).ok();
    let trial = wait_for("the trial", || {
        let trials = up.get("default", "trials");
        let running = |trial: &&Value| has_condition(trial, "Running");
        let trial = trials["items"].as_array()?.iter().find(running)?.clone();
        Some(trial["metadata"]["name"].as_str()?.to_owned())
    });
    let pod = Pod::start();
    let script = "for i in 1 2 3 4 5; do echo loss=0.$i; done; exec sleep 300";
    let mut wrapped = pod.trial(script).spawn().unwrap();
    let rules = [
        "-stop-rule",
        "loss;0.05;greater;3",
        "-s-earlystop",
        &up.suggestion,
    ];
    let rules: Vec<&str> = rules.into_iter().chain(["-namespace", "default"]).collect();
    run(&mut collector(&pod, &rules, &trial, &up.db_manager)).ok();
    assert!(
        wrapped.wait().unwrap().success(),
        "a stopped trial counts as well ended"
    );
    let done = up.completed("default", "ruled");
    assert_eq!(done["status"]["trialsEarlyStopped"], 1, "{done:#}");
    let trial = up.get("default", &format!("trial/{trial}"));
    let metric = &trial["status"]["observation"]["metrics"][0];
    assert_eq!(
        (&metric["min"], &metric["latest"]),
        (&"0.1".into(), &"0.5".into())
    );
    assert_eq!(up.stop(), Some(0));
}

/// A trial and a collector that share a folder and nothing else.
struct Wrapped {
    folder: tempfile::TempDir,
}

impl Wrapped {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("metrics.log")
    }

    fn trial(&self, script: &str) -> Command {
        let mut command = Command::new(programs().join("diwan-entrypoint"));
        command.args(["wrap", "--folder"]).arg(self.folder.path());
        command.arg("--output").arg(self.log());
        command.args(["--", "sh", "-c", script]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn collector(&self, trial: &str, manager: &DbManager) -> Command {
        let mut command = Command::new(diwan());
        command
            .args(["metrics-collector", "-wrapped"])
            .stdin(Stdio::null());
        command.args(flags(trial, &self.log(), &manager.address.to_string()));
        command
    }
}

#[test]
fn a_collector_and_a_manager_that_are_killed_lose_and_repeat_nothing() {
    let mut manager = DbManager::start();
    let pod = Wrapped::new();
    let script = "i=0; while test $i -lt 300; do echo loss=$i; i=$((i+1)); sleep 0.01; done";
    let mut trial = pod.trial(script).spawn().unwrap();
    let written = |count: usize| {
        wait_for("rows to be written", || {
            let text = fs::read_to_string(pod.log()).ok()?;
            (text.lines().count() >= count).then_some(())
        });
    };
    let start = |manager: &DbManager| {
        let mut command = pod.collector("t3", manager);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    let mut collector = start(&manager);
    for count in [60, 120, 180] {
        written(count);
        collector.kill().unwrap();
        collector.wait().unwrap();
        collector = start(&manager);
    }
    manager.kill();
    written(300);
    manager.launch();
    assert!(trial.wait().unwrap().success());
    assert!(collector.wait().unwrap().success());
    let expected: Vec<String> = (0..300).map(|i| format!("loss={i}")).collect();
    let mut rows = manager.rows("t3");
    // Equal times have no order in Katib's contract.
    let number = |row: &String| row[5..].parse::<usize>().unwrap();
    rows.sort_by_key(number);
    assert_eq!(rows, expected);
}

#[test]
fn how_a_wrapped_trial_ended_is_told() {
    let manager = DbManager::start();
    for (script, expected) in [
        (
            "echo loss=1; exit 3",
            "training container is failed: exit code 3",
        ),
        (
            "echo loss=1; kill -9 $$",
            "training container is failed: killed by signal 9",
        ),
    ] {
        let pod = Wrapped::new();
        let mut trial = pod.trial(script).spawn().unwrap();
        let problem = run(&mut pod.collector("t4", &manager)).err();
        assert!(problem.contains(expected), "{problem}");
        trial.wait().unwrap();
    }
    assert_eq!(manager.rows("t4"), ["loss=1", "loss=1"]);
    // One that is over before the collector begins.
    let pod = Wrapped::new();
    run(&mut pod.trial("echo loss=7")).ok();
    run(&mut pod.collector("t5", &manager)).ok();
    assert_eq!(manager.rows("t5"), ["loss=7"]);
}

#[test]
fn a_collector_that_is_told_to_end_reports_what_there_is() {
    let manager = DbManager::start();
    let pod = Wrapped::new();
    let mut trial = pod.trial("echo loss=1; exec sleep 300").spawn().unwrap();
    let mut command = pod.collector("t6", &manager);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the row", || (!manager.rows("t6").is_empty()).then_some(()));
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().unwrap().success());
    let problem = Ran::from(child.wait_with_output().unwrap()).err();
    assert!(problem.contains("told to end"), "{problem}");
    assert_eq!(manager.rows("t6"), ["loss=1"]);
    trial.kill().unwrap();
    trial.wait().unwrap();
}

#[test]
fn flags_that_cannot_be_followed_are_named() {
    let mut command = Command::new(diwan());
    let ran = run(command.args(["metrics-collector", "-t", "x", "-p", "soon"]));
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.starts_with("flag -p: \"soon\" is no duration"),
        "{}",
        ran.stderr
    );
    let mut command = Command::new(diwan());
    let help = run(command.args(["metrics-collector", "-help"])).ok();
    assert!(help.contains("-stop-rule RULE"), "{help}");
}
