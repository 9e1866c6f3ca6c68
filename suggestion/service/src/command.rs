//! A service that is started here: a command that listens on the port it is told.

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::CommandLine;
use crate::remote::Remote;
use crate::service::SuggestionError;

/// The pauses between restarts begin here and double.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A command that ran this long is restarted as if it had never ended.
const SETTLED: Duration = Duration::from_mins(1);
/// How long a command has from its start until it answers.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// So many starts may fail before waiting for it to answer is given up.
const STARTS: usize = 3;
/// How often a command that does not answer yet is asked again.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A supervised command. It runs in a process group of its own, which ends when this is dropped;
/// its standard input ends with this process, even when that is killed.
#[derive(Debug)]
pub(crate) struct Service {
    program: String,
    port: u16,
    group: Arc<Mutex<Group>>,
    ends: watch::Receiver<Ends>,
    supervisor: JoinHandle<()>,
}

/// The process group that runs now.
#[derive(Debug, Default)]
struct Group {
    leader: Option<Pid>,
    stopped: bool,
}

/// How often in a row the command ended soon or could not be started, and how that was last.
#[derive(Clone, Debug, Default)]
struct Ends {
    count: usize,
    last: String,
}

impl Service {
    /// Starts the command in `folder` on a free port and keeps it running.
    pub(crate) async fn start(line: CommandLine, folder: PathBuf) -> io::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .await?
            .local_addr()?
            .port();
        let program = line.command.join(" ");
        let group = Arc::new(Mutex::new(Group::default()));
        let (report, ends) = watch::channel(Ends::default());
        let supervisor = tokio::spawn(supervise(line, folder, port, group.clone(), report));
        Ok(Self {
            program,
            port,
            group,
            ends,
            supervisor,
        })
    }

    /// Where the service listens.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits until the service answers.
    pub(crate) async fn ready(&self, remote: &Remote) -> Result<(), SuggestionError> {
        let deadline = Instant::now() + READY_WITHIN;
        while !remote.is_ready().await {
            let ends = self.ends.borrow().clone();
            if ends.count >= STARTS {
                let text = format!("command {:?} keeps ending: {}", self.program, ends.last);
                return Err(SuggestionError::Retry(text));
            }
            if Instant::now() >= deadline {
                let text = format!(
                    "command {:?} does not answer on port {} within {READY_WITHIN:?}; \
                     it must listen on the port in its variable PORT",
                    self.program, self.port
                );
                return Err(SuggestionError::Retry(text));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.supervisor.abort();
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        group.stopped = true;
        group.kill();
    }
}

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.leader.take()
            && let Err(error) = killpg(leader, Signal::SIGKILL)
            && error != nix::errno::Errno::ESRCH
        {
            tracing::warn!(%error, "failed to end the process group of a suggestion service");
        }
    }
}

async fn supervise(
    line: CommandLine,
    folder: PathBuf,
    port: u16,
    group: Arc<Mutex<Group>>,
    report: watch::Sender<Ends>,
) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let last = match start_in_group(&line, &folder, port, &group) {
            Ok(None) => return,
            Ok(Some(mut child)) => {
                // Waiting closes the input unless it is held elsewhere.
                let input = child.stdin.take();
                let end = child.wait().await;
                drop(input);
                // What it left behind would hold the port.
                group.lock().unwrap_or_else(PoisonError::into_inner).kill();
                describe(end)
            }
            Err(error) => format!("failed to start: {error}"),
        };
        let settled = started.elapsed() >= SETTLED;
        if settled {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(command = ?line.command, "suggestion service ended ({last}), restarting in {pause:?}");
        report.send_modify(|ends| {
            ends.count = if settled { 1 } else { ends.count + 1 };
            ends.last = last;
        });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Starts the command and notes its group; `None` when it is not wanted any more.
fn start_in_group(
    line: &CommandLine,
    folder: &PathBuf,
    port: u16,
    group: &Mutex<Group>,
) -> io::Result<Option<Child>> {
    let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
    if group.stopped {
        return Ok(None);
    }
    let (program, arguments) = line
        .command
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(line.env.iter().map(|(name, value)| (name, value)))
        .env("PORT", port.to_string())
        .current_dir(folder)
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    group.leader = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    let name = program.clone();
    if let Some(output) = child.stdout.take() {
        tokio::spawn(log(name.clone(), output));
    }
    if let Some(output) = child.stderr.take() {
        tokio::spawn(log(name, output));
    }
    Ok(Some(child))
}

/// Puts what the command prints into our log.
async fn log(program: String, output: impl AsyncRead + Unpin) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|n| n > 0)
    {
        tracing::info!(program, "{}", String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}

fn describe(end: io::Result<ExitStatus>) -> String {
    match end {
        Ok(status) => status.to_string(),
        Err(error) => format!("failed to wait for it: {error}"),
    }
}
