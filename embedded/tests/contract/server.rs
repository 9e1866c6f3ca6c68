//! The servers that rows are sent to, each by its kubeconfig.

use std::{fs, path::Path, sync::Arc};

use axum::{Router, body::Body};
use base64::{Engine, prelude::BASE64_STANDARD};
use diwan_embedded::{
    Api, BrowserAuth, Credentials, Hosts, Options, listen, serve, service, write_kubeconfig,
};
use http::{Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// A server of the API.
pub(crate) struct Server {
    /// Host and port.
    authority: String,
    /// What authenticates the client.
    token: String,
    /// Knows the certificate of the server.
    tls: TlsConnector,
}

impl Server {
    /// A fresh API of ours behind its port, like the other one without the controllers that make
    /// accounts. It ends with the runtime.
    pub(crate) async fn embedded() -> (Self, TempDir) {
        let directory = TempDir::new().unwrap();
        let path = directory.path();
        let api = Api::open(Options {
            accounts: false,
            ..Options::new(path)
        })
        .unwrap();
        let credentials = Credentials::open(path, &[]).unwrap();
        let listener = listen("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let address = listener.local_addr().unwrap();
        let kubeconfig = path.join("kubeconfig");
        write_kubeconfig(&kubeconfig, &credentials, &format!("https://{address}")).unwrap();
        let auth = BrowserAuth::open(path, address.port()).unwrap();
        tokio::spawn(serve(
            listener,
            service(api),
            credentials,
            auth.guard(Router::new()),
            Hosts::new(address.ip(), &[]),
            CancellationToken::new(),
        ));
        (Self::of(&kubeconfig), directory)
    }

    /// The server and the user of a kubeconfig.
    pub(crate) fn of(kubeconfig: &Path) -> Self {
        let text = fs::read_to_string(kubeconfig).unwrap();
        let config: Value = serde_saphyr::from_str(&text).unwrap();
        let cluster = &config["clusters"][0]["cluster"];
        let address = cluster["server"].as_str().unwrap();
        let certificate = cluster["certificate-authority-data"].as_str().unwrap();
        let certificate = BASE64_STANDARD.decode(certificate).unwrap();
        let mut roots = RootCertStore::empty();
        for certificate in rustls::pki_types::pem::PemObject::pem_slice_iter(&certificate) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let token = config["users"][0]["user"]["token"].as_str().unwrap();
        Self {
            authority: address.strip_prefix("https://").unwrap().to_owned(),
            token: token.to_owned(),
            tls: TlsConnector::from(Arc::new(tls)),
        }
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Response<Body> {
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
