//! The program holds real processes, as root and as an ordinary user.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// An ordinary user: `nobody`.
const NOBODY: &str = "65534";

/// A pod's folder with a plan, and the program that holds it.
struct Pod {
    folder: TempDir,
    program: PathBuf,
    words: Vec<String>,
    /// Run by `nobody`, when the tests run as root.
    user: bool,
}

impl Pod {
    fn new(isolation: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        // Where every user may read it. A link where possible: a copy could be "busy", because a
        // test beside this one may just be starting a process that has it open for writing.
        let program = folder.path().join("program");
        let built = env!("CARGO_BIN_EXE_diwan-entrypoint");
        fs::hard_link(built, &program)
            .or_else(|_| fs::copy(built, &program).map(drop))
            .unwrap();
        let stage = folder.path().join("stage");
        fs::create_dir(&stage).unwrap();
        let words = [
            "diwan-pod-1",
            "isolate",
            isolation,
            "restart",
            "never",
            "grace",
            "1",
            "stage",
        ];
        let mut pod = Self {
            folder,
            program,
            words: Vec::new(),
            user: isolation == "user",
        };
        pod.add(&words);
        pod.add(&[stage.to_str().unwrap()]);
        pod
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&mut self, words: &[&str]) {
        self.words
            .extend(words.iter().map(|word| (*word).to_owned()));
    }

    fn container(&mut self, name: &str, kind: &str, arguments: &[&str]) {
        let log = self.path(&format!("{name}."));
        self.add(&[
            "container",
            name,
            kind,
            "log",
            log.to_str().unwrap(),
            "cwd",
            "/",
        ]);
        self.add(&["env", "PATH=/usr/bin:/bin"]);
        for argument in arguments {
            self.add(&["arg", argument]);
        }
    }

    fn script(&mut self, script: &str) {
        self.container("main", "main", &["sh", "-c", script]);
    }

    fn mount(&mut self, source: &Path, target: &str, access: &str) {
        self.add(&["mount", source.to_str().unwrap(), target, access]);
    }

    fn write(&self) {
        let plan: Vec<u8> = self
            .words
            .iter()
            .map(String::as_str)
            .chain(["end"])
            .flat_map(|w| w.bytes().chain([0]))
            .collect();
        fs::write(self.path("plan"), plan).unwrap();
    }

