//! Who may see what, on every route.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{HeaderName, Request},
};
use diwan_ui::{AccessControl, Action, ReviewError, Reviewer};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Answer, NAMESPACE, Server};

/// A namespace beside that of the tests.
const HIDDEN: &str = "kubeflow";
const EXPERIMENT: &str = r"
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: { name: secret }
spec:
  objective: { type: minimize, objectiveMetricName: loss }
  algorithm: { algorithmName: random }
";

/// `root` may do everything; `ada` everything in one namespace, `eve` read there; nobody else
/// anything. The rights of `ada` can be taken back.
#[derive(Default)]
struct Roles {
    ada_left: AtomicBool,
}

#[async_trait]
impl Reviewer for Roles {
    async fn may(&self, user: &str, action: &Action) -> Result<bool, ReviewError> {
        let ours = action.namespace == NAMESPACE;
        match user {
            "root" => Ok(true),
            "ada" => Ok(ours && !self.ada_left.load(Ordering::Relaxed)),
            "eve" => Ok(ours && ["get", "list"].contains(&action.verb) && !action.group.is_empty()),
            "unlucky" => Err(ReviewError("the API server is away".into())),
            _ => Ok(false),
        }
    }
}

fn start() -> (Server, Arc<Roles>) {
    let roles = Arc::new(Roles::default());
    let server = Server::start_with(Some(AccessControl {
        user_header: HeaderName::from_static("kubeflow-userid"),
        user_prefix: String::new(),
        reviewer: roles.clone(),
    }));
    (server, roles)
}

fn request(user: &str, method: &str, path: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method);
    let request = request.uri(format!("{}{path}", diwan_ui::API_BASE));
    let request = request.header("content-type", "application/json");
    let request = match user {
        "" => request,
        user => request.header("kubeflow-userid", user),
    };
    request
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

async fn send(server: &Server, user: &str, method: &str, path: &str, body: &str) -> Answer {
    server.send(request(user, method, path, body)).await
}

/// Every operation of the REST interface, for an object of a namespace.
fn operations(namespace: &str, name: &str) -> Vec<(&'static str, String)> {
    let mut operations = Vec::new();
    for (path, item) in diwan_ui::openapi().paths.paths {
        let path = path.strip_prefix(diwan_ui::API_BASE).expect(&path);
        let path = path.replace("{namespace}", namespace);
        let path = path.replace("{name}", name);
        assert!(!path.contains('{'), "{path}");
        let methods = [
            ("GET", item.get),
            ("POST", item.post),
            ("PUT", item.put),
            ("PATCH", item.patch),
            ("DELETE", item.delete),
        ];
        let there = methods.into_iter().filter(|(_, it)| it.is_some());
        operations.extend(there.map(|(method, _)| (method, path.clone())));
    }
    assert!(operations.len() > 14, "{operations:?}");
    operations
}

#[tokio::test]
async fn nobody_is_served_without_a_name() {
    let (server, _) = start();
    for (method, path) in operations(NAMESPACE, "tune") {
        let answer = send(&server, "", method, &path, EXPERIMENT).await;
        assert_eq!(answer.code, 401, "{method} {path}: {}", answer.text);
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains("kubeflow-userid"), "{message}");
    }
}

#[tokio::test]
async fn a_stranger_is_refused_everywhere_and_learns_nothing() {
    let (server, _) = start();
    server.experiment("tune").await;
    server.trial("tune", "tune").await;
    for (method, path) in operations(NAMESPACE, "tune") {
        if path == "/events" {
            // It does not end; what it tells is another test's.
            continue;
        }
        let answer = send(&server, "mallory", method, &path, EXPERIMENT).await;
        let case = format!("{method} {path}: {}", answer.text);
        match (method, path.as_str()) {
            ("GET", "/namespaces" | "/experiments") => {
                assert_eq!(answer.json(), json!({ "items": [] }), "{case}");
            }
            _ => assert_eq!(answer.code, 403, "{case}"),
        }
    }
    for path in ["/experiments", "/events"] {
        let path = format!("{path}?namespace={NAMESPACE}");
        let answer = send(&server, "mallory", "GET", &path, "").await;
        assert_eq!(answer.code, 403, "{path}: {}", answer.text);
    }
    // Whether the object is there makes no difference.
    for name in ["tune", "none"] {
        for kind in ["experiments", "trials"] {
            let path = format!("/namespaces/{NAMESPACE}/{kind}/{name}");
            let error = send(&server, "mallory", "GET", &path, "").await.json();
            assert_eq!(
                error["error"]["message"],
                format!("user \"mallory\" may not get {kind} in namespace {NAMESPACE}")
            );
        }
    }
    let kept = send(&server, "root", "GET", "/experiments", "")
        .await
        .json();
    assert_eq!(kept["items"].as_array().map(Vec::len), Some(1), "{kept}");
}

