//! A container of an engine (podman, docker) in place of a program. This process creates it, copies
//! its output to its own streams, passes signals on to it and ends as it ends; with this process the
//! container's record in the engine goes too.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::frames::Frames;
use crate::http::{self, Answer};
use crate::json;
use crate::launch::Started;
use crate::sys::{self, SIGQUIT, SIGTERM, SignalSet};

/// What this process is sent when the container is to be killed: SIGKILL would end this process alone.
pub(crate) const KILL: i32 = SIGQUIT;
/// The exit code of a container that vanished.
const CODE_LOST: i32 = 137;
/// How long to wait before an engine that is away is asked again, and how often.
const AWAY: Duration = Duration::from_secs(1);
const AWAY_TRIES: u32 = 120;
/// How long output may stay away once the container has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// The container that the engine is to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The file with the body of the request that creates it.
    pub(crate) file: PathBuf,
    /// Its name.
    pub(crate) name: String,
    /// The signal that asks its program to end.
    pub(crate) signal: String,
}

impl Wanted {
    /// How often a container had more memory than it may: the length of a file.
    pub(crate) fn killed_for_memory(&self) -> u64 {
        fs::metadata(self.file.with_extension("oom")).map_or(0, |m| m.len())
    }
}

/// Runs the container to its end, which is this process's end too.
///
/// # Errors
/// The engine says why it does not run it.
pub(crate) fn run(
    socket: &Path,
    wanted: &Wanted,
    started: &mut Started,
) -> Result<Infallible, String> {
    let body = fs::read_to_string(&wanted.file)
        .map_err(|e| format!("cannot read {}: {e}", wanted.file.display()))?;
    let expected = SignalSet::of(&[SIGTERM, KILL]);
    sys::block_signals(&expected);
    let signals =
        sys::signal_file(&expected).map_err(|e| format!("cannot receive signals: {e}"))?;
    sys::ignore_broken_pipes();
    let engine = Engine {
        socket,
        name: &wanted.name,
    };
    // An earlier run may have left it when it was killed.
    engine.remove();
    engine.call("POST", &format!("create?name={}", wanted.name), &body)?;
    let running = engine.start(&wanted.signal, signals);
    let mut running = running.inspect_err(|_| engine.remove())?;
    let seen = engine.inspect().map(|answer| answer.body);
    if let Some(pid) = seen.ok().and_then(|body| json::number(&body, "Pid")) {
        // For those who measure it alone.
        let _ = fs::write(wanted.file.with_extension("pid"), pid.to_string());
    }
    started.tell();
    let code = running.follow();
    if engine
        .inspect()
        .is_ok_and(|answer| json::is_true(&answer.body, "OOMKilled"))
    {
        let file = wanted.file.with_extension("oom");
        let file = File::options().append(true).create(true).open(file);
        let _ = file.and_then(|mut file| file.write_all(b"1"));
    }
    engine.remove();
    sys::exit_now(code)
}

/// One container of an engine.
struct Engine<'a> {
    socket: &'a Path,
    name: &'a str,
}

impl<'a> Engine<'a> {
    fn ask(&self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        http::ask(self.socket, (method, &format!("/containers/{path}"), body))
    }

    /// Asks for something that has to succeed.
    fn call(&self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        let answer = self.ask(method, path, body);
        let answer = answer.map_err(|e| away(self.socket, &e))?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(refusal(&answer))
        }
    }

    fn inspect(&self) -> io::Result<Answer> {
        self.ask("GET", &format!("{}/json", self.name), "")
    }

    /// Removes the container and its unnamed volumes. What can't be removed is removed by the node.
    fn remove(&self) {
        let _ = self.ask("DELETE", &format!("{}?force=1&v=1", self.name), "");
    }

    fn kill(&self, signal: &str) -> bool {
        let path = format!("{}/kill?signal={signal}", self.name);
        self.ask("POST", &path, "").is_ok_and(|a| a.is_success())
    }

    /// Starts the container; its output is taken from its first byte on.
    fn start(&self, signal: &'a str, signals: File) -> Result<Running<'_>, String> {
        let (output, begin) = self.attach()?;
        self.call("POST", &format!("{}/start", self.name), "")?;
        let mut running = Running {
            engine: self,
            signal,
            signals,
            output: Some(output),
            frames: Frames::default(),
            end: self.end().map_err(|e| away(self.socket, &e))?,
            answer: Vec::new(),
            killed: false,
        };
        running.pass(&begin);
        Ok(running)
    }

    /// The output of the container from now on.
    fn attach(&self) -> Result<(File, Vec<u8>), String> {
        let path = format!(
            "/containers/{}/attach?stream=1&stdout=1&stderr=1",
            self.name
        );
        http::take_over(self.socket, ("POST", &path, ""))
            .map_err(|e| away(self.socket, &e))?
            .map_err(|answer| refusal(&answer))
    }

    /// The answer that comes when the container ends.
    fn end(&self) -> io::Result<File> {
        let path = format!("/containers/{}/wait", self.name);
        http::ask_later(self.socket, ("POST", &path, ""))
    }
}

