//! The servers that rows are sent to.

use std::sync::Arc;

use axum::body::Body;
use diwan_embedded::{Api, Options, Service, service};
use http::{Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

/// A server of the API.
pub(crate) enum Server {
    /// This one, without a socket.
    Embedded(Service),
    /// Another one.
    Remote(Remote),
}

/// A server over TLS.
pub(crate) struct Remote {
    /// Host and port.
    pub(crate) authority: String,
    /// What authenticates the client.
    pub(crate) token: String,
    /// Knows the certificate of the server.
    pub(crate) tls: TlsConnector,
}

impl Server {
    /// A fresh API of ours, like the other one without the controllers that make accounts.
    pub(crate) fn embedded() -> (Self, TempDir) {
        let directory = TempDir::new().unwrap();
        let api = Api::open(Options {
            accounts: false,
            ..Options::new(directory.path())
        })
        .unwrap();
        (Self::Embedded(service(api)), directory)
    }

    /// A server by its address, the certificate of its authority, and a token.
    pub(crate) fn remote(authority: &str, certificate: &[u8], token: &str) -> Self {
        let certificates = rustls::pki_types::pem::PemObject::pem_slice_iter(certificate);
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self::Remote(Remote {
            authority: authority.to_owned(),
            token: token.to_owned(),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        match self {
            Self::Embedded(service) => service.clone().oneshot(request).await.unwrap(),
            Self::Remote(remote) => remote.send(request).await,
        }
    }
}

impl Remote {
    /// Sends a request on a connection of its own.
    async fn send(&self, mut request: Request<Body>) -> Response<Body> {
        let (host, _) = self.authority.split_once(':').unwrap();
        let socket = TcpStream::connect(&self.authority).await.unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let stream = self.tls.connect(name, socket).await.unwrap();
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.authority.parse().unwrap());
        let bearer = format!("Bearer {}", self.token);
        headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
        sender.send_request(request).await.unwrap().map(Body::new)
    }
}
