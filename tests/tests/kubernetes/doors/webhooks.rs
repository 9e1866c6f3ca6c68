//! The webhooks, asked by somebody who is not the API server: whoever reaches their port is.

use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diwan_tests::cluster::{BUSYBOX, Cluster, SYSTEM};
use diwan_tests::experiment::Experiment;
use diwan_tests::wait_for;
use serde_json::{Value, json};

use super::Team;
use crate::steps::yaml;

pub(super) fn guards(cluster: &Cluster, ours: &Team, theirs: &Team) {
    let service = cluster.get(SYSTEM, "service/diwan-controller");
    let address = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    no_token_is_made(&address, theirs);
    templates_stay_where_they_are(cluster, &address, ours, theirs);
}

fn ask(address: &str, path: &str, review: &Value) -> Value {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--insecure", "--data-binary"]);
    curl.arg(review.to_string());
    curl.args(["--header", "content-type: application/json"]);
    let output = curl
        .arg(format!("https://{address}{path}"))
        .stdin(Stdio::null());
    let output = output.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A pod that says it is another team's trial.
fn no_token_is_made(address: &str, theirs: &Team) {
    let plan = json!({
        "trial": theirs.trial, "namespace": theirs.name, "primaryContainer": "main",
        "objective": "loss", "objectiveType": "minimize", "spec": {},
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"annotations": {"diwan.dev/metrics-collector": plan.to_string()}},
        "spec": {"containers": [{"name": "main", "image": "i", "command": ["run"]}]},
    });
    let request =
        json!({"uid": "u", "operation": "CREATE", "namespace": theirs.name, "object": pod});
    let answer = ask(address, "/mutate-pod", &json!({"request": request}));
    let patch = answer["response"]["patch"].as_str().unwrap();
    let patch = String::from_utf8(STANDARD.decode(patch).unwrap()).unwrap();
    assert!(patch.contains("KATIB_TRIAL_NAME"), "{patch}");
    assert!(patch.contains("metrics-logger-and-collector"), "{patch}");
    assert!(!patch.contains(&theirs.trial_token), "{patch}");
    assert!(!patch.contains("DIWAN_TRIAL_TOKEN"), "{patch}");
}

/// ConfigMaps of another team's: only those that are meant for all are read.
fn templates_stay_where_they_are(cluster: &Cluster, address: &str, ours: &Team, theirs: &Team) {
    let job = format!(
        "{{apiVersion: batch/v1, kind: Job, spec: {{template: {{spec: {{restartPolicy: Never, \
         containers: [{{name: main, image: '{BUSYBOX}', command: [echo, loss=0, \
         '${{trialParameters.x}}', NAME]}}]}}}}}}}}"
    );
    let map = |name: &str, labels: &str| {
        let text = job.replace("NAME", &format!("written-in-{name}"));
        let map = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n\
             data:\n  job.yaml: \"{text}\"\n"
        );
        let apply = format!("-n {} apply -f -", theirs.name);
        cluster.kubectl_with(&apply, &map).ok();
    };
    map("private", "");
    map("public", "katib.kubeflow.org/component: trial-templates");
    convert(address, theirs);

    let file = |name: &str| {
        let text = yaml(&Experiment {
            name: "borrowing",
            namespace: ours.name,
            max: 1,
            parallel: 1,
            ..Experiment::default()
        });
        let (head, _) = text.split_once("    trialSpec:").unwrap();
        format!(
            "{head}    configMap: {{configMapName: {name}, configMapNamespace: {}, templatePath: \
             job.yaml}}\n    successCondition: \
             status.conditions.#(type==\"Complete\")#|#(status==\"True\")#\n    failureCondition: \
             status.conditions.#(type==\"Failed\")#|#(status==\"True\")#\n",
            theirs.name
        )
    };
    let create = format!("--as={} create -f -", ours.name);
    let refusal = cluster.kubectl_with(&create, &file("private")).err();
    let label = "katib.kubeflow.org/component: trial-templates";
    assert!(refusal.contains(label), "{refusal}");
    assert!(!refusal.contains("written-in"), "{refusal}");
    cluster.kubectl_with(&create, &file("public")).ok();
    let done = cluster.completed(ours.name, "borrowing");
    assert_eq!(done["status"]["trialsSucceeded"], 1, "{done:#}");

    // It was meant for all, and no longer is.
    let delete = format!("-n {} delete experiment borrowing --timeout=60s", ours.name);
    cluster.kubectl(&delete).ok();
    let more = file("public").replace("maxTrialCount: 1", "maxTrialCount: 50");
    cluster.kubectl_with(&create, &more).ok();
    let unlabel = "label configmap public katib.kubeflow.org/component-";
    cluster
        .kubectl(&format!("-n {} {unlabel}", theirs.name))
        .ok();
    wait_for("the experiment to say why it stands still", || {
        let events = cluster.get(ours.name, "events").to_string();
        events.contains("without the label").then_some(())
    });
    cluster.kubectl(&delete).ok();
}

/// An experiment of v1alpha3 that says it is the other team's.
fn convert(address: &str, theirs: &Team) {
    let converted = |name: &str| {
        let object = json!({
            "apiVersion": "kubeflow.org/v1alpha3", "kind": "Experiment",
            "metadata": {"name": "e", "namespace": theirs.name, "uid": "u"},
            "spec": {"trialTemplate": {"goTemplate": {"templateSpec": {
                "configMapName": name, "configMapNamespace": theirs.name, "templatePath": "job.yaml",
            }}}},
        });
        let request = json!({
            "uid": "u", "desiredAPIVersion": "kubeflow.org/v1beta1", "objects": [object],
        });
        ask(address, "/convert", &json!({"request": request})).to_string()
    };
    let public = converted("public");
    assert!(public.contains("written-in-public"), "{public}");
    let private = converted("private");
    assert!(private.contains("trial-templates"), "{private}");
    assert!(!private.contains("written-in"), "{private}");
}
