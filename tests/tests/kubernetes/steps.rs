//! What cases do time and again.

use diwan_tests::cluster::{BUSYBOX, Cluster, names};
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

/// The same file with one more parameter: a type, and its feasible space in YAML.
pub(crate) fn with_parameter(yaml: &str, name: &str, type_: &str, space: &str) -> String {
    let parameter = format!(
        "    - {{name: {name}, parameterType: {type_}, feasibleSpace: {space}}}\n  trialTemplate:\n"
    );
    let reference = format!("    trialParameters:\n      - {{name: {name}, reference: {name}}}\n");
    let text = yaml
        .replace("  trialTemplate:\n", &parameter)
        .replace("    trialParameters:\n", &reference);
    // A further argument of the script, which is the last of the file.
    format!("{text}                - ${{trialParameters.{name}}}\n")
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

/// An experiment of a few waves of trials, to be troubled meanwhile.
pub(crate) fn short(name: &str) -> Experiment<'_> {
    Experiment {
        name,
        max: 9,
        parallel: 3,
        script: "sleep 1; echo loss=$0",
        ..Experiment::default()
    }
}

/// Runs an experiment during which something happens to the cluster: it ends with each trial once,
/// each with its own value, and no trial was run twice.
pub(crate) fn endures(cluster: &Cluster, experiment: &Experiment<'_>, trouble: impl FnOnce()) {
    let (name, max) = (experiment.name, experiment.max as usize);
    cluster
        .kubectl_with("create -f -", &retained(&yaml(experiment)))
        .ok();
    let what = format!("experiment/{name}");
    cluster.await_object("default", &what, "a first trial", |object| {
        object["status"]["trialsSucceeded"].as_i64() > Some(0)
    });
    trouble();
    let done = cluster.completed("default", name);
    assert_eq!(done["status"]["trialsSucceeded"], max, "{done:#}");
    let trials = trials(cluster, name);
    assert_eq!(trials.len(), max);
    for trial in &trials {
        let metric = &trial["status"]["observation"]["metrics"][0];
        assert_eq!(metric["latest"], assignment(trial, "x"));
    }
    for kind in ["jobs", "pods"] {
        let selector = format!("{kind} -l katib.kubeflow.org/experiment={name}");
        let found = names(&cluster.get("default", &selector));
        assert_eq!(found.len(), max, "{found:?}");
    }
    delete(cluster, name);
}

/// The same file, with what ran its trials kept.
pub(crate) fn retained(yaml: &str) -> String {
    yaml.replace("  trialTemplate:\n", "  trialTemplate:\n    retain: true\n")
}

/// A number of the environment, by which a case is made longer.
pub(crate) fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Deletes an experiment, and waits until it is gone.
pub(crate) fn delete(cluster: &Cluster, experiment: &str) {
    cluster
        .kubectl(&format!("delete experiment {experiment} --timeout=60s"))
        .ok();
}
