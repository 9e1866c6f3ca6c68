//! A container engine (podman, docker), asked through its socket: what is needed of the API that both
//! speak. The containers themselves are started and followed by the holders of their pods (see the
//! entrypoint's `engine.rs`), so that they go on without this process.

pub(crate) mod create;
pub(crate) mod images;
pub(crate) mod reference;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use self::images::Image;

/// On containers: the data folder of the node that made it.
pub(crate) const DATA: &str = "dev.diwan.data";
/// On containers: the unique identifier of the pod.
pub(crate) const POD: &str = "io.kubernetes.pod.uid";
/// With which a registry is told who asks.
/// So long an engine may take to answer, but for images that it pulls.
const PATIENCE: Duration = Duration::from_mins(2);
const REGISTRY_AUTH: &str = "X-Registry-Auth";

/// An engine that answers.
pub(crate) struct Engine {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// The node's data folder, as containers are labelled with it.
    pub(crate) data: String,
    /// It is podman, which names graphics processors in its own way.
    pub(crate) is_podman: bool,
}

impl Engine {
    /// Asks who is there.
    ///
    /// # Errors
    /// Nobody answers, or not as an engine does.
    pub(crate) async fn connect(socket: &Path, data: &Path) -> Result<Self, String> {
        let mut engine = Self {
            socket: socket.to_path_buf(),
            data: data.display().to_string(),
            is_podman: false,
        };
        let version = engine.read(Method::GET, "/version").await?;
        let parts = version["Components"].as_array().into_iter().flatten();
        engine.is_podman = parts
            .filter_map(|part| part["Name"].as_str())
            .any(|name| name.starts_with("Podman"));
        Ok(engine)
    }

    /// What is known of an image; nothing when it is not there.
    ///
    /// # Errors
    /// The engine says why it does not tell.
    pub(crate) async fn image(&self, name: &str) -> Result<Option<Image>, String> {
        let path = format!("/images/{}/json", encode(name));
        let (status, answer) = self.ask(Method::GET, &path).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(Image::read(&answer))),
            status => Err(refusal(status, &answer)),
        }
    }

    /// Fetches an image; `auth` shows the registry who asks.
    ///
    /// # Errors
    /// The engine says what its registry says.
    pub(crate) async fn pull(&self, name: &str, auth: Option<&str>) -> Result<(), String> {
        let (name, tag) = reference::split(name);
        let (name, tag) = (encode(name), encode(tag));
        let path = format!("/images/create?fromImage={name}&tag={tag}");
        let response = self.send(Method::POST, &path, auth).await?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| self.away(&error))?.to_bytes();
        // A stream of objects; one that fails in the middle has said 200 long before.
        let objects = serde_json::Deserializer::from_slice(&body).into_iter::<Value>();
        for object in objects.map_while(Result::ok) {
            if let Some(error) = object["error"].as_str() {
                return Err(error.trim().to_owned());
            }
            if !status.is_success() {
                return Err(refusal(status, &object));
            }
        }
        if status.is_success() {
            Ok(())
        } else {
            Err(refusal(status, &Value::Null))
        }
    }

    /// Removes what is left of a pod's containers.
    pub(crate) async fn remove_pod(&self, uid: &str) {
        self.remove(|labels| labels[POD] == uid).await;
    }

    /// Removes the containers of this node's pods that a look at their labels tells to.
    pub(crate) async fn remove(&self, unwanted: impl Fn(&Value) -> bool) {
        let found = async {
            let filter = serde_json::json!({ "label": [format!("{DATA}={}", self.data)] });
            let filter = encode(&filter.to_string());
            let path = format!("/containers/json?all=1&filters={filter}");
            self.read(Method::GET, &path).await
        };
        let found = found.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot look for what is left of containers");
            Value::Null
        });
        for container in found.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            if !unwanted(&container["Labels"]) {
                continue;
            }
            let path = format!("/containers/{}?force=1&v=1", encode(id));
            let refused = match self.ask(Method::DELETE, &path).await {
                Ok((status, _)) if status.is_success() || status == StatusCode::NOT_FOUND => None,
                Ok((status, answer)) => Some(refusal(status, &answer)),
                Err(error) => Some(error),
            };
            if let Some(error) = refused {
                tracing::warn!(%error, container = id, "cannot remove what is left of a container");
            }
        }
    }

    async fn read(&self, method: Method, path: &str) -> Result<Value, String> {
        let (status, answer) = self.ask(method, path).await?;
        if status.is_success() {
            Ok(answer)
        } else {
            Err(refusal(status, &answer))
        }
    }

    async fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Value), String> {
        let asked = async {
            let response = self.send(method, path, None).await?;
            let status = response.status();
            let body = response.into_body().collect().await;
            let body = body.map_err(|error| self.away(&error))?.to_bytes();
            Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
        };
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        answer.unwrap_or_else(|_| Err(self.away(&"no answer in two minutes")))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        auth: Option<&str>,
    ) -> Result<Response<Incoming>, String> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| self.away(&error))?;
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| self.away(&error))?;
        // It ends with the answer.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "engine");
        if let Some(auth) = auth {
            request = request.header(REGISTRY_AUTH, auth);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let response = sender.send_request(request).await;
        response.map_err(|error| self.away(&error))
    }

    fn away(&self, error: &impl std::fmt::Display) -> String {
        let socket = self.socket.display();
        format!("the container engine does not answer at {socket}: {error}")
    }
}

/// What an engine says when it refuses.
fn refusal(status: StatusCode, answer: &Value) -> String {
    match answer["message"].as_str() {
        Some(message) => message.trim().to_owned(),
        None => format!("the container engine answers {status}"),
    }
}

/// A text as part of a path or a query.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b':' | b'@' => {
                encoded.push(char::from(byte));
            }
            byte => {
                // Writing to a text can't fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_writes_stays_one_part_of_a_path() {
        let name = "host:5000/team/a@sha256:12";
        assert_eq!(encode(name), name);
        assert_eq!(encode("a?b=c&d e#é"), "a%3Fb%3Dc%26d%20e%23%C3%A9");
    }
}
