//! Runs one program in a container as it is: the same arguments, signals, exit status and streams,
//! and beside it a record for the metrics collector of the pod.
//!
//! In the folder that both see lies `.diwan-trial`, one line for each thing that happened:
//!
//! ```text
//! start TIME
//! exit CODE SIGNAL TIME
//! fail TIME MESSAGE…
//! ```
//!
//! Times are nanoseconds since 1970. The file is locked for as long as the program runs, so a reader
//! who gets the lock of a run without an end knows that it was killed from outside. When somebody
//! makes `.diwan-stop` there, the program gets SIGTERM, and its end counts as success.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::launch;
use crate::lock;
use crate::record::now;
use crate::stream::Stream;
use crate::sys::{self, Ended, SIGCHLD, SIGTERM, SignalSet};

/// The record.
const RECORD: &str = ".diwan-trial";
/// Asks for the program to be stopped.
const STOP: &str = ".diwan-stop";
/// The exit status when the program can't be executed, as shells have it.
const EXIT_NOT_EXECUTED: i32 = 127;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrap {
    /// Where the record lies.
    folder: PathBuf,
    /// The file that gets a copy of both streams.
    output: Option<PathBuf>,
    /// The program and its arguments.
    arguments: Vec<CString>,
}

impl Wrap {
    /// Reads `--folder DIR [--output FILE] -- PROGRAM ARGUMENT…`.
    pub(crate) fn parse<'a>(mut words: impl Iterator<Item = &'a OsStr>) -> Option<Self> {
        let mut wrap = Self::default();
        loop {
            match words.next()?.to_str()? {
                "--folder" => wrap.folder = words.next()?.into(),
                "--output" => wrap.output = Some(words.next()?.into()),
                "--" => break,
                _ => return None,
            }
        }
        let arguments: Option<_> = words
            .map(|word| CString::new(word.as_bytes()).ok())
            .collect();
        wrap.arguments = arguments?;
        let whole = !wrap.arguments.is_empty() && !wrap.folder.as_os_str().is_empty();
        whole.then_some(wrap)
    }

    /// Runs the program to its end and returns its exit status, or dies of the same signal.
    pub(crate) fn run(&self) -> i32 {
        let mut record = Record::open(&self.folder);
        let forwarded = SignalSet::forwarded();
        sys::block_signals(&forwarded);
        sys::ignore_broken_pipes();
        // Orphans of the program are reaped here, as by the first process of a container.
        let _ = sys::become_subreaper();
        record.line(&format!("start {}", now()));
        let started = Running::start(self, &forwarded);
        let mut running = match started {
            Ok(running) => running,
            Err(message) => {
                record.line(&format!("fail {} {}", now(), message.replace('\n', " ")));
                say(&message);
                return EXIT_NOT_EXECUTED;
            }
        };
        let ended = running.follow();
        let Ended { code, signal, .. } = ended;
        record.line(&format!("exit {code} {signal} {}", now()));
        if running.stopped {
            return 0;
        }
        if signal != 0 && sys::process_id() != 1 {
            // The first process of a container can't be killed by a signal of its own.
            sys::die_of(signal);
        }
        code
    }
}

/// A program that runs.
struct Running {
    pid: i32,
    /// Its two streams, where they are copied.
    streams: Vec<Stream>,
    copy: Option<File>,
    signals: File,
    /// Tells of new files in the folder.
    changes: Option<File>,
    stop: PathBuf,
    stopped: bool,
}

impl Running {
    fn start(wrap: &Wrap, forwarded: &SignalSet) -> Result<Self, String> {
        let copy = wrap.output.as_deref().and_then(open_copy);
        let pipes = if copy.is_some() {
            let pipe = || sys::pipe().map_err(|error| format!("cannot make a pipe: {error}"));
            Some([pipe()?, pipe()?])
        } else {
            None
        };
        // Before the program runs: what it does at once is seen.
        let signals = sys::signal_file(forwarded)
            .map_err(|error| format!("cannot receive signals: {error}"))?;
        let changes = sys::watch_new_files(&wrap.folder).ok();
        let pid = spawn(wrap, pipes.as_ref())?;
        let streams = pipes.into_iter().flatten().zip([1, 2]);
        let streams = streams.map(|((reader, _), number)| Stream::new(reader, number));
        Ok(Self {
            pid,
            streams: streams.collect(),
            copy,
            signals,
            changes,
            stop: wrap.folder.join(STOP),
            stopped: false,
        })
    }

