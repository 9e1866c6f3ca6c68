//! Holds the processes of one pod and outlives the control plane that started it.
//!
//! `diwan-entrypoint hold DIR` reads the pod's plan from `DIR/plan`, gives each container its
//! mounts, runs init containers one after the other and the others together, appends their output
//! to their log files and writes what happens as lines to `DIR/status`. SIGTERM ends the pod with
//! all its processes. `diwan-entrypoint probe DIR` prints which kind of isolation works here.
//! `diwan-entrypoint exec [--tty] DIR CONTAINER PID PROGRAM …` runs a program beside the one of a
//! container that is held, as that container would run it.
//! `diwan-entrypoint wrap --folder DIR [--output FILE] -- PROGRAM …` runs a program in a container of
//! a cluster, for a metrics collector beside it.
//!
//! The program talks to nobody, but for the engine whose containers a pod's are when the plan says so,
//! and depends on the C library alone; it is linked statically so that it starts fast and stays small.
#![cfg_attr(not(test), no_main)]

mod engine;
mod engine_exec;
mod exec;
mod frames;
mod held;
mod hold;
mod http;
mod isolate;
mod json;
mod launch;
mod lock;
mod message;
mod orders;
mod plan;
mod record;
mod stream;
mod sys;
mod tree;
mod wrap;

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use exec::Exec;
use wrap::Wrap;

/// The exit status when another process holds the pod, or has held it to its end.
const EXIT_HELD: c_int = 75;
/// The exit status when the plan cannot be read or the pod's folder cannot be written.
const EXIT_BROKEN: c_int = 70;
/// The exit status of a wrong command line.
const EXIT_USAGE: c_int = 64;

/// Starts the program without the runtime of the standard library, which would ignore SIGPIPE for
/// every program held.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    let argument = |index: usize| -> Option<&OsStr> {
        if index >= count {
            return None;
        }
        // SAFETY: the C runtime passes `count` pointers to NUL-terminated strings that live as
        // long as the process.
        let text = unsafe { CStr::from_ptr(*arguments.add(index)) };
        Some(OsStr::from_bytes(text.to_bytes()))
    };
    let words: Vec<&OsStr> = (1..count).filter_map(argument).collect();
    run(&words)
}

/// Does what the command line says and returns the exit status.
fn run(words: &[&OsStr]) -> c_int {
    let command = words.first().and_then(|word| word.to_str());
    if command == Some("wrap")
        && let Some(wrap) = Wrap::parse(words[1..].iter().copied())
    {
        return wrap.run();
    }
    if command == Some("exec")
        && let Some(exec) = Exec::parse(&words[1..])
    {
        return exec.run();
    }
    match (command, words.get(1)) {
        (Some("hold"), Some(folder)) => hold::hold(Path::new(folder)),
        (Some("probe"), Some(folder)) => {
            let (isolation, why) = isolate::probe(Path::new(folder));
            // Nobody is left to tell when standard output is closed.
            let _ = writeln!(std::io::stdout(), "{}\n{why}", isolation.name());
            0
        }
        _ => {
            let usage = "usage: diwan-entrypoint hold|probe DIR\n       \
                         diwan-entrypoint exec [--tty] DIR CONTAINER PID PROGRAM ARGUMENT...\n       \
                         diwan-entrypoint wrap --folder DIR [--output FILE] -- PROGRAM ARGUMENT...";
            let _ = writeln!(std::io::stderr(), "{usage}");
            EXIT_USAGE
        }
    }
}
