//! The program wraps real programs, as it does in a container of a cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fs::{self, File, TryLockError};
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A volume of a pod, and how the program is called in it.
struct Volume {
    folder: TempDir,
}

impl Volume {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_diwan-entrypoint"));
        command.args(["wrap", "--folder"]).arg(self.folder.path());
        command.arg("--output").arg(self.path("metrics.log"));
        command.arg("--").args(program);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, program: &[&str]) -> Output {
        self.command(program).output().unwrap()
    }

    fn shell(&self, script: &str) -> Output {
        self.run(&["sh", "-c", script])
    }

    fn start(&self, script: &str) -> Child {
        self.command(&["sh", "-c", script]).spawn().unwrap()
    }

    fn copy(&self) -> String {
        fs::read_to_string(self.path("metrics.log")).unwrap()
    }

    /// What happened, without times.
    fn record(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path(".diwan-trial")).unwrap_or_default();
        let without_time = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
            ["start", _] => "start".to_owned(),
            ["exit", code, signal, _] => format!("exit {code} {signal}"),
            ["fail", _, ..] => line.splitn(3, ' ').nth(2).unwrap().to_owned(),
            _ => panic!("{line}"),
        };
        text.lines().map(without_time).collect()
    }

    /// Waits until the program has written this.
    fn await_output(&self, text: &str) {
        wait(|| fs::read_to_string(self.path("metrics.log")).is_ok_and(|copy| copy.contains(text)));
    }
}

fn wait(mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it never comes");
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .arg(name)
        .arg(child.id().to_string())
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn arguments_streams_and_exit_code_are_the_programs_own() {
    let volume = Volume::new();
    let script = "printf '%s|' \"$@\"; printf 'loss=1\\nacc=2' >&2; exit 7";
    let words = [
        "sh",
        "-c",
        script,
        "x",
        "a b",
        "",
        "$HOME \"'`",
        "--",
        "l1\nl2",
    ];
    let output = volume.run(&words);
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"a b||$HOME \"'`|--|l1\nl2|");
    assert_eq!(output.stderr, b"loss=1\nacc=2");
    let copy = volume.copy();
    let mut lines: Vec<&str> = copy.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a b||$HOME \"'`|--|l1", "acc=2", "l2|", "loss=1"]);
    assert_eq!(volume.record(), ["start", "exit 7 0"]);
}

#[test]
fn a_lot_of_output_arrives_whole_in_both_places() {
    let volume = Volume::new();
    let output = volume.shell("seq 1 200000; seq 200001 300000 >&2");
    assert!(output.status.success());
    let passed_on = String::from_utf8(output.stdout).unwrap();
    let numbers = passed_on.lines().map(|line| line.parse::<u32>().unwrap());
    assert!(numbers.eq(1..=200_000));
    let copy = volume.copy();
    let mut numbers: Vec<u32> = copy.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=300_000));
}

#[test]
fn output_is_passed_on_before_the_line_ends() {
    let volume = Volume::new();
    let mut child = volume.start("printf 10%%; read x; printf ' done'");
    let mut begin = [0; 3];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    assert_eq!(&begin, b"10%");
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(volume.copy(), "10% done\n");
}

#[test]
fn signals_reach_the_program_and_its_death_is_passed_on() {
    let volume = Volume::new();
    let script = "trap 'echo hup' HUP; trap 'echo term; exit 3' TERM; echo ready; \
                  while :; do sleep 0.02; done";
    let child = volume.start(script);
    volume.await_output("ready");
    signal(&child, "-HUP");
    volume.await_output("hup");
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"ready\nhup\nterm\n");

    let volume = Volume::new();
    let output = volume.shell("kill -KILL $$");
    assert_eq!(output.status.signal(), Some(9));
    assert_eq!(volume.record(), ["start", "exit 137 9"]);
}

#[test]
fn as_the_first_process_of_a_container_it_reports_a_signal_as_a_code() {
    let volume = Volume::new();
    let wrapped = volume.command(&["sh", "-c", "sleep 0.01 & kill -TERM $$"]);
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
    ]);
    command.arg(wrapped.get_program()).args(wrapped.get_args());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert_eq!(volume.record(), ["start", "exit 143 15"]);
}

#[test]
fn a_program_that_is_told_to_stop_counts_as_well_ended() {
    let volume = Volume::new();
    let child = volume.start("echo ready; exec sleep 60");
    volume.await_output("ready");
    fs::write(volume.path("other"), "").unwrap();
    fs::write(volume.path(".diwan-stop"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(volume.record(), ["start", "exit 143 15"]);
    // Also one that is started after it was told.
    assert_eq!(volume.shell("exec sleep 60").status.code(), Some(0));
}

#[test]
fn what_is_left_in_the_background_holds_nothing_up() {
    let volume = Volume::new();
    let begin = Instant::now();
    let mut child = volume.start("sleep 30 & echo loss=1");
    assert!(child.wait().unwrap().success());
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(volume.copy(), "loss=1\n");
}

#[test]
fn what_goes_on_writing_in_the_background_holds_nothing_up() {
    let volume = Volume::new();
    let mut command = volume.command(&["sh", "-c", "yes & echo loss=1"]);
    command.stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    assert!(volume.copy().lines().any(|line| line == "loss=1"));
    assert_eq!(volume.record(), ["start", "exit 0 0"]);
}

#[test]
fn a_program_that_cannot_start_is_named() {
    let volume = Volume::new();
    let output = volume.run(&["no-such-program", "x"]);
    assert_eq!(output.status.code(), Some(127));
    let message = "program not found: no-such-program";
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("diwan-entrypoint: {message}\n"));
    assert_eq!(volume.record(), ["start", message]);
}

#[test]
fn a_killed_wrapper_takes_its_program_along_and_frees_the_record() {
    let volume = Volume::new();
    let mut child = volume.start("echo $$; exec sleep 60");
    volume.await_output("\n");
    let program = volume.copy().trim().to_owned();
    let record = File::open(volume.path(".diwan-trial")).unwrap();
    assert!(matches!(record.try_lock(), Err(TryLockError::WouldBlock)));
    signal(&child, "-KILL");
    child.wait().unwrap();
    wait(|| record.try_lock().is_ok());
    wait(|| !PathBuf::from(format!("/proc/{program}")).exists());
    assert_eq!(volume.record(), ["start"]);
}

#[test]
fn a_program_whose_log_nobody_reads_goes_on() {
    let volume = Volume::new();
    let script = "for i in 1 2 3 4 5; do echo loss=$i; sleep 0.02; done; echo end > \"$0\"";
    let end = volume.path("end");
    let mut child = volume
        .command(&["sh", "-c", script, end.to_str().unwrap()])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_to_string(end).unwrap(), "end\n");
    assert_eq!(volume.copy().lines().count(), 5);
}
