//! An HTTP request as the kubelet makes it: only the status of the answer counts.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::{connect, port};

/// The first line of an answer is not longer.
const LONGEST_LINE: usize = 1024;

/// Sends the request; `pod` is the pod's address.
///
/// # Errors
/// Nobody answers, or not with a status from 200 to 399.
pub(crate) async fn get(
    action: &HTTPGetAction,
    container: &Container,
    pod: &str,
) -> Result<(), String> {
    let host = action.host.as_deref().unwrap_or(pod);
    let port = port(&action.port, container)?;
    let failed = |error: String| format!("Get {:?}: {error}", url(action, container, pod));
    let stream = connect(host, port).await.map_err(failed)?;
    let text = request(action, host, port);
    let answer = if is_https(action) {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| failed(e.to_string()))?;
        let connector = TlsConnector::from(Arc::new(anybody().map_err(|e| failed(e.to_string()))?));
        match connector.connect(name, stream).await {
            Ok(stream) => exchange(stream, &text).await,
            Err(error) => Err(error),
        }
    } else {
        exchange(stream, &text).await
    };
    let line = answer.map_err(|e| failed(e.to_string()))?;
    match status(&line) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("HTTP probe failed with statuscode: {code}")),
        None => Err(failed(format!("malformed HTTP response {line:?}"))),
    }
}

/// What is asked, for people.
pub(super) fn url(action: &HTTPGetAction, container: &Container, pod: &str) -> String {
    let scheme = if is_https(action) { "https" } else { "http" };
    let host = action.host.as_deref().unwrap_or(pod);
    let port = port(&action.port, container).unwrap_or_default();
    format!("{scheme}://{host}:{port}{}", path(action))
}

fn is_https(action: &HTTPGetAction) -> bool {
    action.scheme.as_deref() == Some("HTTPS")
}

fn path(action: &HTTPGetAction) -> String {
    let path = action.path.as_deref().unwrap_or_default();
    format!("/{}", path.trim_start_matches('/'))
}

/// The text of the request.
fn request(action: &HTTPGetAction, host: &str, port: u16) -> String {
    let headers = action.http_headers.iter().flatten();
    let has = |name: &str| headers.clone().any(|h| h.name.eq_ignore_ascii_case(name));
    let mut text = format!("GET {} HTTP/1.1\r\n", path(action));
    let defaults = [
        ("Host", format!("{host}:{port}")),
        ("User-Agent", "kube-probe/1.36".to_owned()),
        ("Accept", "*/*".to_owned()),
    ];
    // Writing to a text never fails.
    for (name, value) in defaults.iter().filter(|(name, _)| !has(name)) {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    for header in headers.clone() {
        let _ = write!(text, "{}: {}\r\n", header.name, header.value);
    }
    text.push_str("Connection: close\r\n\r\n");
    text
}

/// Sends a request and returns the first line of the answer.
async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> std::io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut line = Vec::new();
    while line.len() < LONGEST_LINE && !line.contains(&b'\n') {
        let mut bytes = [0; 256];
        match stream.read(&mut bytes).await? {
            0 => break,
            count => line.extend_from_slice(&bytes[..count]),
        }
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    if line.is_empty() {
        return Err(std::io::Error::other("EOF"));
    }
    Ok(line.lines().next().unwrap_or_default().to_owned())
}

/// The status in the first line of an answer.
fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    version.starts_with("HTTP/1.").then_some(())?;
    rest.get(..3)?.parse().ok()
}

/// TLS that trusts anybody, as probes do.
fn anybody() -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    Ok(config)
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_has_the_headers_of_the_kubelet_and_the_probe_s() {
        let action = json!({
            "port": 80, "path": "ready?x=1",
            "httpHeaders": [{ "name": "host", "value": "a" }, { "name": "X", "value": "y" }],
        });
        let action: HTTPGetAction = serde_json::from_value(action).unwrap();
        assert_eq!(
            request(&action, "127.0.0.1", 80),
            "GET /ready?x=1 HTTP/1.1\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n\
             host: a\r\nX: y\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn the_status_is_in_the_first_line() {
        assert_eq!(status("HTTP/1.1 204 No Content"), Some(204));
        assert_eq!(status("HTTP/1.0 404"), Some(404));
        assert_eq!(status("SSH-2.0-OpenSSH"), None);
    }
}
