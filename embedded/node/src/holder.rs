//! The program that holds a pod: installing it, starting it, finding one that runs, ending it.

use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::record::{Program, Record};

/// The program that holds pods, compiled by the build script.
pub static ENTRYPOINT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/diwan-entrypoint"));

/// How often a program that is busy is tried again, and how long to wait before.
const BUSY_TRIES: u32 = 200;
const BUSY_WAIT: Duration = Duration::from_millis(5);

/// How containers get mounts of their own on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Root makes mount namespaces.
    Root,
    /// An ordinary user makes them inside user namespaces.
    User,
    /// Not at all.
    None,
}

impl Isolation {
    /// The word for it in plans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::User => "user",
            Self::None => "none",
        }
    }
}

/// Writes the program into a folder, unless this version of it is there.
///
/// # Errors
/// The folder cannot be written.
pub fn install(folder: &Path) -> io::Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    ENTRYPOINT.hash(&mut hasher);
    let path = folder.join(format!("diwan-entrypoint-{:016x}", hasher.finish()));
    if path
        .metadata()
        .is_ok_and(|m| m.len() == ENTRYPOINT.len() as u64)
    {
        return Ok(path);
    }
    fs::create_dir_all(folder)?;
    // Complete under a name of its own, so that no half of it is ever found.
    let draft = folder.join(format!("draft-{}", std::process::id()));
    fs::write(&draft, ENTRYPOINT)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
    fs::rename(&draft, &path)?;
    Ok(path)
}

/// Finds out which isolation works, and why none does.
///
/// # Errors
/// The program does not run.
pub(crate) fn probe(program: &Path, stage: &Path) -> io::Result<(Isolation, String)> {
    let output = unless_busy(|| Command::new(program).arg("probe").arg(stage).output())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (name, why) = text.split_once('\n').unwrap_or((&text, ""));
    let isolation = match name {
        "root" => Isolation::Root,
        "user" => Isolation::User,
        _ => Isolation::None,
    };
    Ok((isolation, why.trim().to_owned()))
}

/// Starts a holder for the pod in `folder`. It goes on when this process ends.
///
/// # Errors
/// The program does not start.
pub(crate) fn spawn(program: &Path, folder: &Path) -> io::Result<Child> {
    let mut command = tokio::process::Command::new(program);
    command
        .arg("hold")
        .arg(folder)
        .current_dir("/")
        .env_clear()
        .kill_on_drop(false);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    unless_busy(|| command.spawn())
}

/// Tries again while the program is "busy": it was just written, and another thread was starting a
/// process at that moment, which has the file open for writing until it executes its own program.
fn unless_busy<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 0;
    loop {
        match start() {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(BUSY_WAIT);
            }
            outcome => return outcome,
        }
    }
}

/// Whether a process holds the pod in `folder`, of which this is the record.
pub(crate) fn is_held(folder: &Path, record: &Record) -> bool {
    let Some(holder) = record.holder else {
        return is_locked(folder);
    };
    // The number may have been given to another process since; the command line tells.
    let words = fs::read(format!("/proc/{holder}/cmdline")).unwrap_or_default();
    words
        .split(|b| *b == 0)
        .any(|word| word == folder.as_os_str().as_bytes())
}

/// Whether a holder has the lock of its pod's folder.
fn is_locked(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Reads the record of the pod in `folder`; without one nothing has happened.
pub(crate) fn record(folder: &Path) -> Record {
    let text = fs::read(folder.join("status")).unwrap_or_default();
    Record::parse(&String::from_utf8_lossy(&text))
}

/// Asks a holder to end its pod within `grace` seconds; without a number, within those of its
/// plan. Nothing happens when nobody holds the pod.
///
/// # Errors
/// The pod's folder cannot be written.
pub(crate) fn stop(folder: &Path, grace: Option<u64>) -> io::Result<()> {
    if let Some(grace) = grace {
        fs::write(folder.join("grace"), grace.to_string())?;
    }
    let record = record(folder);
    if let Some(holder) = record.holder
        && is_held(folder, &record)
    {
        let _ = kill(Pid::from_raw(holder), Signal::SIGTERM);
    }
    Ok(())
}

/// Tells a holder something about a container (see the entrypoint's `orders.rs`).
///
/// # Errors
/// The pod's folder cannot be written.
pub(crate) fn order(folder: &Path, line: &str) -> io::Result<()> {
    let path = folder.join("orders");
    let mut orders = File::options().append(true).create(true).open(path)?;
    orders.write_all(format!("{line}\n").as_bytes())?;
    let record = record(folder);
    if let Some(holder) = record.holder
        && record.takes_orders
        && is_held(folder, &record)
    {
        let _ = kill(Pid::from_raw(holder), Signal::SIGUSR1);
    }
    Ok(())
}

/// Kills what a holder that was itself killed may have left behind.
pub(crate) fn kill_leftovers(record: &Record) {
    let Some(boot) = boot_time() else { return };
    for container in record.containers.values() {
        if let Program::Running { pid, started } = container.current
            // A number from before the last boot means another process now.
            && started.as_second() > boot
            && pid > 1
        {
            let _ = kill(Pid::from_raw(-pid), Signal::SIGKILL);
        }
    }
}

/// When the machine was started, in seconds since 1970.
fn boot_time() -> Option<i64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}
