//! A fresh API with a client, and a way to wait for what happens later.

use std::{future::Future, time::Duration};

use diwan_embedded::{Api, Options, service};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An API in a directory of its own.
pub(crate) struct World {
    /// The API.
    pub(crate) api: Api,
    /// A client of it.
    pub(crate) client: Client,
    /// Its directory.
    pub(crate) directory: TempDir,
}

/// Makes a fresh API.
pub(crate) fn world() -> World {
    let directory = TempDir::new().unwrap();
    let api = Api::open(Options::new(directory.path())).unwrap();
    let client = Client::new(service(api.clone()), "default");
    World {
        api,
        client,
        directory,
    }
}

/// Waits until `look` finds something. Fails after a time that is long enough for any machine.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    look: impl Fn() -> F,
) -> T {
    let attempts = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), attempts)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// An answer over HTTP.
pub(crate) struct Answer {
    /// The status code.
    pub(crate) code: u16,
    /// The body; null when it is not JSON.
    pub(crate) body: Value,
    /// The warnings.
    pub(crate) warnings: Vec<String>,
}

impl World {
    /// Sends a request as a client would, with a JSON body unless it is null.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_as(method, path, "application/json", "application/json", body)
            .await
    }

    /// Sends a request with a content type and an accepted type.
    pub(crate) async fn ask_as(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        accept: &str,
        body: Value,
    ) -> Answer {
        use http_body_util::BodyExt;
        use tower::ServiceExt;
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("accept", accept)
            .body(http_body_util::Full::new(bytes::Bytes::from(bytes)))
            .unwrap();
        let response = service(self.api.clone()).oneshot(request).await.unwrap();
        let code = response.status().as_u16();
        let warnings = response.headers().get_all("warning").into_iter();
        let warnings = warnings.map(|w| w.to_str().unwrap().to_owned()).collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            code,
            body,
            warnings,
        }
    }
}

/// A ConfigMap.
pub(crate) fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "1" },
    })
}

/// A pod that is not bound to a node.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "containers": [{ "name": "main", "image": "none", "command": ["true"] }] },
    })
}
