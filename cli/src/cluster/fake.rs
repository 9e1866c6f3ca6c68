//! An API server for tests: a function from what is asked to a status and a body.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::{Request, Response};
use kube::Client;
use serde_json::{Value, json};

/// What is asked.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

type Answer = dyn Fn(Asked) -> (u16, Value) + Send + Sync;

/// An API server in process.
pub(crate) struct FakeApi {
    answer: Arc<Answer>,
    asked: Arc<AtomicUsize>,
}

impl FakeApi {
    pub(crate) fn new(answer: impl Fn(Asked) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            asked: Arc::default(),
        }
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn client(&self) -> Client {
        let (answer, asked) = (self.answer.clone(), self.asked.clone());
        let serve = move |request: Request<kube::client::Body>| {
            let answer = answer.clone();
            asked.fetch_add(1, Ordering::Relaxed);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let asked = Asked {
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    body: serde_json::from_slice(&body).unwrap_or_default(),
                };
                let (code, mut body) = answer(asked);
                if code >= 400 {
                    let message = body["message"].as_str().unwrap_or_default().to_owned();
                    body = json!({
                        "kind": "Status", "status": "Failure", "code": code,
                        "message": message, "reason": body["reason"],
                    });
                }
                let response = Response::builder().status(code);
                let response = response.header("content-type", "application/json");
                Ok::<_, Infallible>(response.body(Body::from(body.to_string())).unwrap())
            }
        };
        Client::new(tower::service_fn(serve), "default")
    }
}
