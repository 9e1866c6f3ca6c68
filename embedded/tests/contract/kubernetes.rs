//! A real kube-apiserver.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tempfile::TempDir;

use crate::server::Server;

/// A kube-apiserver that runs: one of its own, or that of the kubeconfig in CONTRACT_KUBECONFIG.
pub(crate) struct Kubernetes {
    kubeconfig: PathBuf,
    folder: Option<TempDir>,
}

impl Kubernetes {
    /// Starts etcd and kube-apiserver.
    pub(crate) fn start() -> Self {
        if let Some(path) = env::var_os("CONTRACT_KUBECONFIG") {
            return Self {
                kubeconfig: path.into(),
                folder: None,
            };
        }
        let folder = TempDir::new().unwrap();
        cluster(&["up"], folder.path(), &["--api-only"]);
        Self {
            kubeconfig: folder.path().join("kubeconfig"),
            folder: Some(folder),
        }
    }

    /// The server, with the kinds of ours.
    pub(crate) async fn server(&self) -> Server {
        let server = Server::of(&self.kubeconfig);
        install(&server).await;
        server
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            cluster(&["down"], folder.path(), &[]);
        }
    }
}

fn cluster(command: &[&str], folder: &Path, options: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/kubernetes/cluster.sh");
    let status = Command::new(script)
        .args(command)
        .arg(folder)
        .args(options)
        .status();
    assert!(status.unwrap().success(), "cluster.sh {command:?} failed");
}

/// Brings the kinds of ours, and waits until they are served.
async fn install(server: &Server) {
    const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for definition in diwan_api::crd::crds() {
        let body = serde_json::to_string(&definition).unwrap();
        let (code, answer) = ask(server, "POST", DEFINITIONS, body).await;
        assert!(matches!(code, 201 | 409), "{answer}");
    }
    let served = async {
        loop {
            let (_, list) = ask(server, "GET", DEFINITIONS, String::new()).await;
            let established = list
                .matches(r#""type":"Established","status":"True""#)
                .count();
            let (code, kinds) =
                ask(server, "GET", "/apis/kubeflow.org/v1beta1", String::new()).await;
            let all = ["experiments/status", "suggestions/status", "trials/status"];
            if code == 200 && established == 3 && all.iter().all(|kind| kinds.contains(kind)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), served)
        .await
        .unwrap();
}

async fn ask(server: &Server, method: &str, path: &str, body: String) -> (u16, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Body::from(body))
        .unwrap();
    let response = server.send(request).await;
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (code, String::from_utf8(bytes.to_vec()).unwrap())
}
