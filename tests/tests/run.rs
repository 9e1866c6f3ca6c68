//! The door of `diwan run` and the other commands on a terminal.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use diwan_tests::experiment::Experiment;
use diwan_tests::process::{Ran, diwan_in, in_folder, mounts_with, processes_with, run};
use diwan_tests::up::Up;
use diwan_tests::{diwan, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new()
        .prefix("diwan-run-")
        .tempdir()
        .unwrap();
    // The tests that become an ordinary user need to get here.
    fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    folder
}

fn file(folder: &Path, yaml: &str) -> PathBuf {
    let file = folder.join("experiment.yaml");
    fs::write(&file, yaml).unwrap();
    file
}

#[test]
fn a_run_prints_the_best_trials_and_leaves_nothing() {
    let folder = folder();
    let file = file(folder.path(), &Experiment::default().yaml());
    let ran = run(diwan_in(folder.path()).arg("run").arg(&file));
    let table = ran.ok();
    assert!(
        table.contains("ExperimentMaxTrialsReached") || table.contains("max trial count"),
        "{table}"
    );
    assert!(table.contains("best trial: bowl-"), "{table}");
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert_eq!(left, [file]);
    assert_eq!(
        processes_with(folder.path().to_str().unwrap()),
        Vec::<String>::new()
    );
}

#[test]
fn a_run_as_an_ordinary_user_works_the_same() {
    let folder = folder();
    let script = "test \"$(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace)\" = default && echo loss=$0";
    let yaml = Experiment {
        script,
        max: 2,
        ..Experiment::default()
    }
    .yaml();
    let file = file(folder.path(), &yaml);
    // The built program may lie where only root may go.
    let copy = folder.path().join("diwan");
    fs::copy(diwan(), &copy).unwrap();
    let mut command = Command::new(&copy);
    command
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    let table = run(command.arg("run").arg(&file)).ok();
    assert!(table.contains("best trial: bowl-"), "{table}");
    assert_eq!(
        mounts_with(folder.path().to_str().unwrap()),
        Vec::<String>::new()
    );
}

#[test]
fn the_json_report_is_one_document_with_the_objects() {
    let folder = folder();
    let file = file(folder.path(), &Experiment::default().yaml());
    let json = run(diwan_in(folder.path())
        .args(["run", "--output", "json"])
        .arg(&file))
    .ok();
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["experiment"]["kind"], "Experiment");
    let trials = document["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 6);
    let best = &document["experiment"]["status"]["currentOptimalTrial"];
    let smallest = trials
        .iter()
        .map(|trial| {
            trial["status"]["observation"]["metrics"][0]["min"]
                .as_str()
                .unwrap()
        })
        .min_by(|a, b| a.parse::<f64>().unwrap().total_cmp(&b.parse().unwrap()));
    assert_eq!(best["observation"]["metrics"][0]["min"].as_str(), smallest);
}

