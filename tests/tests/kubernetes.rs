//! Diwan on a real Kubernetes: a real API server, kubelet and containers. One cluster for all cases,
//! one after the other; `make test-kubernetes` brings it up and runs them.
//!
//!   cargo test -p diwan-tests --features kubernetes --test kubernetes -- [CASE...]

// A test may fail on the spot; this one is a program that prints how far it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diwan_tests::cluster::{BUSYBOX, Cluster, SYSTEM, names};
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::has_condition;
use diwan_tests::wait_for;
use serde_json::Value;

/// What is tried.
type Case = (&'static str, fn(&Cluster));

/// In this order.
const CASES: [Case; 13] = [
    ("an experiment runs from its YAML to its best trial", runs),
    ("what is wrong with a file is said field by field", refuses),
    (
        "a trial's output is kept word by word, and its exit code",
        keeps,
    ),
    ("files of lines and of JSON are collected", files),
    (
        "a template in a ConfigMap, and metadata of the trial",
        template,
    ),
    ("trials that fall behind are stopped", stops),
    ("a failed trial says why", fails),
    ("others' pods start while the controller is away", spares),
    ("the authority of the webhooks is made anew", rotates),
    (
        "a controller that is killed again and again loses nothing",
        survives,
    ),
    (
        "the API server is killed and started again",
        outlives_the_api,
    ),
    ("etcd stands still for 20 seconds", outlives_etcd),
    ("the kubelet is away for a minute", outlives_the_kubelet),
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let begin = Instant::now();
    let cluster = Cluster::start();
    cluster.install();
    println!(
        "cluster and installation: {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let mut failed = Vec::new();
    for (name, case) in CASES {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let begin = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| case(&cluster)));
        let outcome = if ended.is_ok() { "ok" } else { "FAILED" };
        println!("{name}: {outcome} ({:.1} s)", begin.elapsed().as_secs_f64());
        if ended.is_err() {
            failed.push(name);
            eprintln!(
                "--- log of the controller ---\n{}",
                cluster.controller_log()
            );
        }
    }
    drop(cluster);
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed: {failed:?}");
        ExitCode::FAILURE
    }
}

/// The file of an experiment whose trials are containers.
fn yaml(experiment: &Experiment<'_>) -> String {
    let image = format!("image: {BUSYBOX}");
    experiment.yaml().replace("image: none", &image)
}

fn create(cluster: &Cluster, experiment: &Experiment<'_>) {
    cluster.kubectl_with("create -f -", &yaml(experiment)).ok();
}

fn trials(cluster: &Cluster, experiment: &str) -> Vec<Value> {
    let selector = format!("trials -l katib.kubeflow.org/experiment={experiment}");
    let list = cluster.get("default", &selector);
    list["items"].as_array().cloned().unwrap_or_default()
}

fn condition(object: &Value, type_: &str) -> String {
    let mut conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let found = conditions.rfind(|c| c["type"] == type_);
    found.map_or_else(String::new, |c| {
        c["message"].as_str().unwrap_or_default().to_owned()
    })
}

