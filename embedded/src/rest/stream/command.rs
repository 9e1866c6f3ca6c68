//! A program that runs for a client (the protocols `v4.channel.k8s.io` and
//! `v5.channel.k8s.io`).

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::channel::{CLOSE, Channels, Sender};
use crate::pod_streams::{Session, Writer};

pub(super) const STDIN: u8 = 0;
pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
pub(super) const ERROR: u8 = 3;
pub(super) const RESIZE: u8 = 4;

/// How long children of a program that has ended may go on writing.
const DRAIN: Duration = Duration::from_secs(1);

/// Serves a session. `closes`: the client can say that its input ends.
pub(super) async fn serve(mut channels: Channels, session: Session, closes: bool) {
    let sender = channels.sender.clone();
    let first = if session.stdout.is_some() {
        STDOUT
    } else if session.stderr.is_some() {
        STDERR
    } else {
        ERROR
    };
    // Clients take it as the sign that the connection stands.
    sender.send(first, Bytes::new()).await;
    let copy = |channel, reader| {
        let copying = sender.clone().copy(channel, reader);
        AbortOnDropHandle::new(tokio::spawn(copying))
    };
    let outputs = [
        session.stdout.map(|reader| copy(STDOUT, reader)),
        session.stderr.map(|reader| copy(STDERR, reader)),
    ];
    let resize = session.resize;
    let resized = move |columns, rows| {
        if let Some(resize) = &resize {
            // A program that has ended has no terminal.
            let _ = resize.send((columns, rows));
        }
    };
    let code = tokio::select! {
        code = session.ended => code,
        () = receive(&mut channels.receiver, session.stdin, resized, closes) => return,
    };
    let drained = async {
        for output in outputs.into_iter().flatten() {
            let _ = output.await;
        }
    };
    let _ = timeout(DRAIN, drained).await;
    finish(&sender, code).await;
    let Channels { writing, .. } = channels;
    drop(sender);
    let _ = writing.await;
}

/// Tells how the program ended.
async fn finish(sender: &Sender, code: i32) {
    sender.send(ERROR, status(code).to_string()).await;
    sender.close().await;
}

/// The end of a program as clients read it.
fn status(code: i32) -> Value {
    if code == 0 {
        return json!({ "metadata": {}, "status": "Success" });
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// Passes on what the client sends; returns when it is gone.
async fn receive(
    receiver: &mut mpsc::Receiver<(u8, Bytes)>,
    mut stdin: Option<Writer>,
    resized: impl Fn(u16, u16),
    closes: bool,
) {
    while let Some((channel, bytes)) = receiver.recv().await {
        match channel {
            STDIN => {
                if let Some(writer) = &mut stdin
                    && write(writer, &bytes).await.is_err()
                {
                    stdin = None;
                }
            }
            RESIZE => {
                if let Some((columns, rows)) = size(&bytes) {
                    resized(columns, rows);
                }
            }
            CLOSE if closes && bytes.first() == Some(&STDIN) => stdin = None,
            _ => {}
        }
    }
}

async fn write(writer: &mut Writer, bytes: &Bytes) -> std::io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// The columns and rows of a terminal.
fn size(text: &[u8]) -> Option<(u16, u16)> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let number = |name: &str| u16::try_from(value[name].as_u64()?).ok();
    Some((number("Width")?, number("Height")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_terminal_is_read() {
        assert_eq!(size(br#"{"Width":80,"Height":24}"#), Some((80, 24)));
        assert_eq!(size(b"{}"), None);
    }

    #[test]
    fn an_exit_status_is_where_clients_look_for_it() {
        assert_eq!(status(0)["status"], "Success");
        assert_eq!(status(3)["details"]["causes"][0]["message"], "3");
    }
}
