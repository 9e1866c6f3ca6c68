//! The pod's record: one line for each thing that happened, appended to `DIR/status`.
//!
//! ```text
//! hold PID TIME orders
//! start RESTART PID TIME CONTAINER
//! started RESTART CONTAINER
//! message RESTART CONTAINER TEXT…
//! oom RESTART CONTAINER
//! exit RESTART CODE SIGNAL TIME CONTAINER
//! wait SECONDS CONTAINER
//! fail RESTART TIME CONTAINER MESSAGE…
//! ending TIME
//! end TIME
//! ```
//!
//! `orders` says that this holder takes orders (see `orders.rs`). In the text of a message line feeds
//! are written `\n`, backslashes `\\`.
//!
//! Times are nanoseconds since 1970. Each line is one write, so a reader never sees half of one. The
//! file stays open until the holder ends: its closing tells the node that nobody holds the pod.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::{self, Ended};

/// The file that is written.
pub(crate) struct Record {
    file: File,
}

impl Record {
    /// Creates the record: of the empty file that an earlier pod left in the folder, if there is
    /// one. The caller holds the folder's lock.
    ///
    /// # Errors
    /// It exists: the pod was held before and must not be started again.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join("status");
        let left = folder.join("status.free");
        let reused = !path.exists() && fs::rename(left, &path).is_ok();
        let file = OpenOptions::new()
            .append(true)
            .create_new(!reused)
            .open(path)?;
        let mut record = Self { file };
        record.line(&format!("hold {} {} orders", sys::process_id(), now()));
        Ok(record)
    }

    /// A container's program runs.
    pub(crate) fn start(&mut self, container: &str, restart: u32, pid: i32, at: u128) {
        self.line(&format!("start {restart} {pid} {at} {container}"));
    }

    /// Somebody found that a container has started.
    pub(crate) fn started(&mut self, container: &str, restart: u32) {
        self.line(&format!("started {restart} {container}"));
    }

    /// What a container said last.
    pub(crate) fn message(&mut self, container: &str, restart: u32, text: &str) {
        let text = text.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(&format!("message {restart} {container} {text}"));
    }

    /// A container had more memory than it may.
    pub(crate) fn out_of_memory(&mut self, container: &str, restart: u32) {
        self.line(&format!("oom {restart} {container}"));
    }

    /// A container waits before it is started again.
    pub(crate) fn wait(&mut self, container: &str, seconds: u64) {
        self.line(&format!("wait {seconds} {container}"));
    }

    /// A container's program ended.
    pub(crate) fn exit(&mut self, container: &str, restart: u32, ended: Ended) {
        let Ended { code, signal, .. } = ended;
        self.line(&format!(
            "exit {restart} {code} {signal} {} {container}",
            now()
        ));
    }

    /// A container's program could not be started.
    pub(crate) fn fail(&mut self, container: &str, restart: u32, message: &str) {
        let message = message.replace('\n', " ");
        self.line(&format!("fail {restart} {} {container} {message}", now()));
    }

    /// Processes are asked to end.
    pub(crate) fn ending(&mut self) {
        self.line(&format!("ending {}", now()));
    }

    /// No process of the pod is left.
    pub(crate) fn end(&mut self) {
        self.line(&format!("end {}", now()));
    }

    /// Appends a line. A full disk must not end the pod, so a failure is ignored; the node then
    /// reports the container's end as unknown.
    fn line(&mut self, text: &str) {
        let _ = self.file.write_all(format!("{text}\n").as_bytes());
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos())
}