fn runs(cluster: &Cluster) {
    let experiment = Experiment {
        name: "first",
        max: 4,
        script: "echo loss=9\nsleep 0.3\necho loss=$0",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let done = cluster.completed("default", "first");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");
    assert_eq!(done["status"]["trialsSucceeded"], 4);
    let best = &done["status"]["currentOptimalTrial"];
    let x = &best["parameterAssignments"][0]["value"];
    assert_eq!(best["observation"]["metrics"][0]["min"], *x, "{done:#}");
    for trial in trials(cluster, "first") {
        let metric = &trial["status"]["observation"]["metrics"][0];
        assert_eq!(metric["max"], "9", "{trial:#}");
        assert_eq!(
            metric["latest"],
            trial["spec"]["parameterAssignments"][0]["value"]
        );
    }
    // With its owner goes all that was made for it.
    cluster
        .kubectl("delete experiment first --timeout=60s")
        .ok();
    wait_for("trials and jobs to go", || {
        let jobs = names(&cluster.get("default", "jobs,trials,suggestions"));
        jobs.is_empty().then_some(())
    });
}

fn refuses(cluster: &Cluster) {
    let experiment = Experiment::default();
    let wrong = yaml(&experiment)
        .replace("algorithmName: random", "algorithmName: randm")
        .replace("min: \"0\"", "min: \"2\"");
    let refusal = cluster.kubectl_with("create -f -", &wrong).err();
    for field in [
        "spec.algorithm.algorithmName",
        "spec.parameters[0].feasibleSpace.min",
    ] {
        assert!(refusal.contains(field), "{refusal}");
    }
    assert_eq!(cluster.get("default", "experiment/bowl"), Value::Null);
}

fn keeps(cluster: &Cluster) {
    let experiment = Experiment {
        name: "words",
        max: 1,
        parallel: 1,
        script: "printf 'loss=1\\n'; printf \"it's 'quoted' \\$HOME\\n\" >&2",
        extra: "",
        ..Experiment::default()
    };
    let retained =
        yaml(&experiment).replace("  trialTemplate:\n", "  trialTemplate:\n    retain: true\n");
    cluster.kubectl_with("create -f -", &retained).ok();
    cluster.completed("default", "words");
    let pods = cluster.get("default", "pods -l katib.kubeflow.org/experiment=words");
    let pod = &names(&pods)[0];
    // By default the log is the trial's own; the collector has it too, as clients of Katib expect.
    for log in [
        format!("logs {pod}"),
        format!("logs {pod} -c metrics-logger-and-collector"),
    ] {
        let said = cluster.kubectl(&log).ok();
        let lines: BTreeSet<&str> = said.lines().collect();
        let expected = BTreeSet::from(["loss=1", "it's 'quoted' $HOME"]);
        assert_eq!(lines, expected, "{log}");
    }
    cluster
        .kubectl("delete experiment words --timeout=60s")
        .ok();
}

fn files(cluster: &Cluster) {
    let path = |format: &str| {
        format!(
            "metricsCollectorSpec:\n  collector: {{kind: File}}\n  source:\n    fileSystemPath: \
             {{path: /data/run.log, kind: File, format: {format}}}"
        )
    };
    for (name, format, script) in [
        ("lines", "TEXT", "echo loss=0.25 > /data/run.log"),
        ("objects", "JSON", "echo '{\"loss\": 0.25}' > /data/run.log"),
    ] {
        let experiment = Experiment {
            name,
            max: 1,
            parallel: 1,
            script,
            extra: &path(format),
            ..Experiment::default()
        };
        create(cluster, &experiment);
        let done = cluster.completed("default", name);
        let best = &done["status"]["currentOptimalTrial"]["observation"]["metrics"][0];
        assert_eq!(best["latest"], "0.25", "{done:#}");
        cluster
            .kubectl(&format!("delete experiment {name} --timeout=60s"))
            .ok();
    }
}

fn template(cluster: &Cluster) {
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      \
         containers:\n      - name: main\n        image: {BUSYBOX}\n        command: [sh, -c, 'test \
         \"${{trialParameters.name}}\" = \"$KATIB_TRIAL_NAME\" && echo loss=${{trialParameters.x}}']\n"
    );
    let lines: Vec<&str> = job.lines().collect();
    let indented = format!("      {}\n", lines.join("\n      "));
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: templates\n  namespace: default\n  labels: \
         {{katib.kubeflow.org/component: trial-templates}}\ndata:\n  job.yaml: |\n{indented}"
    );
    cluster.kubectl_with("apply -f -", &map).ok();
    let text = yaml(&Experiment {
        name: "mapped",
        max: 1,
        parallel: 1,
        ..Experiment::default()
    });
    let (head, _) = text.split_once("    trialSpec:").unwrap();
    let text = format!(
        "{head}      - name: name\n        reference: ${{trialSpec.Name}}\n    configMap:\n      \
         configMapName: templates\n      configMapNamespace: default\n      templatePath: job.yaml\n    \
         successCondition: status.conditions.#(type==\"Complete\")#|#(status==\"True\")#\n    \
         failureCondition: status.conditions.#(type==\"Failed\")#|#(status==\"True\")#\n"
    );
    cluster.kubectl_with("create -f -", &text).ok();
    let done = cluster.completed("default", "mapped");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");
    assert_eq!(done["status"]["trialsSucceeded"], 1, "{done:#}");
    cluster
        .kubectl("delete experiment mapped --timeout=60s")
        .ok();
}

fn stops(cluster: &Cluster) {
    // The first of the grid is good; the second is worse and would go on for minutes.
    let experiment = Experiment {
        name: "stopping",
        max: 2,
        parallel: 1,
        script: "for i in 1 2 3; do echo loss=$0; done\n\
                 case $0 in 0*) ;; *) exec sleep 300 ;; esac",
        extra: "earlyStopping:\n  algorithmName: medianstop\n  algorithmSettings:\n  \
                - {name: min_trials_required, value: \"1\"}\n  - {name: start_step, value: \"2\"}",
        ..Experiment::default()
    };
    let ordered = yaml(&experiment)
        .replace("algorithmName: random", "algorithmName: grid")
        .replace("max: \"1\"}", "max: \"1\", step: \"1\"}");
    cluster.kubectl_with("create -f -", &ordered).ok();
    let done = cluster.completed("default", "stopping");
    assert_eq!(done["status"]["trialsEarlyStopped"], 1, "{done:#}");
    assert_eq!(done["status"]["trialsSucceeded"], 1, "{done:#}");
    cluster
        .kubectl("delete experiment stopping --timeout=60s")
        .ok();
}

