//! An API, a node and the controllers of workloads over a temporary folder.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use diwan_embedded::resource::{JOBS, PODS, Resource};
use diwan_embedded::{Api, DeleteOptions, LogOptions, Options, PodLogs, Status, WatchEvent};
use diwan_node::{Node, NodeOptions, Runtime};
use diwan_workloads::Controllers;
use futures::StreamExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// An API with a node and the controllers of workloads.
pub(crate) struct Cluster {
    pub(crate) folder: TempDir,
    pub(crate) api: Api,
    pub(crate) options: NodeOptions,
    node: Option<Node>,
    workloads: Option<Controllers>,
}

impl Drop for Cluster {
    /// Ends the pods that a test left behind; each has one process that holds it and has the
    /// folder in its arguments.
    fn drop(&mut self) {
        self.kill_node();
        let folder = self.folder.path().to_string_lossy().into_owned();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments);
            let pid = process.file_name().to_string_lossy().parse();
            if let Ok(pid) = pid
                && arguments.contains("\0hold\0")
                && arguments.contains(&folder)
            {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut NodeOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let api = Api::open(Options::new(folder.path())).unwrap();
        let mut options = NodeOptions {
            node_name: "machine".into(),
            data_dir: folder.path().to_path_buf(),
            max_pods: 8,
            runtime: Runtime::Processes,
            images: Vec::new(),
            service_hosts: vec![("katib-db-manager.kubeflow".into(), [127, 0, 0, 1].into())],
            api_address: ("127.0.0.1".into(), 8443),
            ca_pem: "the certificate\n".into(),
            token: Arc::new(|wanted| Some(format!("token of {}", wanted.namespace))),
            environment: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
            working_directory: "/".into(),
            hook: None,
        };
        change(&mut options);
        let mut cluster = Self {
            folder,
            api,
            options,
            node: None,
            workloads: None,
        };
        cluster.start_node().await;
        cluster
    }

    /// Starts a node and the controllers of workloads, as a new process would.
    pub(crate) async fn start_node(&mut self) {
        let node = Node::start(self.api.clone(), self.options.clone())
            .await
            .unwrap();
        self.node = Some(node);
        self.workloads = Some(Controllers::start(&self.api, "machine", self.folder.path()));
    }

    /// Ends the node as kill -9 would: at once, without a word to anybody.
    pub(crate) fn kill_node(&mut self) {
        self.node = None;
        self.workloads = None;
    }

    /// Ends the node as Ctrl-C does.
    pub(crate) async fn stop_node(&mut self) {
        self.workloads = None;
        self.node.take().unwrap().stop(Duration::from_secs(5)).await;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates a pod that runs a shell script once.
    pub(crate) async fn script(&self, name: &str, script: &str) -> Arc<Value> {
        self.pod(name, json!({ "containers": [shell("main", script)] }))
            .await
    }

    /// Creates a pod; its restart policy is Never unless it has one.
    pub(crate) async fn pod(&self, name: &str, mut spec: Value) -> Arc<Value> {
        if spec["restartPolicy"].is_null() {
            spec["restartPolicy"] = json!("Never");
        }
        let pod =
            json!({ "metadata": { "name": name, "labels": { "app": "test" } }, "spec": spec });
        self.api.create(&PODS, "default", pod).await.unwrap()
    }

    pub(crate) async fn job(&self, name: &str, mut spec: Value, script: &str) {
        let mut pod = json!({ "containers": [shell("main", script)] });
        pod["restartPolicy"] = json!("Never");
        if spec["template"].is_null() {
            spec["template"] = json!({ "spec": pod });
        }
        let job = json!({ "metadata": { "name": name }, "spec": spec });
        self.api.create(&JOBS, "default", job).await.unwrap();
    }

    /// Waits until an object is as it should be.
    pub(crate) async fn until(
        &self,
        kind: &'static Resource,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Arc<Value> {
        self.until_in(kind, "default", name, wanted).await
    }

    /// Waits until an object of a namespace, or of none, is as it should be.
    pub(crate) async fn until_in(
        &self,
        kind: &'static Resource,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Arc<Value> {
        let (_, version) = self.api.list(kind, None);
        let mut seen = self.api.get(kind, namespace, name);
        let mut events = pin!(self.api.watch(kind, Some(namespace), version));
        let waiting = async {
            loop {
                if let Some(object) = seen.take().filter(|object| wanted(object)) {
                    return object;
                }
                match events.next().await {
                    Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => {
                        seen = Some(object).filter(|o| o["metadata"]["name"] == name);
                    }
                    other => assert!(matches!(other, Some(WatchEvent::Deleted(_))), "{other:?}"),
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await.ok();
        found.unwrap_or_else(|| panic!("{name} stays {:#?}", self.api.get(kind, namespace, name)))
    }

    /// Waits for a pod's end and returns its phase and the pod.
    pub(crate) async fn ended(&self, name: &str) -> (String, Arc<Value>) {
        let ended = |pod: &Value| {
            matches!(
                pod["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            )
        };
        let pod = self.until(&PODS, name, ended).await;
        (pod["status"]["phase"].as_str().unwrap().to_owned(), pod)
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, kind: &'static Resource, name: &str) {
        self.vanished(kind, "default", name).await;
    }

    /// Waits until an object of a namespace, or of none, is gone.
    pub(crate) async fn vanished(&self, kind: &'static Resource, namespace: &str, name: &str) {
        let (_, version) = self.api.list(kind, None);
        let mut events = pin!(self.api.watch(kind, Some(namespace), version));
        let waiting = async {
            while self.api.get(kind, namespace, name).is_some() {
                events.next().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("the object should go");
    }

    pub(crate) async fn delete(&self, kind: &'static Resource, name: &str) {
        self.api
            .delete(kind, "default", name, DeleteOptions::background())
            .await
            .unwrap();
    }

    pub(crate) async fn log(&self, name: &str) -> String {
        self.log_with(name, None, LogOptions::default())
            .await
            .unwrap()
    }

    pub(crate) async fn log_with(
        &self,
        name: &str,
        container: Option<&str>,
        options: LogOptions,
    ) -> Result<String, Status> {
        let pod = self.api.get(&PODS, "default", name).unwrap();
        let logs = self.logs();
        let chunks = logs.open(&pod, container, options).await?;
        let reading = chunks.fold(Vec::new(), |mut text, chunk| async move {
            text.extend_from_slice(&chunk);
            text
        });
        let text = tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("the log should end");
        Ok(String::from_utf8(text).unwrap())
    }

    pub(crate) fn logs(&self) -> Arc<dyn PodLogs> {
        self.node.as_ref().unwrap().logs()
    }

    /// Waits until a file has a text, by looking: files of pods have no events here.
    pub(crate) async fn file(&self, path: &Path, wanted: impl Fn(&str) -> bool) -> String {
        let waiting = async {
            loop {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                if wanted(&text) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let text = tokio::time::timeout(PATIENCE, waiting).await;
        text.unwrap_or_else(|_| panic!("{} stays as it is", path.display()))
    }
}

/// A container that runs a shell script, which is protected from expansion.
pub(crate) fn shell(name: &str, script: &str) -> Value {
    let script = script.replace('$', "$$");
    json!({ "name": name, "image": "any", "command": ["sh", "-c", script] })
}

/// The state of a pod's first container.
pub(crate) fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

/// Whether a process exists and is not a zombie.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