#[test]
fn a_failed_experiment_exits_with_1_and_says_why() {
    let folder = folder();
    let script = "echo no such data set: iris.parquet >&2\nexit 3";
    let yaml = Experiment {
        script,
        extra: "maxFailedTrialCount: 1",
        ..Experiment::default()
    }
    .yaml();
    let file = file(folder.path(), &yaml);
    let ran = run(diwan_in(folder.path()).arg("run").arg(&file));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("no such data set: iris.parquet"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_program_that_does_not_exist_fails_at_once_with_its_name() {
    let folder = folder();
    let yaml = Experiment {
        extra: "maxFailedTrialCount: 1",
        ..Experiment::default()
    };
    let yaml = yaml
        .yaml()
        .replace("command: [sh, -c]", "command: [train-my-modell]");
    let file = file(folder.path(), &yaml);
    let ran = run(diwan_in(folder.path()).arg("run").arg(&file));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("program not found: train-my-modell"),
        "{}",
        ran.stdout
    );
}

#[test]
fn invalid_input_exits_with_2_and_names_file_line_and_field() {
    let folder = folder();
    let yaml = Experiment::default()
        .yaml()
        .replace("min: \"0\"", "min: \"zero\"");
    let file = file(folder.path(), &yaml);
    for command in ["run", "validate"] {
        let ran = run(diwan_in(folder.path()).arg(command).arg(&file));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let expected = "experiment.yaml:17: spec.parameters[0].feasibleSpace.min";
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

fn stopped_by(signal: Signal, moment: impl Fn(&Path) -> bool) {
    let folder = folder();
    let script = format!(
        "touch {}\nsleep 1000",
        folder.path().join("started").display()
    );
    let file = file(
        folder.path(),
        &Experiment {
            script: &script,
            ..Experiment::default()
        }
        .yaml(),
    );
    // Whoever runs the tests may ignore some signals.
    let mut command = in_folder(Command::new("env"), folder.path());
    command.arg("--default-signal=INT,HUP").arg(diwan());
    let mut child = command
        .arg("run")
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the moment", || moment(folder.path()).then_some(()));
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    let status = wait_for("the run to end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(130));
    let needle = folder.path().to_str().unwrap();
    wait_for("all processes to end", || {
        processes_with(needle).is_empty().then_some(())
    });
    assert_eq!(mounts_with(needle), Vec::<String>::new());
    assert_eq!(data_folders(folder.path()), 0);
    let stderr = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(stderr.into_iter().any(|line| line == "stopped"));
}

/// How many data folders of private control planes there are.
fn data_folders(folder: &Path) -> usize {
    let names = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("diwan-"))
        .count()
}

#[test]
fn ctrl_c_stops_a_run_with_130_and_leaves_nothing() {
    stopped_by(Signal::SIGINT, |folder| folder.join("started").exists());
}

#[test]
fn ctrl_c_shows_what_was_found_and_how_to_go_on() {
    let folder = folder();
    let data = folder.path().join("data");
    // One trial ends, the other stays.
    let script = format!(
        "mkdir {}/first && {{ echo loss=0.5; exit 0; }}\nsleep 1000",
        folder.path().display()
    );
    let yaml = Experiment {
        script: &script,
        ..Experiment::default()
    };
    let file = file(folder.path(), &yaml.yaml());
    let mut command = in_folder(Command::new("env"), folder.path());
    command.arg("--default-signal=INT").arg(diwan());
    command.args(["run", "--data"]).arg(&data).arg(&file);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let is_found = |line: &String| line.contains("best loss=0.5");
    lines.find(is_found).expect("a trial succeeds");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let rest: Vec<String> = lines.collect();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("with loss=0.5"), "{}", ran.stdout);
    let hint = format!("`diwan up --data {}` goes on with it", data.display());
    assert!(rest.contains(&hint), "{rest:?}");
}

#[test]
fn ctrl_c_while_a_run_starts_leaves_nothing() {
    stopped_by(Signal::SIGINT, |folder| data_folders(folder) > 0);
}

#[test]
fn a_terminal_that_closes_stops_a_run_and_leaves_nothing() {
    stopped_by(Signal::SIGHUP, |folder| folder.join("started").exists());
}

#[test]
fn a_run_elsewhere_ends_when_its_experiment_is_deleted() {
    let up = Up::start();
    let marker = up.folder().join("started");
    let script = format!("touch {}\nsleep 1000", marker.display());
    let file = file(
        up.folder(),
        &Experiment {
            script: &script,
            ..Experiment::default()
        }
        .yaml(),
    );
    let mut command = up.command(diwan());
    command
        .args(["run", "--kubeconfig"])
        .arg(&up.kubeconfig)
        .arg(&file);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("a trial to start", || marker.exists().then_some(()));
    up.kubectl("delete experiment bowl --timeout=120s").ok();
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("experiment bowl was deleted"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_experiment_that_is_there_already_is_refused_with_its_line() {
    let up = Up::start();
    let file = file(up.folder(), &Experiment::default().yaml());
    up.kubectl(&format!("apply -f {}", file.display())).ok();
    let mut command = up.command(diwan());
    let ran = run(command
        .args(["run", "--kubeconfig"])
        .arg(&up.kubeconfig)
        .arg(&file));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("experiment.yaml:4: metadata.name:"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_crds_are_printed_as_kubectl_reads_them() {
    let folder = folder();
    let crds = run(diwan_in(folder.path()).arg("crds")).ok();
    let names: Vec<&str> = crds
        .lines()
        .filter_map(|line| line.strip_prefix("  name: "))
        .collect();
    let expected = [
        "experiments.kubeflow.org",
        "suggestions.kubeflow.org",
        "trials.kubeflow.org",
    ];
    assert_eq!(names, expected);
    // A reader that has seen enough is no error.
    let mut child = diwan_in(folder.path())
        .arg("crds")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_grid_ends_when_it_is_exhausted() {
    let folder = folder();
    let yaml = Experiment {
        max: 50,
        ..Experiment::default()
    }
    .yaml()
    .replace("algorithmName: random", "algorithmName: grid")
    .replace("max: \"1\"}", "max: \"1\", step: \"0.25\"}")
    .replace("  maxTrialCount: 50\n", "");
    let file = file(folder.path(), &yaml);
    let json = run(diwan_in(folder.path())
        .args(["run", "--output", "json"])
        .arg(&file))
    .ok();
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["trials"].as_array().unwrap().len(), 5);
    let last = document["experiment"]["status"]["conditions"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["reason"], "ExperimentSuggestionEndReached", "{last}");
}

#[test]
fn every_example_validates_and_the_broken_one_does_not() {
    let folder = folder();
    let examples = diwan_tests::root().join("examples");
    let mut checked = 0;
    for entry in fs::read_dir(&examples).unwrap().flatten() {
        let file = entry.path().join("experiment.yaml");
        if !file.exists() {
            continue;
        }
        let mut command = diwan_in(folder.path());
        command.arg("validate").arg(&file);
        let config = entry.path().join("katib-config.yaml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        let expected = if entry.file_name() == "broken" { 2 } else { 0 };
        let ran = run(&mut command);
        assert_eq!(ran.code, Some(expected), "{}: {ran:?}", file.display());
        checked += 1;
    }
    assert!(checked > 5, "only {checked} examples found");
}

#[test]
fn every_mistake_that_the_broken_example_lists_is_named_with_its_line() {
    let example = diwan_tests::root().join("examples/broken");
    let (readme, file) = (example.join("README.md"), example.join("experiment.yaml"));
    let (readme, yaml) = (
        fs::read_to_string(readme).unwrap(),
        fs::read_to_string(&file).unwrap(),
    );
    let folder = folder();
    let ran = run(diwan_in(folder.path()).arg("validate").arg(&file));
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let fields: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert!(fields.len() > 15, "{fields:?}");
    for field in &fields {
        let found: Vec<usize> = said
            .lines()
            .filter_map(|line| {
                let rest = line.strip_prefix(file.to_str()?)?.strip_prefix(':')?;
                let (number, rest) = rest.split_once(": ")?;
                rest.strip_prefix(field)?.strip_prefix(": ")?;
                number.parse().ok()
            })
            .collect();
        let [number] = found[..] else {
            panic!("{field} is not named once, with its line, in\n{said}");
        };
        let key = field.rsplit('.').next().unwrap().split('[').next().unwrap();
        let line = yaml.lines().nth(number - 1).unwrap();
        assert!(line.contains(&format!("{key}:")), "{field}: {line}");
    }
    assert_eq!(said.matches(file.to_str().unwrap()).count(), fields.len());
}
