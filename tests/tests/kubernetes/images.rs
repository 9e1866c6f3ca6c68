//! Algorithms in images of their own, as `katib-config` names them; some of them go wrong.

use diwan_tests::cluster::{Cluster, SYSTEM, names};
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::has_condition;
use diwan_tests::{root, wait_for};
use serde_json::Value;

use crate::Case;
use crate::steps::{condition, delete, trials, with_algorithm, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("an algorithm in an image, with a volume", runs),
    ("algorithms in images that go wrong", goes_wrong),
];

const IMAGE: &str = "diwan.test/suggestion:1";

fn load(cluster: &Cluster) {
    let file = |from: &str, to: &str| format!("{}={to}", root().join(from).display());
    let files = [
        file("examples/custom-algorithm/service.py", "/app/service.py"),
        file("tests/kubernetes/wayward.py", "/app/wayward.py"),
        file("api/proto/proto/api/v1/beta1/api.proto", "/app/api.proto"),
    ];
    cluster.load(IMAGE, "python.sh", &files.each_ref().map(String::as_str));
}

/// Writes `katib-config` with these entries of `runtime.suggestions`, each a YAML mapping.
fn configure(cluster: &Cluster, entries: &[String]) {
    let entries = entries.join("\n        - ");
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: katib-config, namespace: {SYSTEM}}}\n\
         data:\n  katib-config.yaml: |\n    apiVersion: config.kubeflow.org/v1beta1\n    \
         kind: KatibConfig\n    init: {{controller: {{webhookPort: 8443}}}}\n    runtime:\n      \
         suggestions:\n        - {entries}\n"
    );
    cluster.kubectl_with("apply -f -", &map).ok();
}

/// Creates an experiment, again while the controller has not heard of its algorithm.
fn create(cluster: &Cluster, text: &str) {
    wait_for("the experiment to be accepted", || {
        let created = cluster.kubectl_with("create -f -", text);
        let is_known = !created.stderr.contains("algorithmName");
        assert!(created.code == Some(0) || !is_known, "{}", created.stderr);
        is_known.then_some(())
    });
}

fn runs(cluster: &Cluster) {
    load(cluster);
    configure(
        cluster,
        &[format!(
            "{{algorithmName: annealing, image: {IMAGE}, command: [python3, /app/service.py], \
             env: [{{name: PROTO_DIR, value: /app}}, {{name: LISTEN, value: \"0.0.0.0:6789\"}}], \
             resources: {{limits: {{cpu: -1}}}}}}"
        )],
    );
    let experiment = Experiment {
        name: "own",
        max: 3,
        ..Experiment::default()
    };
    let text = with_algorithm(
        &yaml(&experiment),
        "annealing",
        "[{name: random_state, value: \"3\"}]",
    );
    let text = text.replace(
        "  parallelTrialCount",
        "  resumePolicy: FromVolume\n  parallelTrialCount",
    );
    create(cluster, &text);
    let pods = "pods -l katib.kubeflow.org/deployment=own-annealing";
    cluster.await_object("default", pods, "the service", |pods| {
        !names(pods).is_empty()
    });
    let done = cluster.completed("default", "own");
    assert_eq!(done["status"]["trialsSucceeded"], 3, "{done:#}");
    // What answered is gone, what it kept stays.
    let left = || {
        names(&cluster.get(
            "default",
            "deployments,services -l katib.kubeflow.org/experiment=own",
        ))
    };
    wait_for("the service to go", || left().is_empty().then_some(()));
    let claim = cluster.get("default", "pvc/own-annealing");
    assert_eq!(claim["status"]["phase"], "Bound", "{claim:#}");
    let suggestion = cluster.get("default", "suggestion/own");
    assert!(
        condition(&suggestion, "Succeeded").contains("volume is not deleted"),
        "{suggestion:#}"
    );
    cluster
        .kubectl("patch experiment own --type=merge -p {\"spec\":{\"maxTrialCount\":5}}")
        .ok();
    cluster.await_object("default", "experiment/own", "two more trials", |e| {
        e["status"]["trialsSucceeded"] == 5 && has_condition(e, "Succeeded")
    });
    delete(cluster, "own");
    wait_for("all of it to go", || {
        let claims = names(&cluster.get(
            "default",
            "deployments,services,pvc -l katib.kubeflow.org/experiment=own",
        ));
        claims.is_empty().then_some(())
    });
}

fn goes_wrong(cluster: &Cluster) {
    load(cluster);
    let modes = ["hangs", "short", "nonsense", "forgets"];
    let mut entries: Vec<String> = modes
        .iter()
        .map(|mode| {
            format!(
                "{{algorithmName: {mode}, image: {IMAGE}, command: [python3, /app/wayward.py], env: \
                 [{{name: MODE, value: {mode}}}]}}"
            )
        })
        .collect();
    entries.push(format!(
        "{{algorithmName: crashes, image: {IMAGE}, command: [sh, -c, \"echo no such study; exit 1\"]}}"
    ));
    configure(cluster, &entries);
    cluster.set_environment("DIWAN_PATIENCE=15s");
    for mode in modes.into_iter().chain(["crashes"]) {
        let experiment = Experiment {
            name: &format!("it-{mode}"),
            max: if mode == "forgets" { 20 } else { 4 },
            script: "sleep 1; echo loss=$0",
            ..Experiment::default()
        };
        let text = with_algorithm(&yaml(&experiment), mode, "[]").replace(
            "metadata:\n",
            "metadata:\n  annotations: {diwan.dev/suggestion-timeout: 3s}\n",
        );
        create(cluster, &text);
    }
    let ends = |mode: &str, type_: &str, trials_: usize| {
        let name = format!("it-{mode}");
        let done = cluster.completed("default", &name);
        assert!(has_condition(&done, type_), "{done:#}");
        let made = trials(cluster, &name);
        assert_eq!(made.len(), trials_, "{mode}: {made:#?}");
        condition(&done, type_)
    };
    // One whose state is lost is not stuck: in the end the experiment says what is wrong.
    cluster.await_object("default", "experiment/it-forgets", "a trial", |e| {
        e["status"]["trialsSucceeded"].as_i64() > Some(0)
    });
    cluster
        .kubectl("delete pod -l katib.kubeflow.org/suggestion=it-forgets --grace-period=0 --force")
        .ok();
    let why = |name: &str, reason: &str| {
        let what = format!("suggestion/{name}");
        cluster.await_object("default", &what, reason, |suggestion: &Value| {
            condition(suggestion, "DeploymentReady").contains(reason)
        });
    };
    why(
        "it-crashes",
        "container suggestion of pod it-crashes-crashes-",
    );
    ends("hangs", "Succeeded", 4);
    ends("short", "Succeeded", 4);
    let said = ends("nonsense", "Failed", 0);
    assert!(said.contains("for which there is no assignment"), "{said}");
    let forgotten = cluster.completed("default", "it-forgets");
    let said = condition(&forgotten, "Failed");
    assert!(said.contains("is not in the study"), "{forgotten:#}");
    for mode in modes.into_iter().chain(["crashes"]) {
        delete(cluster, &format!("it-{mode}"));
    }
    cluster.set_environment("DIWAN_PATIENCE-");
}
