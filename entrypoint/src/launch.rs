//! Starts one container: its log, its mounts, its user, its program.

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::engine;
use crate::isolate;
use crate::plan::{Container, Plan};
use crate::sys::{self, EACCES, ENOENT, ENOEXEC, ENOTDIR, Fork};

/// Starts a container's program and returns its process id once it runs.
///
/// # Errors
/// Says why it does not run: the program or the working directory does not exist, may not be
/// executed, a mount failed.
pub(crate) fn launch(plan: &Plan, container: &Container, restart: u32) -> Result<i32, String> {
    let log = open_log(container, restart)?;
    let null = File::options()
        .read(true)
        .open("/dev/null")
        .map_err(|e| e.to_string())?;
    let holder = sys::process_id();
    fork_program(|started| {
        prepare(plan, container, holder, &null, &log)?;
        if let (Some(socket), Some(wanted)) = (&plan.engine, &container.wanted) {
            return engine::run(socket, wanted, started);
        }
        Err(execute(&container.arguments, &container.environment))
    })
}

/// Tells the holder that a program runs; executing one tells it too.
pub(crate) struct Started(Option<File>);

impl Started {
    /// Tells it.
    pub(crate) fn tell(&mut self) {
        self.0 = None;
    }
}

/// Starts a process that turns itself into a program, and returns its id once the program runs.
///
/// # Errors
/// The process says why it could not.
pub(crate) fn fork_program(
    become_program: impl FnOnce(&mut Started) -> Result<Infallible, String>,
) -> Result<i32, String> {
    let (mut reports, report) = sys::pipe().map_err(|e| format!("cannot make a pipe: {e}"))?;
    match sys::fork_process().map_err(|e| format!("cannot start a process: {e}"))? {
        Fork::Child => {
            let mut started = Started(Some(report));
            let Err(message) = become_program(&mut started);
            if let Some(mut report) = started.0 {
                let _ = report.write_all(message.as_bytes());
            }
            sys::exit_now(127);
        }
        Fork::Parent(pid) => {
            drop(report);
            // The other end closes without a word as soon as the program is executed.
            let mut message = String::new();
            let _ = reports.read_to_string(&mut message);
            if message.is_empty() {
                Ok(pid)
            } else {
                Err(message)
            }
        }
    }
}

fn open_log(container: &Container, restart: u32) -> Result<File, String> {
    let mut path = container.log.clone().into_os_string();
    path.push(format!("{restart}.log"));
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(|e| format!("cannot open the log {}: {e}", path.display()))
}

/// Gives this process what the container's program is to find.
fn prepare(
    plan: &Plan,
    container: &Container,
    holder: i32,
    null: &File,
    log: &File,
) -> Result<(), String> {
    sys::set_session().map_err(|e| format!("cannot make a session: {e}"))?;
    for (file, number) in [(null, 0), (log, 1), (log, 2)] {
        sys::become_stream(file, number).map_err(|e| format!("cannot set a stream: {e}"))?;
    }
    if let Some(cgroup) = &container.cgroup {
        std::fs::write(cgroup.join("cgroup.procs"), "0")
            .map_err(|e| format!("cannot enter the control group {}: {e}", cgroup.display()))?;
    }
    isolate::isolate(
        plan.isolation,
        &plan.stage,
        &container.mounts,
        container.read_only,
    )?;
    confine(container)?;
    // Last, because a change of user or namespace clears it.
    sys::die_with_parent().map_err(|e| format!("cannot bind to the holder: {e}"))?;
    if sys::parent_id() != holder {
        return Err("the holder is gone".into());
    }
    sys::reset_signals();
    Ok(())
}

/// Takes this process into the container's working directory with the container's rights.
pub(crate) fn confine(container: &Container) -> Result<(), String> {
    if let Some(kept) = container.capabilities {
        sys::limit_capabilities(kept);
    }
    if let Some((uid, gid)) = container.user {
        sys::become_user(uid, gid, &container.groups)
            .map_err(|e| format!("cannot become user {uid}:{gid}: {e}"))?;
    } else if !container.groups.is_empty() {
        sys::join_groups(&container.groups).map_err(|e| format!("cannot join groups: {e}"))?;
    }
    if container.no_new_privileges {
        sys::forbid_new_privileges().map_err(|e| format!("cannot give up privileges: {e}"))?;
    }
    std::env::set_current_dir(&container.directory).map_err(|e| {
        let directory = container.directory.display();
        match e.raw_os_error() {
            Some(ENOENT | ENOTDIR) => format!("working directory not found: {directory}"),
            _ => format!("cannot enter the working directory {directory}: {e}"),
        }
    })
}

/// Executes the program, found as a shell would find it; returns why that failed.
pub(crate) fn execute(arguments: &[CString], environment: &[CString]) -> String {
    let Some(program) = arguments.first() else {
        return "no program is named".into();
    };
    let name = String::from_utf8_lossy(program.to_bytes()).into_owned();
    let mut refused = None;
    for path in candidates(program, environment) {
        let Ok(c_path) = sys::c_path(&path) else {
            continue;
        };
        let error = sys::exec(&c_path, arguments, environment);
        match error.raw_os_error() {
            Some(ENOENT) if path.exists() => {
                return format!("not executable: {name} (its interpreter is not found)");
            }
            Some(ENOENT | ENOTDIR) => {}
            // A later folder of PATH may hold one that can be executed.
            Some(EACCES) => refused = Some(format!("not executable: {name}")),
            Some(ENOEXEC) => {
                return format!(
                    "not executable: {name} (not a program, or its #! line is missing)"
                );
            }
            _ => return format!("cannot execute {name}: {error}"),
        }
    }
    refused.unwrap_or_else(|| format!("program not found: {name}"))
}

/// The paths that a program's name may mean: itself with a slash in it, else each folder of PATH.
fn candidates(program: &CString, environment: &[CString]) -> Vec<PathBuf> {
    let name = OsStr::from_bytes(program.to_bytes());
    if name.is_empty() {
        return Vec::new();
    }
    if program.to_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let path = environment
        .iter()
        .rev()
        .find_map(|v| v.to_bytes().strip_prefix(b"PATH="));
    std::env::split_paths(OsStr::from_bytes(
        path.unwrap_or(b"/usr/local/bin:/usr/bin:/bin"),
    ))
    .map(|folder| {
        if folder == Path::new("") {
            PathBuf::from("./")
        } else {
            folder
        }
    })
    .map(|folder| folder.join(name))
    .collect()
}

/// Reads the number of seconds in a file, if there is one.
pub(crate) fn seconds_in(path: &Path) -> Option<u64> {
    let text: io::Result<String> = std::fs::read_to_string(path);
    text.ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_the_last_path_variable() {
        let environment = [
            c"PATH=/a".to_owned(),
            c"X=1".to_owned(),
            c"PATH=/b:/c".to_owned(),
        ];
        assert_eq!(
            candidates(&c"prog".to_owned(), &environment),
            [PathBuf::from("/b/prog"), PathBuf::from("/c/prog")]
        );
        assert_eq!(
            candidates(&c"./prog".to_owned(), &environment),
            [PathBuf::from("./prog")]
        );
        assert!(candidates(&c"".to_owned(), &environment).is_empty());
    }
}
