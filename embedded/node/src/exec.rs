//! Programs that run beside the one of a container: for probes and hooks, and for `kubectl exec`.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

/// So much of what a program writes is read.
const LONGEST_OUTPUT: u64 = 10 << 10;

/// A run of a container, to run programs beside it.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// The program that holds pods, which also enters them.
    pub(crate) entrypoint: PathBuf,
    /// The pod's folder.
    pub(crate) folder: PathBuf,
    /// The container.
    pub(crate) container: String,
    /// The process of its program.
    pub(crate) pid: i32,
}

impl Inside {
    /// The command that runs a program there.
    pub(crate) fn command(&self, words: &[String], terminal: bool) -> Command {
        let mut command = Command::new(&self.entrypoint);
        command.arg("exec");
        if terminal {
            command.arg("--tty");
        }
        command
            .arg(&self.folder)
            .arg(&self.container)
            .arg(self.pid.to_string())
            .args(words)
            .current_dir("/")
            .env_clear()
            .kill_on_drop(true);
        command
    }

    /// Runs a program to its end; returns its exit status and what it wrote. It is killed with its
    /// children when nobody waits any more.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) async fn output(&self, words: &[String]) -> Result<(i32, String), String> {
        let (mut ours, theirs) = pipe().map_err(|e| e.to_string())?;
        let mut command = self.command(words, false);
        let error = theirs.try_clone().map_err(|e| e.to_string())?;
        command.stdin(Stdio::null()).stdout(theirs).stderr(error);
        let mut child = Group::spawn(&mut command).map_err(|e| e.to_string())?;
        drop(command);
        let mut text = Vec::new();
        let reading = async {
            // What can't be read is not there.
            let _ = (&mut ours)
                .take(LONGEST_OUTPUT)
                .read_to_end(&mut text)
                .await;
            std::future::pending::<()>().await;
        };
        // Not to the end of the pipe: a child in the background may have it open for ever.
        let code = tokio::select! {
            code = child.wait() => code,
            () = reading => 0,
        };
        let mut rest = [0; LONGEST_OUTPUT as usize];
        if let Ok(count) = ours.try_read(&mut rest) {
            text.extend_from_slice(&rest[..count]);
        }
        text.truncate(LONGEST_OUTPUT as usize);
        Ok((code, String::from_utf8_lossy(&text).into_owned()))
    }
}

/// A pipe of which this process reads one end and a program writes the other.
fn pipe() -> io::Result<(tokio::net::unix::pipe::Receiver, std::os::fd::OwnedFd)> {
    let (theirs, ours) = tokio::net::unix::pipe::pipe()?;
    Ok((ours, theirs.into_blocking_fd()?))
}

/// A program with its process group, which is killed when this is dropped.
pub(crate) struct Group {
    child: Child,
    /// The leader of the group, until its end was seen.
    leader: Option<Pid>,
}

impl Group {
    /// Starts the command, which makes a group of its own.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let leader = child.id().map(|id| Pid::from_raw(id as i32));
        Ok(Self { child, leader })
    }

    /// The program.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the program's end and returns its exit status, 128 + signal for a killed one.
    pub(crate) async fn wait(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt as _;
        let status = self.child.wait().await;
        self.leader = None;
        status.map_or(137, |status| {
            let signal = status.signal().map(|signal| 128 + signal);
            status.code().or(signal).unwrap_or(137)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // Before it leads a group, the program itself is killed by the runtime.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}
