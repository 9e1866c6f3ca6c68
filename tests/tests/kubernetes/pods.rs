//! What else is in a trial's pod, and what becomes of pods that fail.

use diwan_tests::cluster::{BUSYBOX, Cluster};
use diwan_tests::experiment::Experiment;
use diwan_tests::wait_for;

use crate::Case;
use crate::steps::{assignment, condition, create, delete, trials, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("a sidecar of somebody else's ends with the trial", sidecars),
    ("a trial runs in a shell, as with Katib", shell),
    ("a trial tells of its pods that failed", retries),
];

const INIT: &str = "            initContainers:
              - {name: prepare, image: BUSYBOX, command: ['true']}
              - name: mesh
                image: BUSYBOX
                restartPolicy: Always
                command: [sh, -c, \"trap 'exit 0' TERM; sleep 1000 & wait\"]
";

fn sidecars(cluster: &Cluster) {
    let experiment = Experiment {
        name: "sidecars",
        max: 2,
        ..Experiment::default()
    };
    let init = INIT.replace("BUSYBOX", BUSYBOX);
    let text = yaml(&experiment);
    let text = text.replace(
        "            containers:\n",
        &format!("{init}            containers:\n"),
    );
    cluster.kubectl_with("create -f -", &text).ok();
    observed(cluster, "sidecars", 2);
}

fn shell(cluster: &Cluster) {
    let experiment = Experiment {
        name: "shell",
        max: 2,
        ..Experiment::default()
    };
    let text = yaml(&experiment);
    let (head, _) = text.split_once("                command:").unwrap();
    let text = format!("{head}                command: [echo, \"loss=${{trialParameters.x}}\"]\n");
    let annotated =
        "        template:\n          metadata: {annotations: {diwan.dev/wrap: shell}}\n";
    let text = text.replace("        template:\n", annotated);
    cluster.kubectl_with("create -f -", &text).ok();
    observed(cluster, "shell", 2);
}

/// Waits for an experiment whose trials report x, and deletes it.
fn observed(cluster: &Cluster, name: &str, max: usize) {
    let done = cluster.completed("default", name);
    assert_eq!(done["status"]["trialsSucceeded"], max, "{done:#}");
    for trial in trials(cluster, name) {
        let metric = &trial["status"]["observation"]["metrics"][0];
        assert_eq!(metric["latest"], assignment(&trial, "x"), "{trial:#}");
    }
    delete(cluster, name);
}

fn retries(cluster: &Cluster) {
    let experiment = Experiment {
        name: "retries",
        max: 1,
        parallel: 1,
        retries: 1,
        script: "echo no luck; exit 3",
        extra: "maxFailedTrialCount: 1",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let said = wait_for("word of the pod that failed", || {
        let trials = trials(cluster, "retries");
        let said = trials.first().map(|trial| condition(trial, "Running"))?;
        said.contains("has failed").then_some(said)
    });
    assert!(
        said.starts_with("1 pod has failed, and the run tries again (the run gives up after 2)"),
        "{said}"
    );
    assert!(said.ends_with("ended with exit code 3: no luck"), "{said}");
    delete(cluster, "retries");
}
