//! The port to whoever runs pods: programs beside their containers, their output, their ports.

use std::pin::Pin;

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedSender;

use crate::status::Status;

/// Something to be read.
pub type Reader = Pin<Box<dyn AsyncRead + Send>>;
/// Something to be written to.
pub type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// What a client wants of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// The container; the only one, or the first, when none is named.
    pub container: Option<String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The client writes.
    pub stdin: bool,
    /// The client reads what the program writes.
    pub stdout: bool,
    /// The client reads its errors apart.
    pub stderr: bool,
    /// The program finds a terminal.
    pub tty: bool,
}

/// A program that runs for a client. Dropping it ends the program.
pub struct Session {
    /// What the program reads.
    pub stdin: Option<Writer>,
    /// What it writes.
    pub stdout: Option<Reader>,
    /// Its errors.
    pub stderr: Option<Reader>,
    /// Takes the columns and rows of the client's terminal.
    pub resize: Option<UnboundedSender<(u16, u16)>>,
    /// Waits for its exit status.
    pub ended: BoxFuture<'static, i32>,
}

/// Gives access to what runs in pods.
#[async_trait]
pub trait PodStreams: Send + Sync {
    /// Runs a program beside that of a container.
    async fn exec(&self, pod: &Value, options: ExecOptions) -> Result<Session, Status>;

    /// Follows the program of a container.
    async fn attach(&self, pod: &Value, options: ExecOptions) -> Result<Session, Status>;

    /// Connects to a port of a pod.
    ///
    /// # Errors
    /// Says why that is refused.
    async fn connect(&self, pod: &Value, port: u16) -> Result<(Reader, Writer), String>;
}
