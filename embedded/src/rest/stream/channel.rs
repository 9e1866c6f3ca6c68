//! Several streams between a client and a container, by their numbers, whatever carries them: one
//! WebSocket whose messages begin with the number, or a connection of SPDY with a stream for each.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::spdy::{Connection, Stream};
use crate::pod_streams::Reader;

/// A message with the number of a stream of the client's that ends.
pub(super) const CLOSE: u8 = 255;
/// How much is read at once.
const CHUNK: usize = 32 << 10;
/// How many messages may wait on each way.
const WAITING: usize = 16;

/// What is to be sent.
enum Out {
    Data(u8, Bytes),
    Close,
}

/// Sends; a slow client slows down whoever sends.
#[derive(Clone)]
pub(super) struct Sender(mpsc::Sender<Out>);

impl Sender {
    /// Sends bytes. Returns whether the client is there.
    pub(super) async fn send(&self, channel: u8, bytes: impl Into<Bytes>) -> bool {
        self.0.send(Out::Data(channel, bytes.into())).await.is_ok()
    }

    /// Says that nothing follows.
    pub(super) async fn close(&self) {
        // A client that is gone needs no word.
        let _ = self.0.send(Out::Close).await;
    }

    /// Sends all that can be read.
    pub(super) async fn copy(self, channel: u8, mut reader: Reader) {
        let mut bytes = vec![0; CHUNK];
        while let Ok(count @ 1..) = reader.read(&mut bytes).await {
            if !self.send(channel, bytes[..count].to_vec()).await {
                return;
            }
        }
    }
}

/// The streams of one client.
pub(super) struct Channels {
    /// Sends to the client.
    pub(super) sender: Sender,
    /// What the client sends; ends when it is gone.
    pub(super) receiver: mpsc::Receiver<(u8, Bytes)>,
    /// Ends when all that was sent is on its way.
    pub(super) writing: AbortOnDropHandle<()>,
    _reading: Vec<AbortOnDropHandle<()>>,
}

impl Channels {
    /// The streams of a WebSocket.
    pub(super) fn of_web_socket(socket: WebSocket) -> Self {
        let (sink, stream) = socket.split();
        let (sender, inbox) = mpsc::channel(WAITING);
        let (received, receiver) = mpsc::channel(WAITING);
        let spawn = |task| AbortOnDropHandle::new(task);
        Self {
            sender: Sender(sender),
            receiver,
            writing: spawn(tokio::spawn(write_web_socket(sink, inbox))),
            _reading: vec![spawn(tokio::spawn(read_web_socket(stream, received)))],
        }
    }

    /// The streams of a connection of SPDY, with their numbers.
    pub(super) fn of_spdy(connection: Connection, streams: Vec<(u8, Stream)>) -> Self {
        let (sender, inbox) = mpsc::channel(WAITING);
        let (received, receiver) = mpsc::channel(WAITING);
        let mut outgoing = Vec::new();
        let mut reading = Vec::new();
        for (channel, mut stream) in streams {
            outgoing.push((channel, stream.outgoing));
            let received = received.clone();
            reading.push(AbortOnDropHandle::new(tokio::spawn(async move {
                while let Some(bytes) = stream.incoming.recv().await {
                    if received.send((channel, bytes)).await.is_err() {
                        return;
                    }
                }
                let _ = received.send((CLOSE, Bytes::from(vec![channel]))).await;
            })));
        }
        let writing = tokio::spawn(write_spdy(connection, outgoing, inbox, received));
        Self {
            sender: Sender(sender),
            receiver,
            writing: AbortOnDropHandle::new(writing),
            _reading: reading,
        }
    }
}

async fn write_web_socket(mut sink: SplitSink<WebSocket, Message>, mut inbox: mpsc::Receiver<Out>) {
    while let Some(out) = inbox.recv().await {
        let message = match out {
            Out::Data(channel, bytes) => {
                let mut message = Vec::with_capacity(bytes.len() + 1);
                message.push(channel);
                message.extend_from_slice(&bytes);
                Message::Binary(Bytes::from(message))
            }
            Out::Close => Message::Close(Some(CloseFrame {
                code: close_code::NORMAL,
                reason: Utf8Bytes::default(),
            })),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}

async fn read_web_socket(mut stream: SplitStream<WebSocket>, received: mpsc::Sender<(u8, Bytes)>) {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => continue,
        };
        if let Some(channel) = bytes.first()
            && received.send((*channel, bytes.slice(1..))).await.is_err()
        {
            return;
        }
    }
}

/// `_received` is held until the client is gone or all is sent, so that the receiver ends then.
async fn write_spdy(
    mut connection: Connection,
    outgoing: Vec<(u8, super::spdy::Outgoing)>,
    mut inbox: mpsc::Receiver<Out>,
    _received: mpsc::Sender<(u8, Bytes)>,
) {
    loop {
        let out = tokio::select! {
            out = inbox.recv() => out,
            // No more streams begin; the end means that the client is gone.
            stream = connection.streams.recv() => match stream {
                Some(_) => continue,
                None => return,
            },
        };
        match out {
            Some(Out::Data(channel, bytes)) => {
                let stream = outgoing.iter().find(|(number, _)| *number == channel);
                if let Some((_, stream)) = stream
                    && !bytes.is_empty()
                {
                    stream.send(bytes).await;
                }
            }
            Some(Out::Close) | None => {
                for (_, stream) in &outgoing {
                    stream.finish().await;
                }
                drop(outgoing);
                return connection.close().await;
            }
        }
    }
}
