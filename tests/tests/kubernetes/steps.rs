//! What cases do time and again.

use diwan_tests::cluster::{BUSYBOX, Cluster};
use diwan_tests::experiment::Experiment;
use serde_json::Value;

/// The file of an experiment whose trials are containers.
pub(crate) fn yaml(experiment: &Experiment<'_>) -> String {
    let image = format!("image: {BUSYBOX}");
    experiment.yaml().replace("image: none", &image)
}

/// The same file with another algorithm, and with settings as a list in YAML.
pub(crate) fn with_algorithm(yaml: &str, algorithm: &str, settings: &str) -> String {
    let named = format!("algorithmName: {algorithm}\n    algorithmSettings: {settings}\n");
    yaml.replace("algorithmName: random\n", &named)
}

pub(crate) fn create(cluster: &Cluster, experiment: &Experiment<'_>) {
    cluster.kubectl_with("create -f -", &yaml(experiment)).ok();
}

pub(crate) fn trials(cluster: &Cluster, experiment: &str) -> Vec<Value> {
    let selector = format!("trials -l katib.kubeflow.org/experiment={experiment}");
    let list = cluster.get("default", &selector);
    list["items"].as_array().cloned().unwrap_or_default()
}

pub(crate) fn condition(object: &Value, type_: &str) -> String {
    let mut conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let found = conditions.rfind(|c| c["type"] == type_);
    found.map_or_else(String::new, |c| {
        c["message"].as_str().unwrap_or_default().to_owned()
    })
}

/// The value that a trial got for a parameter.
pub(crate) fn assignment(trial: &Value, parameter: &str) -> String {
    let mut assignments = trial["spec"]["parameterAssignments"]
        .as_array()
        .into_iter()
        .flatten();
    let found = assignments.find(|a| a["name"] == parameter);
    let value = found.and_then(|a| a["value"].as_str());
    value.unwrap_or_default().to_owned()
}

/// Deletes an experiment, and waits until it is gone.
pub(crate) fn delete(cluster: &Cluster, experiment: &str) {
    cluster
        .kubectl(&format!("delete experiment {experiment} --timeout=60s"))
        .ok();
}
