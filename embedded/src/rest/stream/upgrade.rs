//! How a request becomes a connection: WebSocket, SPDY, or SPDY within WebSocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use futures::{Sink as _, Stream as _};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::spdy::Connection;
use crate::status::Status;

/// The protocol of the older clients.
const SPDY: &str = "SPDY/3.1";
/// The header with which they say what they speak over it.
const VERSION: &str = "x-stream-protocol-version";

/// The WebSocket that a client asks for.
pub(super) async fn web_socket(parts: &mut Parts) -> Result<WebSocketUpgrade, Status> {
    WebSocketUpgrade::from_request_parts(parts, &())
        .await
        .map_err(|_| Status::bad_request("unable to upgrade: missing upgrade headers in request"))
}

/// Whether a client asks for SPDY.
pub(super) fn is_spdy(parts: &Parts) -> bool {
    let wanted = parts.headers.get(header::UPGRADE);
    wanted.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(SPDY.as_bytes()))
}

/// Answers that SPDY is spoken from now on, with the first protocol over it that both know.
pub(super) fn spdy<F>(
    parts: &mut Parts,
    known: &[&'static str],
    serve: impl FnOnce(Connection) -> F + Send + 'static,
) -> Result<Response<Body>, Status>
where
    F: Future<Output = ()> + Send + 'static,
{
    let version = choose(&parts.headers, known).ok_or_else(|| {
        let text = format!("unable to upgrade: server supports {known:?}");
        Status::new(403, "Forbidden", text)
    })?;
    let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        Status::bad_request("unable to upgrade: this connection cannot be upgraded")
    })?;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => serve(Connection::new(TokioIo::new(upgraded))).await,
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(SPDY));
    headers.insert(VERSION, HeaderValue::from_static(version));
    Ok(response)
}

fn choose(headers: &HeaderMap, known: &[&'static str]) -> Option<&'static str> {
    let sent = headers.get_all(VERSION);
    let all = sent.iter().filter_map(|value| value.to_str().ok());
    let wanted: Vec<&str> = all
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect();
    known.iter().copied().find(|known| wanted.contains(known))
}

/// A WebSocket whose messages are pieces of one stream of bytes.
pub(super) struct Tunnel {
    socket: WebSocket,
    rest: Bytes,
}

impl Tunnel {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self {
            socket,
            rest: Bytes::new(),
        }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut socket = Pin::new(&mut self.socket);
        ready!(socket.as_mut().poll_ready(context)).map_err(io::Error::other)?;
        let message = Message::Binary(Bytes::copy_from_slice(bytes));
        socket.start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_flush(context)
            .map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_close(context)
            .map_err(io::Error::other)
    }
}
