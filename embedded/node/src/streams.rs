//! Programs that clients run beside containers, their output and their ports.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use diwan_embedded::{
    ExecOptions, LogOptions, PodLogs as _, PodStreams, Reader, Session, Status, Writer,
};
use futures::{FutureExt as _, StreamExt as _};
use nix::pty::openpty;
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use crate::exec::{Group, Inside};
use crate::holder;
use crate::logs::{Logs, choose};
use crate::node::Shared;
use crate::pod::metadata;
use crate::probe::connect;
use crate::record::ContainerRecord;

/// The address of the machine for itself.
const MACHINE: &str = "127.0.0.1";

/// Gives access to what runs in the pods of a node.
pub(crate) struct Streams {
    /// Weak: the API holds the streams, and the node the API.
    shared: Weak<Shared>,
}

impl Streams {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::downgrade(shared),
        }
    }

    fn shared(&self) -> Result<Arc<Shared>, Status> {
        let shared = self.shared.upgrade();
        shared.ok_or_else(|| Status::internal("the node is gone"))
    }
}

#[async_trait]
impl PodStreams for Streams {
    async fn exec(&self, pod: &Value, options: ExecOptions) -> Result<Session, Status> {
        let shared = self.shared()?;
        let inside = inside(&shared, pod, options.container.as_deref())?;
        let command = inside.command(&options.command, options.tty);
        let session = if options.tty {
            in_terminal(command, &options)
        } else {
            with_pipes(command, &options)
        };
        session.map_err(|error| Status::internal(format!("cannot start the program: {error}")))
    }

    async fn attach(&self, pod: &Value, options: ExecOptions) -> Result<Session, Status> {
        let shared = self.shared()?;
        let inside = inside(&shared, pod, options.container.as_deref())?;
        let follow = LogOptions {
            follow: true,
            tail_lines: Some(0),
            ..LogOptions::default()
        };
        let logs = Logs::new(&shared);
        let log = logs.open(pod, Some(&inside.container), follow).await?;
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        // The log's stream ends, and drops the sender, with the container.
        let log = log.map(move |chunk| {
            let _ends_with_the_log = &done;
            Ok::<_, io::Error>(chunk)
        });
        Ok(Session {
            stdin: None,
            stdout: Some(Box::pin(StreamReader::new(log.boxed()))),
            stderr: None,
            resize: None,
            ended: ended.map(|_| 0).boxed(),
        })
    }

    async fn connect(&self, pod: &Value, port: u16) -> Result<(Reader, Writer), String> {
        if pod["status"]["phase"] != "Running" {
            let name = metadata(pod, "name");
            return Err(format!("pod {name} is not running"));
        }
        // A program that serves this machine alone is reached too, as on a cluster.
        let own = pod["status"]["podIP"].as_str().unwrap_or(MACHINE);
        let stream = match connect(own, port).await {
            Ok(stream) => stream,
            Err(_) => connect(MACHINE, port).await?,
        };
        let (reader, writer) = stream.into_split();
        Ok((Box::pin(reader), Box::pin(writer)))
    }
}

/// The run of the container that is meant.
fn inside(shared: &Shared, pod: &Value, asked: Option<&str>) -> Result<Inside, Status> {
    let first = pod["spec"]["containers"][0]["name"].as_str();
    let container = match (choose(pod, asked), asked, first) {
        (Ok(name), ..) => name,
        (Err(_), None, Some(first)) => first,
        (Err(status), ..) => return Err(status),
    };
    let folder = shared.settings.pod(metadata(pod, "uid"));
    let record = holder::record(&folder);
    let pid = record
        .containers
        .get(container)
        .and_then(ContainerRecord::pid);
    let pid = pid.filter(|_| holder::is_held(&folder, &record));
    let pid =
        pid.ok_or_else(|| Status::bad_request(format!("container not found ({container:?})")))?;
    Ok(Inside {
        entrypoint: shared.settings.entrypoint.clone(),
        folder,
        container: container.to_owned(),
        pid,
    })
}

/// Starts a program whose streams are pipes.
fn with_pipes(mut command: tokio::process::Command, options: &ExecOptions) -> io::Result<Session> {
    let pipe = |wanted: bool| {
        if wanted {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    command
        .stdin(pipe(options.stdin))
        .stdout(pipe(options.stdout))
        .stderr(pipe(options.stderr));
    let mut group = Group::spawn(&mut command)?;
    let child = group.child();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    Ok(Session {
        stdin: stdin.map(|stdin| Box::pin(stdin) as Writer),
        stdout: stdout.map(|stdout| Box::pin(stdout) as Reader),
        stderr: stderr.map(|stderr| Box::pin(stderr) as Reader),
        resize: None,
        ended: async move { group.wait().await }.boxed(),
    })
}

/// Starts a program in a terminal of its own.
fn in_terminal(mut command: tokio::process::Command, options: &ExecOptions) -> io::Result<Session> {
    let terminal = openpty(None, None)?;
    let (master, slave) = (terminal.master, terminal.slave);
    let stream = || slave.try_clone().map(Stdio::from);
    command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
    let mut group = Group::spawn(&mut command)?;
    // The program alone has it now, so that its end is seen.
    drop((command, slave));
    let file = |fd: &OwnedFd| {
        fd.try_clone()
            .map(|fd| tokio::fs::File::from_std(File::from(fd)))
    };
    let (reader, writer) = (file(&master)?, file(&master)?);
    let (resize, mut sizes) = mpsc::unbounded_channel();
    let resizing = async move {
        while let Some((columns, rows)) = sizes.recv().await {
            let size = Winsize {
                ws_col: columns,
                ws_row: rows,
                ws_xpixel: 0,
                ws_ypixel: 0,
            };
            // A terminal whose program has ended has no size.
            let _ = tcsetwinsize(&master, size);
        }
        std::future::pending::<()>().await;
    };
    Ok(Session {
        stdin: options.stdin.then(|| Box::pin(writer) as Writer),
        stdout: options.stdout.then(|| Box::pin(reader) as Reader),
        stderr: None,
        resize: Some(resize),
        ended: async move {
            tokio::select! {
                code = group.wait() => code,
                () = resizing => 0,
            }
        }
        .boxed(),
    })
}
