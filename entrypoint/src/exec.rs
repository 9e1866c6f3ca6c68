//! Runs a program beside the one of a container that is held: in its mounts, as its user, with its
//! variables. The program takes the place of this process, its streams stay.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::isolate;
use crate::launch;
use crate::plan::{Container, Plan};
use crate::sys;

/// The exit status when the program cannot be started, as a shell has it.
const EXIT_NOT_STARTED: i32 = 126;

/// What is run, and beside what.
pub(crate) struct Exec<'a> {
    /// Standard input is a terminal, which becomes the program's.
    terminal: bool,
    folder: &'a Path,
    container: &'a OsStr,
    /// The process whose namespaces are entered.
    pid: i32,
    program: Vec<CString>,
}

impl<'a> Exec<'a> {
    /// Reads the command line; `None`: it makes no sense.
    pub(crate) fn parse(words: &[&'a OsStr]) -> Option<Self> {
        let terminal = words.first().is_some_and(|word| *word == "--tty");
        let [folder, container, pid, program @ ..] = &words[usize::from(terminal)..] else {
            return None;
        };
        let program = program
            .iter()
            .map(|word| CString::new(word.as_bytes()).ok())
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            terminal,
            folder: Path::new(*folder),
            container,
            pid: pid.to_str()?.parse().ok()?,
            program,
        })
    }

    /// Becomes the program; returns an exit status only when that failed.
    pub(crate) fn run(&self) -> i32 {
        let message = self.become_program();
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{message}");
        EXIT_NOT_STARTED
    }

    /// Returns why the program cannot be started.
    fn become_program(&self) -> String {
        match self.prepare() {
            Ok(container) => {
                let mut environment = container.environment;
                if self.terminal {
                    environment.insert(0, c"TERM=xterm".to_owned());
                }
                launch::execute(&self.program, &environment)
            }
            Err(message) => message,
        }
    }

    /// Takes this process to where the container is.
    fn prepare(&self) -> Result<Container, String> {
        let text = fs::read(self.folder.join("plan"))
            .map_err(|e| format!("cannot read the pod's plan: {e}"))?;
        let containers = Plan::parse(&text)?.containers;
        let container = containers
            .into_iter()
            .find(|c| c.name.as_bytes() == self.container.as_bytes())
            .ok_or_else(|| format!("container {} not found", self.container.display()))?;
        // Refused when this process leads a group, which is as good.
        let _ = sys::set_session();
        if self.terminal {
            sys::take_terminal().map_err(|e| format!("cannot take the terminal: {e}"))?;
        }
        if let Some(cgroup) = &container.cgroup {
            // Outside it the program would have all memory of the machine, but would run.
            let _ = fs::write(cgroup.join("cgroup.procs"), "0");
        }
        isolate::enter(self.pid).map_err(|e| format!("cannot enter the container: {e}"))?;
        launch::confine(&container)?;
        sys::reset_signals();
        Ok(container)
    }
}
