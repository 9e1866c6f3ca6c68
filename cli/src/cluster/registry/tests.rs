//! Against a little registry of our own.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;

/// What the registry wants to see.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::cluster) enum Door {
    Open,
    Token,
    Password,
}

#[derive(Clone)]
pub(in crate::cluster) struct Registry {
    door: Door,
    pub(in crate::cluster) address: String,
    pub(in crate::cluster) asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// A registry with the image `team/train:1`.
    pub(in crate::cluster) async fn start(door: Door) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = Self {
            door,
            address: listener.local_addr().unwrap().to_string(),
            asked: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(registry.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        registry
    }

    pub(in crate::cluster) fn image(&self) -> String {
        format!("{}/team/train:1", self.address)
    }

    fn registries(&self) -> Registries {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Registries::new(vec![self.address.clone()])
    }

    fn credentials(&self, users: &[&str]) -> Credentials {
        let mut credentials = Credentials::default();
        for user in users {
            let login = json!({"username": user, "password": "p"});
            let auths = json!({"auths": {self.address.as_str(): login}}).to_string();
            let data = json!({"data": {".dockerconfigjson": STANDARD.encode(auths)}});
            credentials.add(&serde_json::from_value::<Secret>(data).unwrap());
        }
        credentials
    }

    async fn read(&self, users: &[&str]) -> Result<Image, String> {
        let credentials = self.credentials(users);
        self.registries().read(&self.image(), &credentials).await
    }

    /// What may be wrong with a question, as its answer.
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        let shown = headers.get(AUTHORIZATION);
        let shown = shown.map_or("", |value| value.to_str().unwrap());
        let (wanted, challenge) = match self.door {
            Door::Open => return None,
            Door::Token => {
                let realm = format!("http://{}/token", self.address);
                let challenge = format!("Bearer realm=\"{realm}\",service=\"r\"");
                ("Bearer secret".to_owned(), challenge)
            }
            Door::Password => (password(), "Basic realm=\"r\"".to_owned()),
        };
        let refused = (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]);
        (shown != wanted).then(|| refused.into_response())
    }
}

fn password() -> String {
    format!("Basic {}", STANDARD.encode("good:p"))
}

fn sha(digit: &str) -> String {
    format!("sha256:{}", digit.repeat(64))
}

async fn answer(State(registry): State<Registry>, request: Request) -> Response {
    let uri = request.uri().to_string();
    let asked = format!("{} {uri}", request.method());
    registry.asked.lock().push(asked);
    let headers = request.headers();
    if uri.starts_with("/token") {
        let expected = "/token?scope=repository%3Ateam%2Ftrain%3Apull&service=r";
        let login = headers.get(AUTHORIZATION);
        let is_good = login.is_some_and(|login| *login == password());
        return if uri == expected && is_good {
            json!({"token": "secret"}).to_string().into_response()
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        };
    }
    if uri == "/elsewhere" {
        let config = json!({"config": {"Entrypoint": ["python3", "train.py"], "Cmd": ["-v"]}});
        return config.to_string().into_response();
    }
    if let Some(refusal) = registry.refusal(headers) {
        return refusal;
    }
    let platform = json!({"os": "linux", "architecture": "amd64"});
    let index = json!({"manifests": [{"digest": sha("2"), "platform": platform}]});
    let manifest = json!({"config": {"digest": sha("3")}});
    let path = uri.strip_prefix("/v2/team/train").unwrap_or_default();
    if path == "/manifests/1" {
        let body = if request.method() == Method::HEAD {
            String::new()
        } else {
            index.to_string()
        };
        return ([(DIGEST, sha("1"))], body).into_response();
    }
    if path == format!("/manifests/{}", sha("2")) {
        return manifest.to_string().into_response();
    }
    if path == format!("/blobs/{}", sha("3")) {
        let there = [(LOCATION, "/elsewhere")];
        return (StatusCode::TEMPORARY_REDIRECT, there).into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

fn train() -> Image {
    Image {
        digest: Some(sha("1")),
        program: ImageProgram {
            entrypoint: vec!["python3".to_owned(), "train.py".to_owned()],
            cmd: vec!["-v".to_owned()],
        },
    }
}

#[tokio::test]
async fn an_image_is_read_behind_every_door() {
    for door in [Door::Open, Door::Token, Door::Password] {
        let registry = Registry::start(door).await;
        assert_eq!(registry.read(&["bad", "good"]).await, Ok(train()));
        let credentials = registry.credentials(&["good"]);
        let registries = registry.registries();
        let digest = registries.digest(&registry.image(), &credentials).await;
        assert_eq!(digest, Some(sha("1")));
        let last = registry.asked.lock().last().cloned();
        assert_eq!(last.as_deref(), Some("HEAD /v2/team/train/manifests/1"));
    }
}

#[tokio::test]
async fn who_may_not_read_is_told() {
    for door in [Door::Token, Door::Password] {
        let registry = Registry::start(door).await;
        for users in [&[][..], &["bad"]] {
            let expected = format!("registry {}: it answers 401 Unauthorized", registry.address);
            assert_eq!(registry.read(users).await, Err(expected));
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let registry = Registry::start(Door::Open).await;
    let registries = registry.registries();
    let none = Credentials::default();
    let other = format!("{}/team/train:2", registry.address);
    let expected = format!("registry {}: it answers 404 Not Found", registry.address);
    assert_eq!(registries.read(&other, &none).await, Err(expected));
    assert_eq!(registries.digest(&other, &none).await, None);
}

#[tokio::test]
async fn a_registry_without_tls_is_asked_only_when_a_flag_names_it() {
    let registry = Registry::start(Door::Open).await;
    registry.registries();
    let strict = Registries::new(Vec::new());
    let read = strict
        .read(&registry.image(), &Credentials::default())
        .await;
    let error = read.unwrap_err();
    assert!(
        error.starts_with(&format!("registry {}: ", registry.address)),
        "{error}"
    );
    assert_eq!(*registry.asked.lock(), Vec::<String>::new());
}