    /// Copies and forwards until the program has ended.
    fn follow(&mut self) -> Ended {
        // Somebody may have asked before anybody watched.
        self.stop_if_asked();
        let ended = loop {
            let mut files = vec![&self.signals];
            files.extend(&self.changes);
            let first_stream = files.len();
            files.extend(self.streams.iter().filter_map(Stream::file));
            let ready = sys::wait_readable(&files, None);
            if ready[0]
                && let Some(ended) = self.take_signals()
            {
                break ended;
            }
            if first_stream == 2 && ready[1] {
                if let Some(changes) = &self.changes {
                    sys::discard(changes);
                }
                self.stop_if_asked();
            }
            let mut ready = ready[first_stream..].iter();
            for stream in &mut self.streams {
                if stream.file().is_some() && ready.next() == Some(&true) {
                    stream.copy(self.copy.as_mut());
                }
            }
        };
        // What the program left in the background may hold the streams open for ever; what is in
        // them now is all that counts, as without this wrapper.
        for stream in &mut self.streams {
            let mut left = sys::waiting_bytes(stream.file());
            while left > 0 {
                let count = stream.copy(self.copy.as_mut());
                if count == 0 {
                    break;
                }
                left = left.saturating_sub(count);
            }
            stream.finish(self.copy.as_mut());
        }
        ended
    }

    /// Passes signals on; returns the program's end.
    fn take_signals(&mut self) -> Option<Ended> {
        while let Some((number, from_terminal)) = sys::next_signal(&self.signals) {
            if number == SIGCHLD {
                while let Ok(Some(ended)) = sys::reap() {
                    if ended.pid == self.pid {
                        return Some(ended);
                    }
                }
            } else if !from_terminal {
                // The terminal has told the program itself.
                sys::kill(self.pid, number);
            }
        }
        None
    }

    fn stop_if_asked(&mut self) {
        if !self.stopped && self.stop.exists() {
            self.stopped = true;
            sys::kill(self.pid, SIGTERM);
        }
    }
}

/// Starts the program; returns its process id once it runs.
fn spawn(wrap: &Wrap, pipes: Option<&[(File, File); 2]>) -> Result<i32, String> {
    let holder = sys::process_id();
    launch::fork_program(|_| {
        for ((_, writer), number) in pipes.into_iter().flatten().zip([1, 2]) {
            sys::become_stream(writer, number)
                .map_err(|error| format!("cannot set a stream: {error}"))?;
        }
        sys::die_with_parent().map_err(|error| format!("cannot bind to the wrapper: {error}"))?;
        if sys::parent_id() != holder {
            return Err("the wrapper is gone".into());
        }
        sys::reset_signals();
        let environment: Vec<CString> = std::env::vars_os()
            .filter_map(|(name, value)| {
                let text = [name.into_vec(), b"=".to_vec(), value.into_vec()].concat();
                CString::new(text).ok()
            })
            .collect();
        Err(launch::execute(&wrap.arguments, &environment))
    })
}

fn open_copy(path: &Path) -> Option<File> {
    if let Some(folder) = path.parent() {
        let _ = fs::create_dir_all(folder);
    }
    match OpenOptions::new().append(true).create(true).open(path) {
        Ok(file) => Some(file),
        Err(error) => {
            // The program matters more than its metrics.
            say(&format!("cannot open {}: {error}", path.display()));
            None
        }
    }
}

fn say(message: &str) {
    let _ = writeln!(io::stderr(), "diwan-entrypoint: {message}");
}

/// The record; locked while this lives.
struct Record(Option<File>);

impl Record {
    fn open(folder: &Path) -> Self {
        let _ = fs::create_dir_all(folder);
        let path = folder.join(RECORD);
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(file) => {
                // A collector that looks has it for an instant.
                lock::take(&file);
                Self(Some(file))
            }
            Err(error) => {
                say(&format!("cannot open {}: {error}", path.display()));
                Self(None)
            }
        }
    }

    /// Appends a line in one write.
    fn line(&mut self, text: &str) {
        if let Some(file) = &mut self.0 {
            let _ = file.write_all(format!("{text}\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Option<Wrap> {
        Wrap::parse(words.iter().map(OsStr::new))
    }

    #[test]
    fn what_follows_two_hyphens_is_taken_as_it_is() {
        let wrap = parse(&[
            "--folder", "/f", "--output", "/o", "--", "sh", "--", "--folder", "",
        ]);
        let arguments = [c"sh", c"--", c"--folder", c""].map(ToOwned::to_owned);
        let expected = Wrap {
            folder: "/f".into(),
            output: Some("/o".into()),
            arguments: arguments.to_vec(),
        };
        assert_eq!(wrap, Some(expected));
    }

    #[test]
    fn a_command_line_without_folder_or_program_is_refused() {
        for words in [
            &["--folder", "/f", "--"][..],
            &["--folder", "/f", "true"],
            &["--", "true"],
            &["--colour", "--", "true"],
            &[],
        ] {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
