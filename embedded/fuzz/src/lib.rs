//! What holds for any request. Each target throws bytes at one of these functions; `embedded/tests/seeds.rs`
//! does the same with the seeds and changes of them.
//!
//! No answer is an internal error, none is late, and what was written can be read in every form, written
//! again as it was read, and read once more after a restart.

use std::{cell::RefCell, fmt::Write, time::Duration};

use bytes::Bytes;
use diwan_embedded::{Api, Options, service};
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// After so many inputs the server is opened anew on what they wrote, and then thrown away.
const INPUTS: u32 = 200;
/// What takes so long hangs.
const LONG: Duration = Duration::from_secs(20);

/// Collections that are written to.
const COLLECTIONS: [&str; 14] = [
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/services",
    "/api/v1/namespaces/default/events",
    "/api/v1/namespaces/default/persistentvolumeclaims",
    "/api/v1/namespaces/default/resourcequotas",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apps/v1/namespaces/default/statefulsets",
    "/apis/batch/v1/namespaces/default/jobs",
    "/apis/batch/v1/namespaces/default/cronjobs",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/kubeflow.org/v1beta1/namespaces/default/experiments",
];

const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// A server for some inputs.
struct Server {
    api: Api,
    directory: TempDir,
    inputs: u32,
}

struct Answer {
    code: u16,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an answer in JSON")
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// Runs an input against the server of this thread.
fn with_server<T>(input: impl AsyncFnOnce(&Server) -> T) -> T {
    RUNTIME.with(|runtime| {
        SERVER.with_borrow_mut(|slot| {
            runtime.block_on(async {
                let server = slot.get_or_insert_with(Server::start);
                server.inputs += 1;
                let done = tokio::time::timeout(LONG, input(server))
                    .await
                    .expect("it does not hang");
                if server.inputs < INPUTS {
                    return done;
                }
                let Server { api, directory, .. } = slot.take().expect("it was there");
                drop(api);
                reopen(&directory).await;
                done
            })
        })
    })
}

/// What was written is read after a restart.
async fn reopen(directory: &TempDir) {
    // The garbage collector may still hold the last clone for a moment.
    for _ in 0..1000 {
        match Api::open(Options::new(directory.path())) {
            Ok(_) => return,
            Err(diwan_embedded::OpenError::InUse { .. }) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store was not closed");
}

impl Server {
    fn start() -> Self {
        let directory = TempDir::new().expect("a folder");
        let api = Api::open(Options::new(directory.path())).expect("an empty store");
        Self {
            api,
            directory,
            inputs: 0,
        }
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Answer {
        let Ok(request) = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("accept", accept)
            .body(Full::new(Bytes::copy_from_slice(body)))
        else {
            return Answer {
                code: 400,
                body: b"{}".to_vec(),
            };
        };
        let response = service(self.api.clone())
            .oneshot(request)
            .await
            .expect("infallible");
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a whole body");
        let body = body.to_bytes().to_vec();
        let text = String::from_utf8_lossy(&body);
        // What Kubernetes calls a failure of its own, although a client is to blame: an apply with
        // unknown fields; and, without a reason, a strategic patch that makes no sense.
        let known = code == 504
            || text.contains("failed to create typed patch object")
            || !text.contains(r#""reason":"#);
        assert!(code < 500 || known, "{text}");
        Answer { code, body }
    }

    async fn get(&self, path: &str, accept: &str) -> Answer {
        self.ask("GET", path, "", accept, b"").await
    }

    async fn remove(&self, collection: &str, name: &str) {
        let path = format!("{collection}/{name}?propagationPolicy=Background");
        self.ask("DELETE", &path, "", "", b"").await;
    }

    /// What was just written can be read in every form, and written as it was read.
    async fn check_written(&self, collection: &str, answer: &Answer) {
        let name = answer.json()["metadata"]["name"].clone();
        let Some(name) = name.as_str() else { return };
        // Names of roles may hold whatever a path may, if it is escaped.
        let mut path = format!("{collection}/");
        for byte in name.bytes() {
            let _ = write!(path, "%{byte:02X}");
        }
        let got = self.get(&path, "application/json").await;
        if got.code == 404 {
            // Of an object that was only to be deleted.
            return;
        }
        assert_eq!(got.code, 200, "{path}");
        let object = got.json();
        if object["metadata"]["deletionTimestamp"].is_string() {
            // The garbage collector may take it away meanwhile.
            return;
        }
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
        for accept in [table, partial, "application/yaml"] {
            assert_eq!(
                self.get(&path, accept).await.code,
                200,
                "{accept} of {object}"
            );
        }
        assert_eq!(self.get(collection, table).await.code, 200);
        if object["kind"] == "CustomResourceDefinition" {
            // Its status is written meanwhile, as in Kubernetes.
            return;
        }
        let written = object.to_string();
        let again = self
            .ask("PUT", &path, "application/json", "", written.as_bytes())
            .await;
        assert_eq!(again.code, 200, "{object}: {}", again.json()["message"]);
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let unchanged = version(&again.json()) == version(&object);
        assert!(unchanged, "{object} became {}", again.json());
    }
}

/// The first byte chooses one of some; the rest follows.
fn choose<'a, 'b, T>(from: &'a [T], bytes: &'b [u8]) -> (&'a T, &'b [u8]) {
    match bytes.split_first() {
        Some((first, rest)) => (&from[usize::from(*first) % from.len()], rest),
        None => (&from[0], bytes),
    }
}

/// Objects in JSON, or in the binary form. Whether one was written.
pub fn bodies(bytes: &[u8]) -> bool {
    let (collection, bytes) = choose(&COLLECTIONS, bytes);
    let types = ["application/json", "application/vnd.kubernetes.protobuf"];
    let (content_type, body) = choose(&types, bytes);
    create(collection, content_type, body)
}

/// Objects in YAML. Whether one was written.
pub fn yaml(bytes: &[u8]) -> bool {
    let (collection, body) = choose(&COLLECTIONS, bytes);
    create(collection, "application/yaml", body)
}

fn create(collection: &str, content_type: &str, body: &[u8]) -> bool {
    with_server(async |server| {
        let answer = server.ask("POST", collection, content_type, "", body).await;
        if answer.code == 201 {
            server.check_written(collection, &answer).await;
            let name = answer.json()["metadata"]["name"].clone();
            server
                .remove(collection, name.as_str().unwrap_or_default())
                .await;
        }
        answer.code == 201
    })
}

/// Patches of all kinds on objects of several. Whether one was applied.
pub fn patches(bytes: &[u8]) -> bool {
    let objects = [
        (COLLECTIONS[0], pod()),
        (
            COLLECTIONS[1],
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "1" } }),
        ),
        (
            COLLECTIONS[3],
            json!({
                "apiVersion": "v1", "kind": "Service",
                "spec": { "ports": [{ "port": 80, "name": "a" }], "selector": { "a": "b" } },
            }),
        ),
        (
            COLLECTIONS[9],
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "spec": { "template": { "spec": pod()["spec"] } },
            }),
        ),
        (
            COLLECTIONS[13],
            json!({
                "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
                "spec": { "parameters": [{ "name": "x", "parameterType": "double" }] },
            }),
        ),
    ];
    let ((collection, object), bytes) = choose(&objects, bytes);
    let (content_type, patch) = choose(&PATCHES, bytes);
    with_server(async |server| {
        let mut object = object.clone();
        object["metadata"] = json!({ "name": "patched", "labels": { "a": "b" } });
        let path = format!("{collection}/patched");
        let body = object.to_string();
        // It may be there still, when the last patch gave it a finalizer.
        server
            .ask("POST", collection, "application/json", "", body.as_bytes())
            .await;
        let url = format!("{path}?fieldManager=fuzz&force={}", patch.len() % 2 == 0);
        let url = if *content_type == PATCHES[3] {
            url
        } else {
            path.clone()
        };
        let answer = server.ask("PATCH", &url, content_type, "", patch).await;
        if matches!(answer.code, 200 | 201) {
            server.check_written(collection, &answer).await;
        }
        server.remove(collection, "patched").await;
        answer.code == 200
    })
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "main", "image": "none", "env": [{ "name": "E", "value": "1" }],
                "ports": [{ "containerPort": 80 }],
            }],
            "volumes": [{ "name": "v", "emptyDir": {} }],
        },
    })
}

/// Selectors and the other parameters of lists. Whether there was an answer.
pub fn selectors(bytes: &[u8]) -> bool {
    let parameters = [
        "labelSelector",
        "fieldSelector",
        "continue",
        "resourceVersion",
        "limit",
        "resourceVersionMatch",
    ];
    let (parameter, bytes) = choose(&parameters, bytes);
    let (collection, text) = choose(&COLLECTIONS[..4], bytes);
    let value = text.iter().fold(String::new(), |mut value, byte| {
        // Writing to a string does not fail.
        let _ = write!(value, "%{byte:02X}");
        value
    });
    with_server(async |server| {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a", "labels": { "a": "b" } },
        });
        let body = object.to_string();
        server
            .ask(
                "POST",
                COLLECTIONS[1],
                "application/json",
                "",
                body.as_bytes(),
            )
            .await;
        let url = format!("{collection}?{parameter}={value}");
        server.get(&url, "application/json").await.code == 200
    })
}