/// Why nothing can be asked of the engine.
pub(crate) fn away(socket: &Path, error: &io::Error) -> String {
    format!(
        "the container engine does not answer at {}: {error}",
        socket.display()
    )
}

/// What an engine says when it refuses.
pub(crate) fn refusal(answer: &Answer) -> String {
    json::text(&answer.body, "message")
        .unwrap_or_else(|| format!("the container engine answers {}", answer.status))
}

/// A container that runs.
struct Running<'a> {
    engine: &'a Engine<'a>,
    /// The signal that asks its program to end.
    signal: &'a str,
    signals: File,
    /// Its output, until that ends.
    output: Option<File>,
    frames: Frames,
    /// The answer that comes when it ends, and what has come of it.
    end: File,
    answer: Vec<u8>,
    killed: bool,
}

impl Running<'_> {
    /// Copies output and passes signals on until the container has ended; returns its exit code.
    fn follow(&mut self) -> i32 {
        let mut code = None;
        loop {
            let mut files = vec![&self.signals];
            files.extend(&self.output);
            if code.is_none() {
                files.push(&self.end);
            }
            let limit = code.map(|_| LAST_OUTPUT);
            let ready = sys::wait_readable(&files, limit);
            let has_output = self.output.is_some();
            if ready[0] {
                self.pass_signals();
            }
            if has_output && ready[1] {
                self.copy();
            }
            if code.is_none() && ready.last() == Some(&true) {
                code = self.ended();
            }
            let silent = limit.is_some() && !ready.contains(&true);
            if let Some(code) = code
                && (self.output.is_none() || silent)
            {
                return code;
            }
        }
    }

    fn pass_signals(&mut self) {
        while let Some((number, _)) = sys::next_signal(&self.signals) {
            if number == KILL && !self.killed {
                self.killed = self.engine.kill("SIGKILL");
            } else if number == SIGTERM {
                self.engine.kill(self.signal);
            }
        }
    }

    /// Copies what has come of the output.
    fn copy(&mut self) {
        let Some(output) = &mut self.output else {
            return;
        };
        let mut bytes = [0; 16 << 10];
        match output.read(&mut bytes) {
            Ok(0) | Err(_) => self.output = None,
            Ok(count) => self.pass(&bytes[..count]),
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        self.frames.pass(bytes, |number, piece| {
            // A disk that is full does not end the container.
            let _ = if number == 1 {
                write_all(&mut io::stdout().lock(), piece)
            } else {
                write_all(&mut io::stderr().lock(), piece)
            };
        });
    }

    /// Reads what has come of the answer; returns the exit code once it is there.
    fn ended(&mut self) -> Option<i32> {
        let mut bytes = [0; 4096];
        match self.end.read(&mut bytes) {
            Ok(count) if count > 0 => {
                self.answer.extend_from_slice(&bytes[..count]);
                return None;
            }
            _ => {}
        }
        let answer = std::mem::take(&mut self.answer);
        exit_code(&String::from_utf8_lossy(&answer)).or_else(|| self.find_again())
    }

    /// Asks an engine that went away for the container's end again; returns the exit code of one
    /// that it does not know any more.
    fn find_again(&mut self) -> Option<i32> {
        for _ in 0..AWAY_TRIES {
            sleep(AWAY);
            let Ok(found) = self.engine.inspect() else {
                continue;
            };
            if found.status == 404 {
                break;
            }
            let Ok(end) = self.engine.end() else { continue };
            self.end = end;
            if self.output.is_none()
                && json::is_true(&found.body, "Running")
                && let Ok((output, begin)) = self.engine.attach()
            {
                self.frames = Frames::default();
                self.output = Some(output);
                self.pass(&begin);
            }
            return None;
        }
        let _ = writeln!(io::stderr(), "diwan: the container is gone from its engine");
        Some(CODE_LOST)
    }
}

/// The exit code in an answer, head and all.
fn exit_code(answer: &str) -> Option<i32> {
    if answer.starts_with("HTTP/1.1 404") {
        return Some(CODE_LOST);
    }
    let code = json::number(answer, "StatusCode")?;
    // An engine that lost it says -1.
    Some(if code < 0 { CODE_LOST } else { code })
}

fn write_all(to: &mut impl io::Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