fn fails(cluster: &Cluster) {
    let experiment = Experiment {
        name: "failing",
        max: 2,
        parallel: 1,
        script: "echo 'the data is missing' >&2\nexit 3",
        extra: "maxFailedTrialCount: 0",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let done = cluster.completed("default", "failing");
    assert!(has_condition(&done, "Failed"), "{done:#}");
    let trial = &trials(cluster, "failing")[0];
    let why = condition(trial, "Failed");
    assert!(why.contains("the data is missing"), "{trial:#}");
    cluster
        .kubectl("delete experiment failing --timeout=60s")
        .ok();
}

fn spares(cluster: &Cluster) {
    cluster
        .kubectl(&format!(
            "-n {SYSTEM} scale deployment/diwan-controller --replicas=0"
        ))
        .ok();
    wait_for("the controller to go", || {
        cluster.controllers().is_empty().then_some(())
    });
    cluster
        .kubectl(&format!(
            "run other --image={BUSYBOX} --restart=Never -- true"
        ))
        .ok();
    cluster.await_object("default", "pod/other", "a pod of somebody else's", |pod| {
        pod["status"]["phase"] == "Succeeded"
    });
    cluster.kubectl("delete pod other").ok();
    cluster
        .kubectl(&format!(
            "-n {SYSTEM} scale deployment/diwan-controller --replicas=1"
        ))
        .ok();
    cluster.await_controller();
}

fn rotates(cluster: &Cluster) {
    let bundle = || {
        let configuration = cluster.get("default", "mutatingwebhookconfiguration/diwan.dev");
        configuration["webhooks"][0]["clientConfig"]["caBundle"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = bundle();
    let experiment = Experiment {
        name: "rotation",
        max: 8,
        parallel: 1,
        script: "sleep 1; echo loss=$0",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    cluster
        .kubectl(&format!("-n {SYSTEM} delete secret diwan-controller"))
        .ok();
    wait_for("a new authority", || (bundle() != before).then_some(()));
    let done = cluster.completed("default", "rotation");
    assert_eq!(done["status"]["trialsSucceeded"], 8, "{done:#}");
    cluster
        .kubectl("delete experiment rotation --timeout=60s")
        .ok();
}

/// An experiment during which something happens to the cluster: it ends with each trial once, and
/// each with its own value.
fn endures(cluster: &Cluster, name: &str, trouble: impl FnOnce()) {
    let experiment = Experiment {
        name,
        max: 9,
        parallel: 3,
        script: "sleep 1; echo loss=$0",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let what = format!("experiment/{name}");
    cluster.await_object("default", &what, "a first trial", |object| {
        object["status"]["trialsSucceeded"].as_i64() > Some(0)
    });
    trouble();
    let done = cluster.completed("default", name);
    assert_eq!(done["status"]["trialsSucceeded"], 9, "{done:#}");
    let trials = trials(cluster, name);
    assert_eq!(trials.len(), 9);
    for trial in &trials {
        let metric = &trial["status"]["observation"]["metrics"][0];
        assert_eq!(
            metric["latest"],
            trial["spec"]["parameterAssignments"][0]["value"]
        );
    }
    cluster
        .kubectl(&format!("delete experiment {name} --timeout=60s"))
        .ok();
}

fn outlives_the_api(cluster: &Cluster) {
    endures(cluster, "api-killed", || {
        cluster.component("kill", "kube-apiserver");
        sleep(Duration::from_secs(3));
        cluster.component("start", "kube-apiserver");
    });
}

fn outlives_etcd(cluster: &Cluster) {
    endures(cluster, "etcd-paused", || {
        cluster.component("pause", "etcd");
        sleep(Duration::from_secs(20));
        cluster.component("resume", "etcd");
        // The API server may need a while to find back.
        wait_for("the API server", || {
            let asked = cluster.kubectl("get --raw /readyz --request-timeout=5s");
            (asked.code == Some(0)).then_some(())
        });
    });
}

fn outlives_the_kubelet(cluster: &Cluster) {
    endures(cluster, "kubelet-away", || {
        cluster.component("stop", "kubelet");
        sleep(Duration::from_mins(1));
        cluster.component("start", "kubelet");
    });
}

fn survives(cluster: &Cluster) {
    endures(cluster, "killed", || {
        for _ in 0..2 {
            cluster.kill_controller();
            sleep(Duration::from_secs(3));
            cluster.remove_controller();
            sleep(Duration::from_secs(3));
        }
        cluster.await_controller();
    });
}
