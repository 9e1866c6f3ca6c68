//! The webhooks behind HTTPS: of admission, the functions that the embedded API calls, and of
//! conversion.
//!
//! The API server does not say who it is, so whoever reaches the port can ask, with an object of any
//! namespace. An answer therefore holds little that the question does not: templates that are meant
//! for all, and what is collected from a trial that is named.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diwan_api::crd::CONVERT;
use diwan_api::trial_template::ConfigMapSource;
use diwan_api::validation::TemplateText;
use diwan_controller::admission::Denied;
use diwan_controller::admission::experiment::mutate_experiment;
use diwan_controller::admission::injection::{Injection, inject};
use kube::Client;
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::authority::Certificate;
use super::conversion::{self, ConfigMapText};
use super::entry_points::EntryPoints;
use super::owners::Owners;
use crate::katib_config::Collectors;
use crate::port::rules::Rules;

/// Where the webhooks answer.
pub(super) const MUTATE_EXPERIMENT: &str = "/mutate-experiment";
pub(super) const VALIDATE_EXPERIMENT: &str = "/validate-experiment";
pub(super) const MUTATE_POD: &str = "/mutate-pod";

/// A review holds an object twice; etcd's limit for one is smaller.
const LARGEST_REVIEW: usize = 16 << 20;
/// How many connections may wait to be served.
const BACKLOG: usize = 64;

/// What the webhooks need.
#[derive(Clone)]
pub(super) struct Webhooks {
    /// For templates in ConfigMaps.
    pub(super) client: Client,
    /// What is asked of experiments.
    pub(super) rules: Rules,
    /// What is put into pods.
    pub(super) injection: Injection,
    /// What collectors run with now.
    pub(super) collectors: Collectors,
    /// What runs in containers that name no command.
    pub(super) entry_points: Arc<EntryPoints>,
    /// Whose pods are that don't say it.
    pub(super) owners: Arc<Owners>,
}

impl Webhooks {
    /// Answers until `stop`.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        certificate: Arc<Certificate>,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let router = Router::new()
            .route(MUTATE_EXPERIMENT, post(mutate_an_experiment))
            .route(VALIDATE_EXPERIMENT, post(validate_an_experiment))
            .route(MUTATE_POD, post(mutate_a_pod))
            .route(CONVERT, post(convert_experiments))
            .layer(DefaultBodyLimit::max(LARGEST_REVIEW))
            .with_state(Arc::new(self));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(certificate);
        let listener = TlsListener::new(listener, TlsAcceptor::from(Arc::new(config)))?;
        axum::serve(listener, router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
    }

    /// The text that `spec.trialTemplate.configMap` refers to.
    async fn template(&self, experiment: &Value) -> Option<ConfigMapText> {
        let source = experiment.pointer("/spec/trialTemplate/configMap")?;
        let source: ConfigMapSource = serde_json::from_value(source.clone()).ok()?;
        let text = conversion::config_map_text(&self.client, &source);
        let text = text.await.ok()??;
        let is_own = experiment["metadata"]["namespace"] == *source.config_map_namespace;
        (text.is_for_all || is_own).then_some(text)
    }
}

type App = State<Arc<Webhooks>>;

async fn mutate_an_experiment(Json(review): Json<Value>) -> Json<Value> {
    let creating = review["request"]["operation"] == "CREATE";
    let before = &review["request"]["object"];
    let mut after = before.clone();
    let mutated = mutate_experiment(&mut after, creating);
    Json(answer(&review, mutated.map(|()| patch(before, &after))))
}

async fn validate_an_experiment(State(app): App, Json(review): Json<Value>) -> Json<Value> {
    let request = &review["request"];
    let template = app.template(&request["object"]).await;
    let old = Some(&request["oldObject"]).filter(|old| !old.is_null());
    let checked = app
        .rules
        .check(&request["object"], old, known(template.as_ref()));
    let accepted = checked.is_ok();
    let mut answer = answer(&review, checked.map(|()| Vec::new()));
    if accepted {
        answer["response"]["warnings"] = json!(app.rules.warnings(&request["object"]));
    }
    Json(answer)
}

/// Errors quote a template: that of a namespace is not for everybody who says he writes there.
fn known(template: Option<&ConfigMapText>) -> TemplateText<'_> {
    match template {
        Some(template) if template.is_for_all => TemplateText::Known(&template.text),
        Some(_) => TemplateText::Withheld,
        None => TemplateText::Missing,
    }
}

