//! The program holds containers of an engine: one that the test plays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the engine is to say and has been asked.
#[derive(Default)]
struct Script {
    /// What it says instead of creating a container.
    refusal: Option<&'static str>,
    /// Signals that do not end the container.
    ignored: &'static str,
    /// How often it goes away while the container's end is waited for.
    leaves: u32,
    asked: Vec<String>,
    /// The exit code of the container once it has ended.
    code: Option<i32>,
}

/// An engine with one container.
#[derive(Clone)]
struct Engine(Arc<(Mutex<Script>, Condvar)>);

impl Engine {
    fn serve(socket: &PathBuf, script: Script) -> Self {
        let engine = Self(Arc::new((Mutex::new(script), Condvar::new())));
        let (listener, served) = (UnixListener::bind(socket).unwrap(), engine.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let engine = served.clone();
                thread::spawn(move || engine.answer(stream.unwrap()));
            }
        });
        engine
    }

    fn change<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        let changed = change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        changed
    }

    fn until<T>(&self, what: &str, wanted: impl Fn(&Script) -> Option<T>) -> T {
        let script = self.0.0.lock().unwrap();
        let waiting = self
            .0
            .1
            .wait_timeout_while(script, PATIENCE, |s| wanted(s).is_none());
        let found = wanted(&waiting.unwrap().0);
        found.unwrap_or_else(|| panic!("waited in vain for {what}"))
    }

    fn answer(&self, mut stream: UnixStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let asked = format!("{} {}", words[0], words[1]);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if let Some(value) = header.strip_prefix("Content-Length: ") {
                length = value.trim().parse().unwrap();
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        self.change(|script| script.asked.push(asked.clone()));
        let mut say = |text: &str| {
            // The program may be gone.
            let _ = stream.write_all(text.as_bytes());
        };
        let ok = |status: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let path = words[1].trim_start_matches("/containers/");
        if path.starts_with("create") {
            match self.change(|script| script.refusal) {
                Some(text) => say(&ok("404 Not Found", &format!("{{\"message\":\"{text}\"}}"))),
                None => say(&ok("201 Created", "{\"Id\":\"1\"}")),
            }
        } else if path.starts_with("it/attach") {
            say("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n");
            say("\u{1}\0\0\0\0\0\0\u{4}out\n\u{2}\0\0\0\0\0\0\u{4}err\n");
            self.until("the end", |script| script.code);
        } else if path == "it/wait" {
            say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            if self
                .change(|s| s.leaves.checked_sub(1).map(|left| s.leaves = left))
                .is_some()
            {
                return;
            }
            let code = self.until("the end", |script| script.code);
            let body = format!("{{\"Error\":null,\"StatusCode\":{code}}}\n");
            say(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
        } else if let Some(signal) = path.strip_prefix("it/kill?signal=") {
            say(&ok("204 No Content", ""));
            let signal = signal.to_owned();
            self.change(|s| s.code = (s.ignored != signal).then_some(128).or(s.code));
        } else if path == "it/json" {
            let code = self.change(|script| script.code);
            let (running, memory) = (code.is_none(), code == Some(137));
            say(&ok(
                "200 OK",
                &format!(
                    "{{\"State\":{{\"Running\":{running},\"Pid\":42,\"OOMKilled\":{memory}}}}}"
                ),
            ));
        } else {
            say(&ok("204 No Content", ""));
        }
    }
}

/// A pod with one container of an engine.
struct Pod {
    folder: TempDir,
    engine: Engine,
    holder: Child,
}

impl Pod {
    fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let engine = Engine::serve(&folder.path().join("socket"), script);
        fs::write(path("it.json"), "{\"Image\":\"a\"}").unwrap();
        let words = [
            "diwan-pod-1",
            "isolate",
            "root",
            "restart",
            "never",
            "grace",
            "1",
            "engine",
            &path("socket"),
            "container",
            "main",
            "main",
            "log",
            &path("main."),
            "cwd",
            "/",
            "create",
            &path("it.json"),
            "it",
            "SIGINT",
            "end",
        ];
        let plan: Vec<u8> = words.iter().flat_map(|w| w.bytes().chain([0])).collect();
        fs::write(path("plan"), plan).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_diwan-entrypoint"));
        let holder = command.arg("hold").arg(folder.path()).spawn().unwrap();
        Self {
            folder,
            engine,
            holder,
        }
    }

    /// Waits until the container runs.
    fn started(&self) {
        let waits = |script: &Script| script.asked.iter().any(|asked| asked.contains("wait"));
        self.engine
            .until("the start", |script| waits(script).then_some(()));
    }

    fn signal(&self, name: &str) {
        let pid = self.holder.id().to_string();
        assert!(
            Command::new("kill")
                .arg(name)
                .arg(pid)
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the end; returns the record without the times and the log.
    fn end(mut self) -> (String, String, Vec<String>) {
        assert!(self.holder.wait().unwrap().success());
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap();
        let asked = self
            .engine
            .change(|script| std::mem::take(&mut script.asked));
        (read("status"), read("main.0.log"), asked)
    }
}

#[test]
fn a_container_is_made_followed_and_removed() {
    let pod = Pod::start(Script::default());
    pod.started();
    pod.engine.change(|script| script.code = Some(137));
    let (record, log, asked) = pod.end();
    assert_eq!(log, "out\nerr\n");
    assert!(record.contains("\noom 0 main\nexit 0 137 0 "), "{record}");
    // The end is waited for while other things are asked.
    let (waits, asked): (Vec<String>, Vec<String>) =
        asked.into_iter().partition(|path| path.ends_with("/wait"));
    assert_eq!(waits, ["POST /containers/it/wait"]);
    assert_eq!(
        asked,
        [
            "DELETE /containers/it?force=1&v=1",
            "POST /containers/create?name=it",
            "POST /containers/it/attach?stream=1&stdout=1&stderr=1",
            "POST /containers/it/start",
            "GET /containers/it/json",
            "GET /containers/it/json",
            "DELETE /containers/it?force=1&v=1",
        ]
    );
}

#[test]
fn a_container_that_does_not_listen_is_killed_after_its_grace() {
    let pod = Pod::start(Script {
        ignored: "SIGINT",
        ..Script::default()
    });
    pod.started();
    pod.signal("-TERM");
    let (record, _, asked) = pod.end();
    assert!(record.contains("\nexit 0 128 0 "), "{record}");
    let kills: Vec<_> = asked
        .iter()
        .filter_map(|asked| asked.split_once("kill?signal="))
        .collect();
    assert_eq!(
        kills.iter().map(|(_, s)| *s).collect::<Vec<_>>(),
        ["SIGINT", "SIGKILL"]
    );
}

#[test]
fn an_engine_that_went_away_is_asked_again() {
    let pod = Pod::start(Script {
        leaves: 2,
        ..Script::default()
    });
    let count = |script: &Script| script.asked.iter().filter(|a| a.contains("wait")).count();
    pod.engine.until("the third question", |script| {
        (count(script) == 3).then_some(())
    });
    pod.engine.change(|script| script.code = Some(3));
    let (record, log, _) = pod.end();
    assert!(record.contains("\nexit 0 3 0 "), "{record}");
    assert_eq!(log, "out\nerr\n");
}

#[test]
fn what_an_engine_refuses_is_why_nothing_started() {
    let pod = Pod::start(Script {
        refusal: Some("no such image: a"),
        ..Script::default()
    });
    let (record, _, asked) = pod.end();
    assert!(record.contains(" main no such image: a\nend "), "{record}");
    assert_eq!(asked.len(), 2, "{asked:?}");
}
