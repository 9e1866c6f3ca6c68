//! A client of the port that sends what it is told to, under any name.

use std::sync::Arc;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use crate::listener::{Port, port};

/// A client of a fresh API's port. Keeps its connection.
pub(crate) struct Door {
    /// The API's port.
    pub(crate) port: Port,
    connector: TlsConnector,
    stream: Option<TlsStream<TcpStream>>,
}

/// An answer.
pub(crate) struct Reply {
    /// The status code.
    pub(crate) code: u16,
    /// The body; null when it is a stream, or not JSON.
    pub(crate) body: Value,
}

impl Reply {
    /// The message of a failure.
    #[track_caller]
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap()
    }
}

/// Opens the port of a fresh API.
pub(crate) async fn door() -> Door {
    let port = port().await;
    let connector = connector(&port, None);
    Door {
        port,
        connector,
        stream: None,
    }
}

fn connector(port: &Port, certificate: Option<(&str, &str)>) -> TlsConnector {
    let pem = std::fs::read(port.world.directory.path().join("ca.crt")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    TlsConnector::from(Arc::new(config))
}

impl Door {
    /// Shows a certificate from now on.
    pub(crate) fn show(&mut self, certificate: &str, key: &str) {
        self.connector = connector(&self.port, Some((certificate, key)));
        self.stream = None;
    }

    /// The token that opens everything.
    pub(crate) fn admin(&self) -> String {
        let path = self.port.world.directory.path().join("token");
        std::fs::read_to_string(path).unwrap()
    }

    /// Sends a request with a JSON body under a token, unless that is empty.
    pub(crate) async fn ask(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Reply {
        self.ask_with(token, &[], method, path, body).await
    }

    /// Sends a request with more headers.
    pub(crate) async fn ask_with(
        &mut self,
        token: &str,
        headers: &[&str],
        method: &str,
        path: &str,
        body: &Value,
    ) -> Reply {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            if method == "PATCH" {
                "application/merge-patch+json"
            } else {
                "application/json"
            },
            body.len()
        );
        if !token.is_empty() {
            head.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        for header in headers {
            head.extend([*header, "\r\n"]);
        }
        let request = format!("{head}\r\n{body}");
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(self.port.address).await.unwrap();
            let name = ServerName::try_from("kubernetes.default.svc").unwrap();
            self.connector.connect(name, stream).await.unwrap()
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        let (reply, whole) = read(&mut stream, method == "HEAD").await;
        if whole {
            self.stream = Some(stream);
        }
        reply
    }
}

/// Reads an answer; a stream is not read to its end, and its connection is of no more use.
async fn read(stream: &mut TlsStream<TcpStream>, head_only: bool) -> (Reply, bool) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(
            stream.read_buf(&mut bytes).await.unwrap() > 0,
            "the answer ends early"
        );
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = name.eq_ignore_ascii_case("content-length");
        length.then(|| value.trim().parse::<usize>().unwrap())
    });
    let null = Reply {
        code,
        body: Value::Null,
    };
    let Some(length) = length else {
        return (null, false);
    };
    if head_only {
        return (null, true);
    }
    while bytes.len() < end + length {
        assert!(
            stream.read_buf(&mut bytes).await.unwrap() > 0,
            "the body ends early"
        );
    }
    let body = serde_json::from_slice(&bytes[end..]).unwrap_or(Value::Null);
    (Reply { code, body }, true)
}