async fn mutate_a_pod(State(app): App, Json(review): Json<Value>) -> Json<Value> {
    let before = &review["request"]["object"];
    let mut after = before.clone();
    let namespace = review["request"]["namespace"].as_str().unwrap_or_default();
    app.owners.mark(&mut after, namespace).await;
    app.entry_points.give(&mut after, namespace).await;
    let injection = Injection {
        collectors: app.collectors.read().clone(),
        ..app.injection.clone()
    };
    inject(&mut after, namespace, &injection);
    Json(answer(&review, Ok(patch(before, &after))))
}

async fn convert_experiments(State(app): App, Json(review): Json<Value>) -> Json<Value> {
    Json(conversion::answer(&app.client, &review).await)
}

/// The AdmissionReview that answers another.
fn answer(review: &Value, result: Result<Vec<Value>, Denied>) -> Value {
    let uid = &review["request"]["uid"];
    let response = match result {
        Ok(patch) if patch.is_empty() => json!({"uid": uid, "allowed": true}),
        Ok(patch) => json!({
            "uid": uid,
            "allowed": true,
            "patchType": "JSONPatch",
            "patch": STANDARD.encode(Value::Array(patch).to_string()),
        }),
        Err(denied) => json!({"uid": uid, "allowed": false, "status": status(&denied)}),
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

/// Why an object is refused, with a cause for each field.
fn status(denied: &Denied) -> Value {
    let message = denied.to_string();
    match denied {
        Denied::Fields(errors) => {
            let cause = |error: &diwan_api::FieldError| json!({"reason": error.kind.reason(), "field": error.field, "message": error.message()});
            let causes: Vec<Value> = errors.0.iter().map(cause).collect();
            json!({
                "code": 422, "reason": "Invalid", "message": message,
                "details": {"causes": causes},
            })
        }
        Denied::Unreadable { .. } => {
            json!({"code": 400, "reason": "BadRequest", "message": message})
        }
    }
}

/// The JSON patch between two objects: each of their fields that changed, as a whole.
fn patch(before: &Value, after: &Value) -> Vec<Value> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return Vec::new();
    };
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    let removed = removed.map(|key| json!({"op": "remove", "path": format!("/{key}")}));
    let changed = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| {
        let op = if before.contains_key(key) {
            "replace"
        } else {
            "add"
        };
        json!({"op": op, "path": format!("/{key}"), "value": value})
    });
    removed.chain(changed).collect()
}

/// Connections whose handshake is done. Handshakes go on side by side: a client that says nothing
/// holds nobody up.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(BACKLOG);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = sender.closed() => return,
                };
                let Ok((stream, peer)) = accepted else {
                    tokio::time::sleep(AFTER_REFUSAL).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
                    match shaken {
                        Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
                        Err(_) => tracing::debug!(%peer, "no handshake in time"),
                    }
                });
            }
        });
        Ok(Self { ready, address })
    }
}

