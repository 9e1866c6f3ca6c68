//! Runs a program beside the one of a container that is held: in its mounts, as its user, with its
//! variables. The program takes the place of this process, its streams stay.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::engine_exec;
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

    /// Becomes the program; returns an exit status when that failed, or when an engine runs it.
    pub(crate) fn run(&self) -> i32 {
        let message = match self.container() {
            Ok((Some(socket), container)) => match self.in_engine(&socket, &container) {
                Ok(code) => return code,
                Err(message) => message,
            },
            Ok((None, container)) => self.become_program(container),
            Err(message) => message,
        };
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{message}");
        EXIT_NOT_STARTED
    }

    /// The container as the plan has it, and the engine's socket if an engine runs it.
    fn container(&self) -> Result<(Option<PathBuf>, Container), String> {
        let text = fs::read(self.folder.join("plan"))
            .map_err(|e| format!("cannot read the pod's plan: {e}"))?;
        let plan = Plan::parse(&text)?;
        let mut containers = plan.containers.into_iter();
        containers
            .find(|c| c.name.as_bytes() == self.container.as_bytes())
            .map(|container| (plan.engine, container))
            .ok_or_else(|| format!("container {} not found", self.container.display()))
    }

    /// Has the engine run the program; returns its exit status.
    fn in_engine(&self, socket: &Path, container: &Container) -> Result<i32, String> {
        let wanted = container.wanted.as_ref().ok_or("it is not the engine's")?;
        let _ = sys::set_session();
        if self.terminal {
            sys::take_terminal().map_err(|e| format!("cannot take the terminal: {e}"))?;
        }
        let words = self.program.iter();
        let words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
        engine_exec::run(socket, &wanted.name, self.terminal, &words)
    }

    /// Returns why the program cannot be started.
    fn become_program(&self, container: Container) -> String {
        if let Err(message) = self.enter(&container) {
            return message;
        }
        let mut environment = container.environment;
        if self.terminal {
            environment.insert(0, c"TERM=xterm".to_owned());
        }
        launch::execute(&self.program, &environment)
    }

    /// Takes this process to where the container is.
    fn enter(&self, container: &Container) -> Result<(), String> {
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
        launch::confine(container)?;
        sys::reset_signals();
        Ok(())
    }
}
