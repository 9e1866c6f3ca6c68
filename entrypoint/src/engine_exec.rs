//! Runs a program in a container of an engine: this process's streams are the program's, and this
//! process ends as the program does.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::{self, sleep};
use std::time::Duration;

use crate::engine::{away, refusal};
use crate::frames::Frames;
use crate::http::{self, Answer};
use crate::json;
use crate::sys::{self, SIGWINCH, SignalSet};

/// The exit status of a program whose end the engine does not tell.
const CODE_LOST: i32 = 137;
/// How often an engine is asked for a program's end that it has not taken down yet.
const TRIES: u32 = 200;
const AGAIN: Duration = Duration::from_millis(10);

/// Runs the program and returns its exit status.
///
/// # Errors
/// The engine says why it does not run.
pub(crate) fn run(
    socket: &Path,
    container: &str,
    terminal: bool,
    words: &[String],
) -> Result<i32, String> {
    let ask = |method: &str, path: &str, body: &str| {
        let answer = http::ask(socket, (method, path, body)).map_err(|e| away(socket, &e))?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(refusal(&answer))
        }
    };
    // A terminal's keys and changes of size are for the program.
    let resized = SignalSet::of(&[SIGWINCH]);
    sys::block_signals(&resized);
    if terminal {
        sys::make_terminal_raw().map_err(|e| format!("cannot set the terminal: {e}"))?;
    }
    let body = create(terminal, has_input(), words);
    let made: Answer = ask("POST", &format!("/containers/{container}/exec"), &body)?;
    let id = json::text(&made.body, "Id").ok_or("the container engine names no program")?;
    let path = format!("/exec/{id}/start");
    let body = format!("{{\"Detach\":false,\"Tty\":{terminal}}}");
    let taken = http::take_over(socket, ("POST", &path, &body)).map_err(|e| away(socket, &e))?;
    let (stream, begin) = taken.map_err(|answer| refusal(&answer))?;
    let resize = || {
        if let Some((rows, columns)) = sys::terminal_size().filter(|_| terminal) {
            // A program that has ended has no size.
            let _ = ask(
                "POST",
                &format!("/exec/{id}/resize?h={rows}&w={columns}"),
                "",
            );
        }
    };
    resize();
    Relay::new(stream, terminal)
        .and_then(|mut relay| {
            relay
                .pass(&begin)
                .and_then(|()| relay.run(&resized, &resize))
        })
        .map_err(|e| format!("cannot pass on the program's streams: {e}"))?;
    for _ in 0..TRIES {
        let found = ask("GET", &format!("/exec/{id}/json"), "")?.body;
        if !json::is_true(&found, "Running") {
            return Ok(json::number(&found, "ExitCode").unwrap_or(CODE_LOST));
        }
        sleep(AGAIN);
    }
    Ok(CODE_LOST)
}

/// Whether anything can come on standard input.
fn has_input() -> bool {
    fs::read_link("/proc/self/fd/0").is_ok_and(|path| path != Path::new("/dev/null"))
}

/// The body of the request that makes the program.
fn create(terminal: bool, input: bool, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| json::quote(word)).collect();
    let environment = if terminal { "\"TERM=xterm\"" } else { "" };
    format!(
        "{{\"AttachStdin\":{input},\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":{terminal},\
         \"Env\":[{environment}],\"Cmd\":[{}]}}",
        words.join(",")
    )
}

/// The streams of this process and of the program.
struct Relay {
    stream: File,
    /// Takes the program's streams apart; a terminal has but one.
    frames: Option<Frames>,
}

impl Relay {
    fn new(stream: File, terminal: bool) -> io::Result<Self> {
        if has_input() {
            let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            let stream = stream.try_clone()?;
            // On its own: a program that does not read must not keep its output from being read.
            thread::spawn(move || hand_on(input, stream));
        }
        Ok(Self {
            stream,
            frames: (!terminal).then(Frames::default),
        })
    }

    /// Copies until the program's output has ended.
    fn run(&mut self, resized: &SignalSet, resize: &dyn Fn()) -> io::Result<()> {
        let signals = sys::signal_file(resized)?;
        loop {
            let ready = sys::wait_readable(&[&signals, &self.stream], None);
            let mut bytes = [0; 16 << 10];
            if ready[0] && sys::next_signal(&signals).is_some() {
                resize();
            }
            if ready[1] {
                match self.stream.read(&mut bytes) {
                    Ok(0) | Err(_) => return Ok(()),
                    Ok(count) => self.pass(&bytes[..count])?,
                }
            }
        }
    }

    /// Writes what has come of the output.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(frames) = &mut self.frames else {
            return write(io::stdout().lock(), bytes);
        };
        let mut done = Ok(());
        frames.pass(bytes, |number, piece| {
            let written = if number == 1 {
                write(io::stdout().lock(), piece)
            } else {
                write(io::stderr().lock(), piece)
            };
            if written.is_err() {
                done = written;
            }
        });
        done
    }
}

/// Copies the input until it ends, or the program reads no more, and says so.
fn hand_on(mut input: File, mut stream: File) {
    // A program that has ended reads no more; its output says so.
    let _ = io::copy(&mut input, &mut stream);
    let _ = UnixStream::from(OwnedFd::from(stream)).shutdown(Shutdown::Write);
}

fn write(mut to: impl io::Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_passed_on_as_they_are() {
        let words = ["sh".to_owned(), "-c".to_owned(), "echo \"a\"\n".to_owned()];
        let body = create(true, false, &words);
        assert!(
            body.ends_with(r#""Cmd":["sh","-c","echo \"a\"\u000a"]}"#),
            "{body}"
        );
        assert!(body.contains(r#""AttachStdin":false"#) && body.contains("TERM=xterm"));
    }
}