/// How long a handshake may take.
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);
/// Pause after the system refused a connection.
const AFTER_REFUSAL: std::time::Duration = std::time::Duration::from_millis(50);

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Nobody accepts any more: the server is told to stop.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use diwan_api::metadata::{ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN};
    use diwan_db_manager::TrialTokens;

    use super::super::fake::FakeApi;
    use super::super::registry::tests::{Door, Registry};
    use super::*;
    use crate::control_plane::Checker;

    fn webhooks(client: Client, insecure: Vec<String>, tokens: Arc<TrialTokens>) -> Arc<Webhooks> {
        Arc::new(Webhooks {
            client: client.clone(),
            rules: Rules {
                suggesters: Arc::default(),
                early_stoppers: Arc::default(),
                hands_checkpoints: true,
            },
            injection: Injection {
                image: "diwan:1".to_owned(),
                pull_policy: "IfNotPresent".to_owned(),
                db_manager: "db:6789".to_owned(),
                collectors: Vec::new(),
            },
            collectors: Collectors::default(),
            entry_points: Arc::new(EntryPoints::new(client.clone(), insecure, tokens.clone())),
            owners: Arc::new(Owners::new(client, tokens)),
        })
    }

    #[test]
    fn a_patch_holds_what_changed() {
        let before = json!({"a": 1, "b": {"c": 2}, "d": 3});
        let after = json!({"a": 1, "b": {"c": 4}, "e": 5});
        let expected = [
            json!({"op": "remove", "path": "/d"}),
            json!({"op": "replace", "path": "/b", "value": {"c": 4}}),
            json!({"op": "add", "path": "/e", "value": 5}),
        ];
        assert_eq!(patch(&before, &after), expected);
        assert_eq!(patch(&before, &before), Vec::<Value>::new());
    }

    #[tokio::test]
    async fn a_trial_s_pod_is_asked_about_its_image_and_then_wrapped() {
        let registry = Registry::start(Door::Open).await;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let api = Checker::start(None).unwrap();
        let tokens = Arc::new(TrialTokens::new(b"key"));
        let insecure = vec![registry.address.clone()];
        let app = webhooks(api.client.clone(), insecure, tokens.clone());
        let plan = json!({
            "trial": "tune-b", "namespace": "team", "primaryContainer": "main",
            "objective": "loss", "objectiveType": "minimize", "spec": {},
        });
        let pod = json!({
            "metadata": {"annotations": {
                ANNOTATION_METRICS_COLLECTOR: plan.to_string(),
                ANNOTATION_TRIAL_TOKEN: tokens.token("team", "tune-b"),
            }},
            "spec": {"containers": [{"name": "main", "image": registry.image()}]},
        });
        let review = json!({"request": {"uid": "u", "namespace": "team", "object": pod}});
        let Json(answer) = mutate_a_pod(State(app), Json(review)).await;
        let patch = answer["response"]["patch"].as_str().unwrap();
        let patch: Value = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        let is_spec = |change: &&Value| change["path"] == "/spec";
        let spec = &patch.as_array().unwrap().iter().find(is_spec).unwrap()["value"];
        let main = &spec["containers"][1];
        let command: Vec<_> = main["command"].as_array().unwrap().iter().collect();
        assert_eq!(command[command.len() - 3..], ["--", "python3", "train.py"]);
        assert_eq!(main["args"], json!(["-v"]));
    }

    #[tokio::test]
    async fn a_template_is_quoted_only_when_it_is_for_all() {
        let said = async |label: &'static str, namespace: &str| {
            let api = FakeApi::new(move |asked| {
                assert_eq!(asked.path, "/api/v1/namespaces/team/configmaps/templates");
                let labels = json!({"katib.kubeflow.org/component": label});
                let metadata = json!({"name": "templates", "labels": labels});
                (200, json!({"metadata": metadata, "data": {"job": "a: ["}}))
            });
            let reference = json!({
                "configMapName": "templates", "configMapNamespace": "team", "templatePath": "job",
            });
            let experiment = json!({
                "metadata": {"name": "e", "namespace": namespace},
                "spec": {"trialTemplate": {
                    "configMap": reference, "trialParameters": [{"name": "x", "reference": "x"}],
                }},
            });
            let review = json!({"request": {"uid": "u", "object": experiment}});
            let tokens = Arc::new(TrialTokens::new(b"key"));
            let app = webhooks(api.client(), Vec::new(), tokens);
            let Json(answer) = validate_an_experiment(State(app), Json(review)).await;
            answer.to_string()
        };
        let (quotes, misses) = ("neither YAML nor JSON", "there is no ConfigMap");
        for (label, namespace, is_quoted, is_missed) in [
            ("trial-templates", "other", true, false),
            ("trial-templates", "team", true, false),
            ("", "team", false, false),
            ("", "other", false, true),
        ] {
            let said = said(label, namespace).await;
            assert!(said.contains("spec.objective"), "{said}");
            assert_eq!(
                said.contains(quotes),
                is_quoted,
                "{label} {namespace}: {said}"
            );
            assert_eq!(
                said.contains(misses),
                is_missed,
                "{label} {namespace}: {said}"
            );
        }
    }

    #[test]
    fn a_refusal_names_each_field() {
        let errors = vec![diwan_api::FieldError::required(
            "spec.parameters",
            "must be given",
        )];
        let denied = Denied::Fields(diwan_api::FieldErrors(errors));
        let review = json!({"request": {"uid": "u"}});
        let answer = answer(&review, Err(denied));
        let response = &answer["response"];
        assert_eq!(
            (&response["uid"], &response["allowed"]),
            (&json!("u"), &json!(false))
        );
        assert_eq!(response["status"]["code"], 422);
        let cause = &response["status"]["details"]["causes"][0];
        assert_eq!(cause["field"], "spec.parameters");
    }
}
