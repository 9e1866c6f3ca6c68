//! A connection of SPDY/3.1, which Kubernetes' own clients speak: streams that the client begins.

mod dictionary;
mod frame;

use std::collections::HashMap;

use bytes::Bytes;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufWriter, ReadHalf, WriteHalf,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use self::frame::{Frame, Reader, Writer};

/// How many frames may wait on each way.
const WAITING: usize = 16;

/// A stream that the client began.
pub(super) struct Stream {
    headers: Vec<(String, String)>,
    /// What the client sends; ends with the stream.
    pub(super) incoming: mpsc::Receiver<Bytes>,
    /// Where answers go.
    pub(super) outgoing: Outgoing,
}

impl Stream {
    /// A header; empty when absent.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

/// Sends on one stream.
#[derive(Clone)]
pub(super) struct Outgoing {
    id: u32,
    frames: mpsc::Sender<Out>,
}

impl Outgoing {
    /// Sends bytes. Returns whether the client is there.
    pub(super) async fn send(&self, bytes: Bytes) -> bool {
        self.frames
            .send(Out::Data(self.id, bytes, false))
            .await
            .is_ok()
    }

    /// Says that nothing follows.
    pub(super) async fn finish(&self) {
        // A client that is gone needs no word.
        let _ = self
            .frames
            .send(Out::Data(self.id, Bytes::new(), true))
            .await;
    }
}

/// What is to be sent.
enum Out {
    Reply(u32),
    Ping(u32),
    Data(u32, Bytes, bool),
}

/// The connection: the streams that begin.
pub(super) struct Connection {
    pub(super) streams: mpsc::Receiver<Stream>,
    reading: AbortOnDropHandle<()>,
    writing: AbortOnDropHandle<()>,
}

impl Connection {
    /// Takes over bytes that go both ways.
    pub(super) fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (reader, writer) = tokio::io::split(io);
        let (frames, inbox) = mpsc::channel(WAITING);
        let (begin, streams) = mpsc::channel(WAITING);
        Self {
            streams,
            reading: AbortOnDropHandle::new(tokio::spawn(read(reader, begin, frames))),
            writing: AbortOnDropHandle::new(tokio::spawn(async move {
                // A client that is gone needs no answer.
                let _ = write(writer, inbox).await;
            })),
        }
    }

    /// Waits until all that was sent is on its way. Nobody sends any more.
    pub(super) async fn close(self) {
        drop((self.streams, self.reading));
        let _ = self.writing.await;
    }
}

/// Reads frames until the client is gone.
async fn read<T: AsyncRead>(
    mut from: ReadHalf<T>,
    begin: mpsc::Sender<Stream>,
    frames: mpsc::Sender<Out>,
) {
    let mut reader = Reader::new();
    let mut open: HashMap<u32, mpsc::Sender<Bytes>> = HashMap::new();
    loop {
        loop {
            match reader.next() {
                Ok(Some(frame)) => {
                    if receive(frame, &mut open, &begin, &frames).await.is_none() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(error, "a client speaks no SPDY");
                    return;
                }
            }
        }
        match from.read_buf(reader.buffer()).await {
            Ok(1..) => {}
            _ => return,
        }
    }
}

/// Does what a frame says; `None`: nobody is left who would read it.
async fn receive(
    frame: Frame,
    open: &mut HashMap<u32, mpsc::Sender<Bytes>>,
    begin: &mpsc::Sender<Stream>,
    frames: &mpsc::Sender<Out>,
) -> Option<()> {
    match frame {
        Frame::Open(id, headers, last) => {
            let (sender, incoming) = mpsc::channel(WAITING);
            if !last {
                open.insert(id, sender);
            }
            frames.send(Out::Reply(id)).await.ok()?;
            let outgoing = Outgoing {
                id,
                frames: frames.clone(),
            };
            let stream = Stream {
                headers,
                incoming,
                outgoing,
            };
            begin.send(stream).await.ok()?;
        }
        Frame::Data(id, bytes, last) => {
            if let Some(sender) = open.get(&id)
                && !bytes.is_empty()
            {
                // Whoever does not read any more needs no more.
                let _ = sender.send(bytes).await;
            }
            if last {
                open.remove(&id);
            }
        }
        Frame::Reset(id) => drop(open.remove(&id)),
        Frame::Ping(id) => frames.send(Out::Ping(id)).await.ok()?,
        Frame::Other => {}
    }
    Some(())
}

/// Writes what is to be sent until nobody sends any more.
async fn write<T: AsyncWrite>(
    to: WriteHalf<T>,
    mut inbox: mpsc::Receiver<Out>,
) -> std::io::Result<()> {
    let mut to = BufWriter::new(to);
    let mut writer = Writer::new();
    while let Some(out) = inbox.recv().await {
        match out {
            Out::Reply(id) => {
                let reply = writer.reply(id).map_err(std::io::Error::other)?;
                to.write_all(&reply).await?;
            }
            Out::Ping(id) => to.write_all(&frame::ping(id)).await?,
            Out::Data(id, bytes, last) => {
                to.write_all(&frame::data_head(id, bytes.len(), last))
                    .await?;
                to.write_all(&bytes).await?;
            }
        }
        if inbox.is_empty() {
            to.flush().await?;
        }
    }
    to.shutdown().await
}
