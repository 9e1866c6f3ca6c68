//! Trials of a kind that Diwan has never heard of, with a controller of the test's own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use diwan_tests::cluster::{BUSYBOX, Cluster, names};
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::has_condition;
use serde_json::{Value, json};

use crate::Case;
use crate::steps::{assignment, condition, delete, trials, with_algorithm, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    (
        "trials of a kind that was made while Diwan ran",
        runs_another_kind,
    ),
    (
        "trials of a kind whose controller copies no labels",
        runs_a_forgetful_kind,
    ),
];

/// On a namespace: pods that don't say whose they are are asked about.
const INJECTION: &str = "katib.kubeflow.org/metrics-collector-injection";

/// The kind, and the permission to run trials with it.
const DEFINITION: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: trainings.test.example
spec:
  group: test.example
  names: {kind: Training, plural: trainings}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: diwan-trial-kinds-trainings
  labels: {diwan.dev/aggregate-to-trial-kinds: \"true\"}
rules:
  - {apiGroups: [test.example], resources: [trainings], verbs: [get, list, watch, create, delete]}
";

/// What the kind's controller makes of a template.
type MakeWorker = fn(&Value) -> Value;

fn runs_another_kind(cluster: &Cluster) {
    runs(cluster, worker);
}

fn runs_a_forgetful_kind(cluster: &Cluster) {
    let label = |value: &str| {
        let done = cluster.kubectl(&format!("label namespace default {INJECTION}{value}"));
        done.ok();
    };
    label("=enabled");
    runs(cluster, forgetful_worker);
    label("-");
}

fn runs(cluster: &Cluster, make_worker: MakeWorker) {
    cluster.kubectl_with("apply -f -", DEFINITION).ok();
    cluster
        .kubectl("wait --for=condition=Established crd/trainings.test.example --timeout=60s")
        .ok();
    let over = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                bring_forward(cluster, make_worker);
                sleep(Duration::from_millis(300));
            }
        });
        // Also when the case fails; the threads are waited for.
        let _over = Flag(&over);
        experiment_of_trainings(cluster);
    });
    cluster.kubectl_with("delete -f -", DEFINITION).ok();
}

/// Raises a flag when it goes.
struct Flag<'a>(&'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn experiment_of_trainings(cluster: &Cluster) {
    let experiment = Experiment {
        name: "trainings",
        max: 3,
        extra: "maxFailedTrialCount: 2",
        ..Experiment::default()
    };
    let text = with_algorithm(&yaml(&experiment), "grid", "[]")
        .replace("max: \"1\"}", "max: \"2\", step: \"1\"}");
    let (head, _) = text.split_once("    trialSpec:").unwrap();
    let text = format!(
        "{head}    successCondition: status.conditions.#(type==\"Finished\")#|#(status==\"True\")#\n    \
         failureCondition: status.conditions.#(type==\"Broken\")#|#(status==\"True\")#\n    \
         trialSpec:\n      apiVersion: test.example/v1\n      kind: Training\n      spec:\n        \
         worker:\n          metadata: {{labels: {{role: worker}}}}\n          spec:\n            \
         restartPolicy: Never\n            containers:\n              - name: main\n                \
         image: {BUSYBOX}\n                command: [sh, -c, 'echo loss=$0; test $0 != 2']\n                \
         args: [\"${{trialParameters.x}}\"]\n"
    );
    cluster.kubectl_with("create -f -", &text).ok();
    let done = cluster.completed("default", "trainings");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    assert_eq!(done["status"]["trialsFailed"], 1, "{done:#}");
    for trial in trials(cluster, "trainings") {
        let x = assignment(&trial, "x");
        if x.parse() == Ok(2.0) {
            let why = condition(&trial, "Failed");
            assert!(why.contains("it broke"), "{trial:#}");
        } else {
            let metric = &trial["status"]["observation"]["metrics"][0];
            assert_eq!(metric["latest"], *x, "{trial:#}");
        }
    }
    delete(cluster, "trainings");
    assert_eq!(
        names(&cluster.get("default", "trainings")),
        Vec::<String>::new()
    );
}

/// One look of the kind's controller: a bare pod for each object, and the pod's end as its status.
fn bring_forward(cluster: &Cluster, make_worker: MakeWorker) {
    let trainings = cluster.get("default", "trainings");
    let pods = cluster.get("default", "pods -l role=worker");
    let pods = pods["items"].as_array().unwrap();
    for training in trainings["items"].as_array().unwrap() {
        let name = training["metadata"]["name"].as_str().unwrap();
        let pod = pods.iter().find(|pod| pod["metadata"]["name"] == name);
        let Some(pod) = pod else {
            // What is deleted meanwhile is not worth a word.
            let _ = cluster.kubectl_with("create -f -", &make_worker(training).to_string());
            continue;
        };
        let ended = match pod["status"]["phase"].as_str() {
            Some("Succeeded") => ("Finished", "done"),
            Some("Failed") => ("Broken", "it broke"),
            _ => continue,
        };
        if training["status"].is_null() {
            let status = json!({"status": {"conditions": [
                {"type": ended.0, "status": "True", "message": ended.1}
            ]}});
            let patch = format!("patch training {name} --subresource=status --type=merge -p");
            let patch = patch
                .split(' ')
                .map(str::to_owned)
                .chain([status.to_string()]);
            let _ = cluster.command("kubectl").args(patch).output();
        }
    }
}

fn worker(training: &Value) -> Value {
    let template = &training["spec"]["worker"];
    let metadata = &training["metadata"];
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": template["metadata"]["labels"],
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": [{
                "apiVersion": "test.example/v1", "kind": "Training", "controller": true,
                "name": metadata["name"], "uid": metadata["uid"],
            }],
        },
        "spec": template["spec"],
    })
}

/// A pod that has of its template what runs, and not what it was marked with.
fn forgetful_worker(training: &Value) -> Value {
    let mut pod = worker(training);
    pod["metadata"]["labels"] = json!({"role": "worker"});
    pod["metadata"]["annotations"] = Value::Null;
    pod
}