#[tokio::test]
async fn what_can_not_be_asked_is_refused() {
    let (server, _) = start();
    for (method, path) in operations(NAMESPACE, "tune") {
        if path == "/events" {
            continue;
        }
        let answer = send(&server, "unlucky", method, &path, EXPERIMENT).await;
        assert_eq!(answer.code, 502, "{method} {path}: {}", answer.text);
        assert!(answer.text.contains("the API server is away"));
    }
}

#[tokio::test]
async fn a_member_sees_the_own_namespace_alone() {
    let (server, _) = start();
    server.experiment("tune").await;
    let path = format!("/experiments?namespace={HIDDEN}");
    let made = send(&server, "root", "POST", &path, EXPERIMENT).await;
    assert_eq!(made.code, 201, "{}", made.text);

    let names = async |user: &str| {
        let list = send(&server, user, "GET", "/experiments", "").await.json();
        let items = list["items"].as_array().expect("a list").clone();
        let names = items.iter().map(|item| item["name"].clone());
        names.collect::<Vec<Value>>()
    };
    assert_eq!(names("ada").await, [json!("tune")]);
    assert_eq!(names("root").await.len(), 2);
    let namespaces = send(&server, "ada", "GET", "/namespaces", "").await.json();
    assert_eq!(namespaces, json!({ "items": [NAMESPACE] }));

    for (method, path) in operations(HIDDEN, "secret") {
        if path.contains(HIDDEN) {
            let answer = send(&server, "ada", method, &path, "{}").await;
            assert_eq!(answer.code, 403, "{method} {path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn the_namespace_that_an_experiment_names_counts() {
    let (server, _) = start();
    let own = format!("/experiments?namespace={NAMESPACE}");
    let named = EXPERIMENT.replace(
        "name: secret",
        &format!("name: secret, namespace: {HIDDEN}"),
    );
    let answer = send(&server, "ada", "POST", &own, &named).await;
    assert_eq!(answer.code, 403, "{}", answer.text);
    let other = format!("/experiments?dryRun=true&namespace={HIDDEN}");
    let answer = send(&server, "ada", "POST", &other, EXPERIMENT).await;
    assert_eq!(answer.code, 403, "{}", answer.text);
    let answer = send(&server, "ada", "POST", &own, EXPERIMENT).await;
    assert_eq!(answer.code, 201, "{}", answer.text);
}

#[tokio::test]
async fn who_may_read_may_not_write_nor_read_logs() {
    let (server, _) = start();
    server.experiment("tune").await;
    server.trial("tune", "tune").await;
    for (method, path) in operations(NAMESPACE, "tune") {
        if path == "/events" {
            continue;
        }
        let answer = send(&server, "eve", method, &path, EXPERIMENT).await;
        let core = path.ends_with("/events") || path.ends_with("/log");
        let allowed = method == "GET" && !core;
        let expected = if allowed { 200 } else { 403 };
        assert_eq!(answer.code, expected, "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_page_is_told_of_namespaces_that_its_user_sees() {
    let (server, roles) = start();
    let page = |user: &str| server.stream(request(user, "GET", "/events", ""));
    let (mut ada, mut mallory, mut root) =
        (page("ada").await, page("mallory").await, page("root").await);
    for page in [&mut ada, &mut mallory, &mut root] {
        let (name, data) = page.next().await.expect("an event");
        assert_eq!((name.as_str(), data.as_str()), ("reload", "{}"));
    }
    let path = format!("/experiments?namespace={HIDDEN}");
    send(&server, "root", "POST", &path, EXPERIMENT).await;
    let (_, told) = root.next().await.expect("an event");
    assert!(told.contains(HIDDEN), "{told}");
    server.experiment("tune").await;
    let (_, told) = ada.next().await.expect("an event");
    assert!(told.contains("tune") && !told.contains(HIDDEN), "{told}");

    root.next().await.expect("an event");
    roles.ada_left.store(true, Ordering::Relaxed);
    server.experiment("later").await;
    let (_, told) = root.next().await.expect("an event");
    assert!(told.contains("later"), "{told}");
    for (who, page) in [("ada", &mut ada), ("mallory", &mut mallory)] {
        let wait = std::time::Duration::from_millis(300);
        let told = tokio::time::timeout(wait, page.next()).await;
        assert!(told.is_err(), "{who}: {told:?}");
    }
}

#[tokio::test]
async fn names_lead_nowhere_else() {
    let server = Server::start();
    for path in [
        "/namespaces/default/experiments/..%2F..%2Fother%2Fexperiments%2Ftune",
        "/namespaces/..%2Fother/experiments/tune",
        "/namespaces/default/trials/tune%3Fx/log",
        "/namespaces/default/trials/a,b/events",
        "/experiments?namespace=a/b",
        "/events?namespace=a/b",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.code, 400, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_form_of_another_site_makes_nothing() {
    let server = Server::start();
    let post = Request::post(format!("{}/experiments", diwan_ui::API_BASE));
    let post = post.header("content-type", "text/plain");
    let answer = server
        .send(post.body(EXPERIMENT.into()).expect("a request"))
        .await;
    assert_eq!(answer.code, 415, "{}", answer.text);
}
