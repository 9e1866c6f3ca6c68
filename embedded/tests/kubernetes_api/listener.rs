//! The port: TLS and a token for the API, a signed-in browser for the page.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use diwan_embedded::{BrowserAuth, Credentials, Hosts, listen, serve, service, write_kubeconfig};
use k8s_openapi::api::core::v1::Namespace;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, world};

/// An API behind its port.
pub(crate) struct Port {
    /// The API.
    pub(crate) world: World,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    token: String,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// Opens the port of a fresh API.
pub(crate) async fn port() -> Port {
    let world = world();
    let directory = world.directory.path();
    let credentials = Credentials::open(directory, &[]).unwrap();
    let listener = listen("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
    let address = listener.local_addr().unwrap();
    let path = directory.join("kubeconfig");
    write_kubeconfig(&path, &credentials, &format!("https://{address}")).unwrap();
    let auth = BrowserAuth::open(directory, address.port()).unwrap();
    let token = auth.mint();
    let pages = auth.guard(Router::new().route("/", get(|| async { "the page" })));
    let (stop, hosts) = (CancellationToken::new(), Hosts::new(address.ip(), &[]));
    let api = service(world.api.clone());
    let server = tokio::spawn(serve(
        listener,
        api,
        credentials,
        pages,
        hosts,
        stop.clone(),
    ));
    Port {
        world,
        address,
        token,
        stop,
        server,
    }
}

async fn plain(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_browser_needs_the_printed_address_and_a_known_host() {
    let port = port().await;
    let host = format!("Host: {}", port.address);
    let get = |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\n{headers}");
    let refused = plain(port.address, &get("/", &host)).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let evil = plain(port.address, &get("/", "Host: evil.example")).await;
    assert!(evil.starts_with("HTTP/1.1 403"), "{evil}");
    let path = format!("/?token={}", port.token);
    let signed = plain(port.address, &get(&path, &host)).await;
    assert!(signed.starts_with("HTTP/1.1 303"), "{signed}");
    let cookie = signed
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let page = plain(
        port.address,
        &get("/", &format!("{host}\r\nCookie: {cookie}")),
    )
    .await;
    assert!(page.ends_with("the page"), "{page}");
    let api = plain(
        port.address,
        &get("/api/v1/pods", &format!("{host}\r\nCookie: {cookie}")),
    )
    .await;
    assert!(api.starts_with("HTTP/1.1 404"), "{api}");
}

#[tokio::test]
async fn the_api_needs_the_token_and_tls() {
    use tokio_rustls::{
        TlsConnector,
        rustls::{
            ClientConfig, RootCertStore,
            crypto::ring,
            pki_types::{CertificateDer, ServerName, pem::PemObject},
        },
    };
    let port = port().await;
    let directory = port.world.directory.path();
    let pem = std::fs::read(directory.join("ca.crt")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(std::sync::Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let token = std::fs::read_to_string(directory.join("token")).unwrap();
    for (authorization, objects, health) in [
        (String::new(), "403", "200"),
        ("Authorization: Bearer wrong\r\n".to_owned(), "401", "401"),
        (format!("Authorization: Bearer {token}\r\n"), "200", "200"),
    ] {
        for (path, status) in [
            ("/api/v1/namespaces", objects),
            ("/version", health),
            ("/readyz", health),
        ] {
            let stream = TcpStream::connect(port.address).await.unwrap();
            let name = ServerName::try_from("kubernetes.default.svc").unwrap();
            let mut stream = connector.connect(name, stream).await.unwrap();
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            // The server may end the connection without a TLS goodbye.
            let _ = stream.read_to_string(&mut answer).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{path} {answer}"
            );
        }
    }
}

#[tokio::test]
async fn open_watches_do_not_hold_up_the_end() {
    let port = port().await;
    let namespaces: kube::Api<Namespace> = kube::Api::all(port.world.client.clone());
    assert_eq!(
        namespaces
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
            .items
            .len(),
        5
    );
    let mut idle = TcpStream::connect(port.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    port.stop.cancel();
    port.server.await.unwrap();
}
