//! Ports of a pod: over channels, two for each port (data and errors), or over streams of SPDY, two for
//! each connection.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::channel::Channels;
use super::spdy::{Connection, Outgoing, Stream};
use crate::pod_streams::{PodStreams, Reader, Writer};

/// How much is read at once.
const CHUNK: usize = 32 << 10;

/// A pod whose ports are forwarded.
pub(super) struct Forward {
    pub(super) streams: Arc<dyn PodStreams>,
    pub(super) pod: Arc<Value>,
}

impl Forward {
    async fn connect(&self, port: u16) -> Result<(Reader, Writer), String> {
        let connected = self.streams.connect(&self.pod, port).await;
        connected.map_err(|message| format!("error forwarding port {port} to pod: {message}"))
    }

    /// Serves one connection to each port until the client is gone or all of them have ended. Each
    /// channel begins with the number of its port.
    pub(super) async fn serve_channels(self, mut channels: Channels, ports: Vec<u16>) {
        let sender = channels.sender.clone();
        let mut writers: Vec<Option<Writer>> = Vec::new();
        let mut copies = JoinSet::new();
        for (port, data) in ports.into_iter().zip((0..u8::MAX - 1).step_by(2)) {
            sender.send(data, port.to_le_bytes().to_vec()).await;
            sender.send(data + 1, port.to_le_bytes().to_vec()).await;
            match self.connect(port).await {
                Ok((reader, writer)) => {
                    writers.push(Some(writer));
                    copies.spawn(sender.clone().copy(data, reader));
                }
                Err(message) => {
                    writers.push(None);
                    sender.send(data + 1, message).await;
                }
            }
        }
        let receive = async {
            while let Some((channel, bytes)) = channels.receiver.recv().await {
                if let Some(slot) = writers.get_mut(usize::from(channel / 2))
                    && channel.is_multiple_of(2)
                    && let Some(writer) = slot
                    && writer.write_all(&bytes).await.is_err()
                {
                    *slot = None;
                }
            }
        };
        tokio::select! {
            () = receive => return,
            () = async { while copies.join_next().await.is_some() {} } => {}
        }
        sender.close().await;
        drop(sender);
        let _ = channels.writing.await;
    }

    /// Serves connections until the client is gone: each has a stream for errors and one for data,
    /// which have one number.
    pub(super) async fn serve_spdy(self, mut connection: Connection) {
        let this = Arc::new(self);
        let mut errors: HashMap<String, Stream> = HashMap::new();
        let mut connections = JoinSet::new();
        while let Some(stream) = connection.streams.recv().await {
            let request = stream.header("requestID").to_owned();
            match stream.header("streamType") {
                "error" => drop(errors.insert(request, stream)),
                "data" => {
                    let error = errors.remove(&request);
                    connections.spawn(Arc::clone(&this).forward(stream, error));
                }
                other => tracing::debug!(kind = other, "a client begins an unknown stream"),
            }
            while connections.try_join_next().is_some() {}
        }
    }

    /// Serves one connection.
    async fn forward(self: Arc<Self>, data: Stream, error: Option<Stream>) {
        let port = data.header("port").parse().unwrap_or_default();
        let outgoing = data.outgoing.clone();
        let outcome = match self.connect(port).await {
            Ok((reader, writer)) => {
                tokio::select! {
                    () = send(reader, &outgoing) => {}
                    () = receive(data.incoming, writer) => {}
                }
                Ok(())
            }
            Err(message) => Err(message),
        };
        if let (Some(error), Err(message)) = (&error, outcome) {
            error.outgoing.send(message.into()).await;
        }
        outgoing.finish().await;
        if let Some(error) = error {
            error.outgoing.finish().await;
        }
    }
}

/// Sends what a pod writes to its end.
async fn send(mut reader: Reader, outgoing: &Outgoing) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(count @ 1..) = reader.read(&mut bytes).await {
        if !outgoing.send(bytes[..count].to_vec().into()).await {
            return;
        }
    }
}

/// Passes on what the client sends; returns when the pod does not take it.
async fn receive(mut incoming: mpsc::Receiver<bytes::Bytes>, mut writer: Writer) {
    while let Some(bytes) = incoming.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // The pod may have more to say when the client has said all.
    let _ = writer.shutdown().await;
    std::future::pending::<()>().await;
}