    fn command(&self, word: &str, folder: &Path) -> Command {
        if self.user && is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
            command.arg(&self.program).arg(word).arg(folder);
            return command;
        }
        let mut command = Command::new(&self.program);
        command.arg(word).arg(folder);
        command
    }

    fn spawn(&self) -> Child {
        self.write();
        self.command("hold", self.folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Holds the pod to its end and returns the record without times, and the log.
    fn run(&self) -> (String, String) {
        assert!(self.spawn().wait().unwrap().success());
        (self.record(), self.log("main", 0))
    }

    fn log(&self, container: &str, run: u32) -> String {
        fs::read_to_string(self.path(&format!("{container}.{run}.log"))).unwrap_or_default()
    }

    fn status(&self) -> String {
        fs::read_to_string(self.path("status")).unwrap_or_default()
    }

    /// The record in short: `start a; exit a 0 0; fail a message; end`.
    fn record(&self) -> String {
        let line = |line: &str| -> Option<String> {
            let words: Vec<&str> = line.split(' ').collect();
            Some(match words[0] {
                "start" => format!("start {}", words[4]),
                "exit" => format!("exit {} {} {}", words[5], words[2], words[3]),
                "fail" => format!("fail {} {}", words[3], words[4..].join(" ")),
                "end" => "end".into(),
                _ => return None,
            })
        };
        self.status()
            .lines()
            .filter_map(line)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The kinds of isolation that can be tried here.
fn kinds() -> Vec<&'static str> {
    let mut kinds = vec!["user"];
    if is_root() {
        kinds.push("root");
    }
    let works = |kind: &&str| {
        let pod = Pod::new(kind);
        let output = pod.command("probe", &pod.path("stage")).output().unwrap();
        output.stdout.starts_with(kind.as_bytes())
    };
    kinds.retain(works);
    kinds
}

/// Waits until something holds, by looking.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_program_runs_and_its_end_is_recorded() {
    let mut pod = Pod::new("none");
    pod.script("echo out; echo err >&2; exit 7");
    assert_eq!(
        pod.run(),
        ("start main; exit main 7 0; end".into(), "out\nerr\n".into())
    );
}

#[test]
fn what_cannot_start_is_told_apart_from_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, mode| {
        let path = folder.path().join(name);
        fs::write(&path, "text").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (plain, text) = (file("plain", 0o644), file("text", 0o755));
    for (arguments, record) in [
        (
            &["no-such-program"][..],
            "fail main program not found: no-such-program; end",
        ),
        (
            &[&plain],
            &format!("fail main not executable: {plain}; end"),
        ),
        (&["/etc"], "fail main not executable: /etc; end"),
        (
            &[&text],
            &format!(
                "fail main not executable: {text} (not a program, or its #! line is missing); end"
            ),
        ),
        (
            &["sh", "-c", "exit 127"],
            "start main; exit main 127 0; end",
        ),
    ] {
        let mut pod = Pod::new("none");
        pod.container("main", "main", arguments);
        assert_eq!(pod.run().0, record);
    }
}

#[test]
fn a_pod_is_held_once_and_never_again() {
    let mut pod = Pod::new("none");
    let runs = pod.path("runs");
    let go = pod.path("go");
    pod.script(&format!(
        "echo run >> {}; until test -e {}; do sleep 0.01; done",
        runs.display(),
        go.display()
    ));
    let mut first = pod.spawn();
    until("the program should run", || runs.exists());
    assert_eq!(pod.spawn().wait().unwrap().code(), Some(75));
    fs::write(&go, "").unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(pod.spawn().wait().unwrap().code(), Some(75));
    assert_eq!(fs::read_to_string(runs).unwrap(), "run\n");
}

#[test]
fn a_plan_that_is_not_whole_starts_nothing() {
    let mut pod = Pod::new("none");
    pod.script("true");
    pod.write();
    let plan = fs::read(pod.path("plan")).unwrap();
    fs::write(pod.path("plan"), &plan[..plan.len() - 4]).unwrap();
    let status = pod.command("hold", pod.folder.path()).status().unwrap();
    assert_eq!((status.code(), pod.status()), (Some(70), String::new()));
}

#[test]
fn sigterm_ends_every_process_and_sigkill_those_that_refuse() {
    let mut pod = Pod::new("none");
    let pids = pod.path("pids");
    pod.script(&format!(
        "(setsid sh -c 'trap \"\" TERM; echo $$ >> {0}; while :; do sleep 1; done' &); \
         echo $$ >> {0}; exec sleep 1000",
        pids.display()
    ));
    let mut holder = pod.spawn();
    until("both should run", || {
        fs::read_to_string(&pids).is_ok_and(|text| text.lines().count() == 2)
    });
    Command::new("kill")
        .arg(holder.id().to_string())
        .status()
        .unwrap();
    assert!(holder.wait().unwrap().success());
    assert_eq!(pod.record(), "start main; exit main 143 15; end");
    for pid in fs::read_to_string(pids).unwrap().lines() {
        assert!(!is_alive(pid), "process {pid} is left");
    }
}

#[test]
fn init_containers_come_first_and_a_failed_one_is_the_last() {
    let mut pod = Pod::new("none");
    pod.container("one", "init", &["true"]);
    pod.container("two", "init", &["false"]);
    pod.script("true");
    assert_eq!(
        pod.run().0,
        "start one; exit one 0 0; start two; exit two 1 0; end"
    );
}

#[test]
fn a_container_is_restarted_with_a_log_of_its_own() {
    let mut pod = Pod::new("none");
    pod.add(&["restart", "onfailure"]);
    let marker = pod.path("marker");
    pod.script(&format!(
        "echo run; test -e {0} || {{ touch {0}; exit 1; }}",
        marker.display()
    ));
    assert_eq!(
        pod.run().0,
        "start main; exit main 1 0; start main; exit main 0 0; end"
    );
    assert_eq!(
        (pod.log("main", 0), pod.log("main", 1)),
        ("run\n".into(), "run\n".into())
    );
}

#[test]
fn signals_have_their_defaults_in_the_program() {
    let mut pod = Pod::new("none");
    pod.script("grep -E 'SigBlk|SigIgn' /proc/self/status");
    pod.write();
    // As under nohup.
    let held = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(&pod.program)
        .arg("hold")
        .arg(pod.folder.path())
        .stdin(Stdio::null())
        .status();
    assert!(held.unwrap().success());
    let log = pod.log("main", 0);
    // The C library keeps the signals from 32 on to itself.
    let bits = |line: &str| u64::from_str_radix(line.split('\t').next_back().unwrap(), 16).unwrap();
    assert!(
        log.lines().all(|line| bits(line).trailing_zeros() >= 31),
        "{log}"
    );
}

#[test]
fn mounts_appear_in_the_container_alone() {
    for kind in kinds() {
        let mut pod = Pod::new(kind);
        let (data, hosts) = (pod.path("data"), pod.path("hosts"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("file"), "content\n").unwrap();
        fs::write(&hosts, "hosts\n").unwrap();
        let script = "cat /etc/hosts /run/diwan-test/a/file /diwan-test/b/file && \
             ! touch /run/diwan-test/a/x 2>/dev/null && touch /diwan-test/b/x && id -u && \
             ls /usr /proc/self /dev/null > /dev/null && grep CapEff /proc/self/status";
        pod.script(script);
        pod.mount(&hosts, "/etc/hosts", "ro");
        pod.mount(&data, "/diwan-test/b", "rw");
        pod.mount(&data, "/run/diwan-test/a", "ro");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
        let before = fs::read_to_string("/proc/self/mounts").unwrap();
        let (record, log) = pod.run();
        assert_eq!(record, "start main; exit main 0 0; end", "{kind}: {log}");
        assert!(
            log.starts_with("hosts\ncontent\ncontent\n"),
            "{kind}: {log}"
        );
        if kind == "user" && is_root() {
            assert!(
                log.contains(NOBODY) && log.contains("CapEff:\t0000000000000000"),
                "{log}"
            );
        }
        assert!(data.join("x").exists());
        assert!(!fs::exists("/diwan-test").unwrap() && !fs::exists("/run/diwan-test").unwrap());
        assert_eq!(fs::read_to_string("/proc/self/mounts").unwrap(), before);
    }
}

#[test]
fn a_source_that_is_missing_is_named() {
    for kind in kinds() {
        let mut pod = Pod::new(kind);
        pod.script("true");
        pod.mount(Path::new("/no/such/source"), "/x", "ro");
        let (record, _) = pod.run();
        assert!(
            record.starts_with("fail main cannot take /no/such/source: "),
            "{record}"
        );
    }
}

#[test]
fn the_holder_is_small() {
    let mut pod = Pod::new("none");
    let go = pod.path("go");
    pod.script(&format!(
        "until test -e {}; do sleep 0.01; done",
        go.display()
    ));
    let mut holder = pod.spawn();
    until("the program should run", || pod.record() == "start main");
    let status = fs::read_to_string(format!("/proc/{}/status", holder.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 1024, "the holder has {kib} KiB of its own");
    fs::write(go, "").unwrap();
    assert!(holder.wait().unwrap().success());
}

/// Sends a holder an order.
fn order(pod: &Pod, holder: &Child, line: &str) {
    use std::io::Write as _;
    let mut file = fs::File::options()
        .append(true)
        .create(true)
        .open(pod.path("orders"))
        .unwrap();
    writeln!(file, "{line}").unwrap();
    Command::new("kill")
        .args(["-USR1", &holder.id().to_string()])
        .status()
        .unwrap();
}

#[test]
fn sidecars_start_in_turn_and_end_last_in_reverse() {
    let mut pod = Pod::new("none");
    let side = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    pod.container("one", "sidecar", &["sh", "-c", side]);
    pod.container("two", "sidecar", &["sh", "-c", side]);
    pod.add(&["await"]);
    pod.script("sleep 0.1");
    let mut holder = pod.spawn();
    until("the second sidecar should run", || {
        pod.record() == "start one; start two"
    });
    // An order for another run does nothing.
    order(&pod, &holder, "started 7 two");
    order(&pod, &holder, "started 0 two");
    assert!(holder.wait().unwrap().success());
    assert_eq!(
        pod.record(),
        "start one; start two; start main; exit main 0 0; exit two 0 0; exit one 0 0; end"
    );
    assert!(pod.status().contains("\nstarted 0 two\n"));
}

#[test]
fn a_sidecar_that_ends_is_started_again_and_does_not_hold_the_pod() {
    let mut pod = Pod::new("none");
    pod.container("side", "sidecar", &["sh", "-c", "exit 3"]);
    pod.script(&format!(
        "until grep -q 'wait 10 side' {}; do sleep 0.01; done",
        pod.path("status").display()
    ));
    let record = pod.run().0;
    assert_eq!(record.matches("exit side 3 0").count(), 2, "{record}");
    assert!(record.ends_with("exit main 0 0; end"), "{record}");
}

#[test]
fn a_run_that_is_to_end_is_killed_and_started_again() {
    let mut pod = Pod::new("none");
    pod.add(&["restart", "onfailure"]);
    let marker = pod.path("marker");
    pod.script(&format!(
        "trap '' TERM; test -e {0} && exit 0; touch {0}; while :; do sleep 0.01; done",
        marker.display()
    ));
    let mut holder = pod.spawn();
    until("the program should run", || {
        marker.exists() && pod.record() == "start main"
    });
    order(&pod, &holder, "kill 0 0 main");
    assert!(holder.wait().unwrap().success());
    assert_eq!(
        pod.record(),
        "start main; exit main 137 9; start main; exit main 0 0; end"
    );
}

#[test]
fn a_container_that_is_held_back_is_asked_to_end_when_it_is_let_go() {
    let mut pod = Pod::new("none");
    let (runs, held) = (pod.path("runs"), pod.path("held"));
    let script = |file: &Path| {
        format!(
            "trap 'exit 0' TERM; touch {}; while :; do sleep 0.01; done",
            file.display()
        )
    };
    pod.container("plain", "main", &["sh", "-c", &script(&runs)]);
    pod.container("held", "main", &["sh", "-c", &script(&held)]);
    pod.add(&["held"]);
    pod.add(&["grace", "100"]);
    let mut holder = pod.spawn();
    until("both should run", || runs.exists() && held.exists());
    let _ = Command::new("kill").arg(holder.id().to_string()).status();
    until("one should end", || pod.status().contains("exit "));
    assert!(pod.record().ends_with("exit plain 0 0"), "{}", pod.record());
    order(&pod, &holder, "go 0 held");
    assert!(holder.wait().unwrap().success());
    assert!(pod.record().ends_with("exit held 0 0; end"));
}

#[test]
fn last_words_are_recorded() {
    let mut pod = Pod::new("none");
    let file = pod.path("message");
    fs::write(&file, "of an earlier run").unwrap();
    pod.script(&format!("printf 'a\\\\\\nb c' > {}", file.display()));
    pod.add(&["message", file.to_str().unwrap(), "file"]);
    pod.run();
    assert!(
        pod.status()
            .contains("\nmessage 0 main a\\\\\\nb c\nexit 0 "),
        "{}",
        pod.status()
    );
}

#[test]
fn a_program_can_be_run_beside_a_container_s() {
    for kind in kinds() {
        let mut pod = Pod::new(kind);
        let (data, go) = (pod.path("data"), pod.path("go"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join("file"), "content\n").unwrap();
        pod.script(&format!(
            "until test -e {}; do sleep 0.01; done",
            go.display()
        ));
        pod.add(&["env", "A=b"]);
        pod.mount(&data, "/diwan-test/d", "ro");
        let mut holder = pod.spawn();
        until("the program should run", || pod.record() == "start main");
        let status = pod.status();
        let line = status.lines().find(|l| l.starts_with("start ")).unwrap();
        let pid = line.split(' ').nth(2).unwrap();
        let mut command = pod.command("exec", pod.folder.path());
        command.args(["main", pid, "sh", "-c"]);
        command.arg("cat /diwan-test/d/file; echo $A; exit 7");
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!((&*text, output.status.code()), ("content\nb\n", Some(7)));
        let mut command = pod.command("exec", pod.folder.path());
        let output = command.args(["main", pid, "no-such-program"]).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (&*text, output.status.code()),
            ("program not found: no-such-program\n", Some(126))
        );
        fs::write(&go, "").unwrap();
        assert!(holder.wait().unwrap().success());
    }
}

#[test]
fn what_is_no_volume_can_be_made_read_only() {
    for kind in kinds() {
        let mut pod = Pod::new(kind);
        let data = pod.path("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
        let own = pod.path("own");
        pod.script(&format!(
            "touch /diwan-test/d/x && ! touch {} 2>/dev/null && ! touch /diwan-test/y 2>/dev/null && \
             echo text > /dev/null && grep NoNewPrivs /proc/self/status",
            own.display()
        ));
        pod.add(&["readonly", "nonewprivileges"]);
        pod.mount(&data, "/diwan-test/d", "rw");
        let (record, log) = pod.run();
        assert_eq!(record, "start main; exit main 0 0; end", "{kind}: {log}");
        assert_eq!(log, "NoNewPrivs:\t1\n");
        assert!(data.join("x").exists() && !own.exists());
    }
}

#[test]
fn root_can_lose_capabilities_and_join_groups() {
    if !is_root() {
        eprintln!("not tried: needs root");
        return;
    }
    let mut pod = Pod::new("none");
    pod.script("grep CapEff /proc/self/status; id -G");
    // CAP_CHOWN and CAP_KILL.
    pod.add(&["capabilities", "33", "group", "7", "group", "8"]);
    let (record, log) = pod.run();
    assert_eq!(record, "start main; exit main 0 0; end", "{log}");
    assert_eq!(log, "CapEff:\t0000000000000021\n0 7 8\n");
}
