//! A real Kubernetes of one node, made by `tests/kubernetes/cluster.sh`, with Diwan installed in it.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kubectl::Kubectl;
use crate::process::run;
use crate::{programs, root, wait_for};

/// The namespace of the installation.
pub const SYSTEM: &str = "kubeflow";
/// The image of trials: a shell and its tools.
pub const BUSYBOX: &str = "diwan.test/busybox:1";

/// The cluster. It ends when the value goes.
pub struct Cluster {
    folder: PathBuf,
    client: Kubectl,
}

impl Cluster {
    /// Starts it with images of what was built.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("diwan-cluster-")
            .tempdir()
            .unwrap()
            .keep();
        let cluster = Self {
            client: Kubectl::new(folder.join("kubeconfig"), &folder),
            folder,
        };
        Self::script("cluster.sh", |command| {
            command.arg("up").arg(&cluster.folder)
        });
        cluster.load_images();
        cluster
    }

    /// Installs as the README says, with the image that was loaded, and waits until it serves.
    pub fn install(&self) {
        self.install_from("install");
        let flows = root().join("tests/kubernetes/flow-schema.yaml");
        self.kubectl(&format!("apply -f {}", flows.display())).ok();
    }

    /// Installs from a folder of `tests/kubernetes`, and waits until it serves.
    pub fn install_from(&self, folder: &str) {
        let folder = root().join("tests/kubernetes").join(folder);
        // A case may have changed something by other means.
        let apply = "apply --server-side --force-conflicts -k";
        self.kubectl(&format!("{apply} {}", folder.display())).ok();
        self.await_controller();
    }

    /// Gives the controller variables (`NAME=VALUE`) or takes them (`NAME-`), and waits until it serves.
    pub fn set_environment(&self, variables: &str) {
        let set = "set env deployment/diwan-controller";
        self.kubectl(&format!("-n {SYSTEM} {set} {variables}")).ok();
        self.await_controller();
    }

    /// The address of this machine, as pods reach it.
    pub fn machine(&self) -> String {
        let settings = fs::read_to_string(self.folder.join("settings")).unwrap();
        let mut lines = settings.lines();
        let address = lines.find_map(|line| line.strip_prefix("address="));
        address.unwrap().to_owned()
    }

    /// Waits until the controller has rolled out.
    pub fn await_controller(&self) {
        self.kubectl(&format!(
            "-n {SYSTEM} rollout status deployment/diwan-controller --timeout=120s"
        ))
        .ok();
    }

    /// The pods of the controller.
    pub fn controllers(&self) -> Vec<String> {
        let pods = self.get(SYSTEM, "pods -l diwan.dev/component=controller");
        names(&pods)
    }

    /// Kills the controller's process as a crash would. The kubelet starts it again.
    pub fn kill_controller(&self) {
        for pod in self.controllers() {
            self.signal(&pod, "SIGKILL");
        }
    }

    /// Sends a signal to the controller's process in a pod.
    pub fn signal(&self, pod: &str, signal: &str) {
        let pod = self.get(SYSTEM, &format!("pod/{pod}"));
        let id = pod["status"]["containerStatuses"][0]["containerID"].as_str();
        let Some(id) = id.and_then(|id| id.strip_prefix("containerd://")) else {
            return;
        };
        let socket = "data/node/run/containerd/containerd.sock";
        let mut kill = Command::new("ctr");
        kill.arg("--address").arg(self.folder.join(socket));
        kill.args(["-n", "k8s.io", "tasks", "kill", "-s", signal, id]);
        // It may be dead already, and wait to be started again.
        let _ = run(&mut kill);
    }

    /// Removes the controller's pods without a farewell, as when their node is lost.
    pub fn remove_controller(&self) {
        for pod in self.controllers() {
            self.kubectl(&format!(
                "-n {SYSTEM} delete pod {pod} --grace-period=0 --force"
            ))
            .ok();
        }
    }

    /// Does something to a component: `stop`, `start`, `pause`, `resume`, `kill`.
    pub fn component(&self, action: &str, component: &str) {
        Self::script("cluster.sh", |command| {
            command.arg(action).arg(&self.folder).arg(component)
        });
    }

    /// Adds nodes whose pods are only said to run.
    pub fn simulate(&self, nodes: u32) {
        Self::script("cluster.sh", |command| {
            let command = command.arg("simulate").arg(&self.folder);
            command.arg(nodes.to_string())
        });
    }

    /// How many requests of the controller's the API server has answered.
    pub fn requests(&self) -> u64 {
        let metrics = self.kubectl("get --raw /metrics").ok();
        let counted = metrics.lines().filter(|line| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
                && line.contains("flow_schema=\"diwan-controller\"")
        });
        let counts = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        counts.sum::<f64>() as u64
    }

    /// Makes an image with a script of `tests/kubernetes`, and puts it where pods find it.
    pub fn load(&self, image: &str, script: &str, arguments: &[&str]) {
        let file = self.folder.join("image.tar");
        Self::script(script, |command| {
            command.arg(image).arg(&file).args(arguments)
        });
        Self::script("cluster.sh", |command| {
            command.arg("load").arg(&self.folder).arg(&file)
        });
        fs::remove_file(&file).unwrap();
    }

    fn load_images(&self) {
        let built = programs().display().to_string();
        self.load("diwan.test/diwan:1", "diwan-image.sh", &[&built]);
        self.load(BUSYBOX, "image.sh", &["--busybox", "--folder", "/tmp"]);
    }

    fn script(name: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) {
        let mut command = Command::new(root().join("tests/kubernetes").join(name));
        arguments(&mut command);
        run(&mut command).ok();
    }

    /// What the cluster and the controller say, for people who look for what went wrong.
    pub fn describe(&self) -> String {
        let logs = format!("-n {SYSTEM} logs deployment/diwan-controller --tail=60");
        let looks = [
            "get experiments,trials,jobs,pods -o wide".to_owned(),
            "get events --sort-by=.lastTimestamp".to_owned(),
            "logs -l katib.kubeflow.org/trial --all-containers --prefix --tail=10".to_owned(),
            format!("-n {SYSTEM} describe pods"),
            format!("{logs} --previous"),
            logs,
        ];
        let said = looks.map(|look| format!("--- {look}\n{}", self.kubectl(&look).stdout));
        said.join("\n")
    }

    /// The folder of the cluster.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until an object is as wanted.
    pub fn await_object(
        &self,
        namespace: &str,
        what: &str,
        why: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        wait_for(why, || Some(self.get(namespace, what)).filter(&is_so))
    }
}

impl Deref for Cluster {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        &self.client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut down = Command::new(root().join("tests/kubernetes/cluster.sh"));
        let ran = run(down.arg("down").arg(&self.folder));
        if ran.code == Some(0) {
            let _ = fs::remove_dir_all(&self.folder);
        } else {
            eprintln!("the cluster did not end: {}{}", ran.stdout, ran.stderr);
        }
    }
}

/// The names of the objects in a list.
pub fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| item["metadata"]["name"].as_str())
        .map(str::to_owned)
        .collect()
}
