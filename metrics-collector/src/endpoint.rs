//! An endpoint that shows metrics, asked over HTTP.

use std::{error::Error, sync::Arc, time::Duration};

use diwan_api::MetricsCollectorSpec;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::any_certificate;

/// How long an answer may be.
const LONGEST: usize = 16 << 20;
/// What is asked for first: both are read.
const ACCEPT: &str = "text/plain;version=0.0.4;q=1,application/openmetrics-text;q=0.5,*/*;q=0.1";

/// Where a trial shows its metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
}

/// An endpoint that can't be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source.httpGet.{field}: {problem}")]
pub struct EndpointError {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl Endpoint {
    /// Takes the endpoint of a specification. `host` is where the trial listens unless the
    /// specification says so; `named` returns the container port of a name.
    pub fn of(
        spec: &MetricsCollectorSpec,
        host: &str,
        named: impl Fn(&str) -> Option<u16>,
    ) -> Result<Self, EndpointError> {
        let refuse = |field, problem: String| EndpointError { field, problem };
        let get = spec
            .source
            .as_ref()
            .and_then(|source| source.http_get.as_ref());
        let get = get.ok_or_else(|| refuse("port", "is missing".to_owned()))?;
        let port = match &get.port {
            IntOrString::Int(number) => u16::try_from(*number).ok(),
            IntOrString::String(name) => name.parse().ok().or_else(|| named(name)),
        };
        let port = port.filter(|port| *port > 0).ok_or_else(|| {
            let problem = format!(
                "{:?} is no port of the container; use 1 to 65535 or its name",
                get.port
            );
            refuse("port", problem)
        })?;
        let tls = match get.scheme.as_deref().unwrap_or_default() {
            "" | "HTTP" | "http" => false,
            "HTTPS" | "https" => true,
            other => {
                return Err(refuse(
                    "scheme",
                    format!("{other:?} is unknown; use HTTP or HTTPS"),
                ));
            }
        };
        let path = get.path.as_deref().unwrap_or("/metrics");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let headers = get.http_headers.iter().flatten();
        Ok(Self {
            tls,
            host: get
                .host
                .clone()
                .filter(|host| !host.is_empty())
                .unwrap_or_else(|| host.to_owned()),
            port,
            path: format!("{slash}{path}"),
            headers: headers
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
        })
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", self.host, self.port, self.path)
    }

    /// Asks once; returns the answer, or why there is none.
    pub async fn get(&self, patience: Duration) -> Result<Bytes, String> {
        let asked = tokio::time::timeout(patience, self.ask());
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
        }
    }

    async fn ask(&self) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        if !self.tls {
            return self.ask_over(stream).await;
        }
        // As with probes of Kubernetes, the certificate is not checked.
        let connector = tokio_rustls::TlsConnector::from(Arc::new(any_certificate::config()?));
        let name = rustls::pki_types::ServerName::try_from(self.host.clone())?;
        self.ask_over(connector.connect(name, stream).await?).await
    }

    async fn ask_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut request = Request::get(&self.path).header("accept", ACCEPT);
        let has_host = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if !has_host {
            request = request.header("host", format!("{}:{}", self.host, self.port));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .header("connection", "close")
            .body(Empty::<Bytes>::new())?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            if response.status() != StatusCode::OK {
                return Err(format!("status {}", response.status()).into());
            }
            Ok(Limited::new(response.into_body(), LONGEST)
                .collect()
                .await?
                .to_bytes())
        };
        let mut exchange = std::pin::pin!(exchange);
        tokio::select! {
            answer = &mut exchange => answer,
            // The connection carries the exchange, and may end before the answer is taken.
            _ = connection => exchange.await,
        }
    }
}
