//! One TCP port for two kinds of client: TLS with a token is the Kubernetes API, plain HTTP is
//! the page for a browser.

use std::{
    convert::Infallible, future::Future, io, pin::Pin, sync::Arc, task::Poll, time::Duration,
};

use axum::{Router, body::Body, middleware};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    access::{User, authenticate, certificate_user},
    host_check::{self, Hosts},
    rest::{Service, attributes, reply},
    tls::Credentials,
};

/// The first byte of every TLS connection: a handshake record.
const TLS_HANDSHAKE: u8 = 0x16;
/// A client that says nothing is cut off after this.
const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection (out of descriptors), so as not to spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled; open connections and watches end with it.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    credentials: Credentials,
    browser: Router,
    hosts: Hosts,
    stop: CancellationToken,
) {
    let front = Front {
        acceptor: TlsAcceptor::from(credentials.config()),
        api: Authenticated {
            service,
            certificate: None,
        },
        browser: browser.layer(middleware::from_fn_with_state(hosts, host_check::check)),
    };
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (front, stop) = (front.clone(), stop.clone());
                connections.spawn(async move {
                    let result = tokio::select! {
                        result = front.serve(stream) => result,
                        () = stop.cancelled() => return,
                    };
                    if let Err(error) = result {
                        debug!(%error, "a connection ended early");
                    }
                });
            }
            Err(error) => {
                debug!(%error, "could not accept a connection");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

#[derive(Clone)]
struct Front {
    acceptor: TlsAcceptor,
    api: Authenticated,
    browser: Router,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Front {
    async fn serve(self, stream: TcpStream) -> Result<(), Failure> {
        stream.set_nodelay(true)?;
        let mut first = [0];
        if timeout(FIRST_BYTE_WITHIN, stream.peek(&mut first)).await?? == 0 {
            return Ok(());
        }
        if first[0] == TLS_HANDSHAKE {
            let stream = timeout(FIRST_BYTE_WITHIN, self.acceptor.accept(stream)).await??;
            let mut api = self.api;
            let shown = stream.get_ref().1.peer_certificates();
            let shown = shown.and_then(<[_]>::first);
            api.certificate = shown
                .and_then(|shown| certificate_user(shown))
                .map(Arc::new);
            connection(stream, api).await
        } else {
            connection(stream, self.browser).await
        }
    }
}

async fn connection<S>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: S,
) -> Result<(), Failure>
where
    S: tower::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
        .await
}

/// Finds out who sends a request, and tells the service.
#[derive(Clone)]
struct Authenticated {
    service: Service,
    /// The user of the connection's certificate.
    certificate: Option<Arc<User>>,
}

impl tower::Service<Request<Incoming>> for Authenticated {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let user = attributes(&request).and_then(|asked| {
            authenticate(
                self.service.api(),
                request.headers(),
                self.certificate.as_deref(),
                &asked,
            )
        });
        match user {
            Ok(user) => {
                request.extensions_mut().insert(user);
                self.service.call(request)
            }
            Err(status) => Box::pin(std::future::ready(Ok(reply::failure(&status)))),
        }
    }
}

/// Listens on an address, or, if its port is taken and `next` is set, on the next free one.
pub async fn listen(address: std::net::SocketAddr, next: bool) -> io::Result<TcpListener> {
    let mut port = address.port();
    loop {
        match TcpListener::bind((address.ip(), port)).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && next && port < u16::MAX => {
                port += 1;
            }
            result => return result,
        }
    }
}
