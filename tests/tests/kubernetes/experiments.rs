//! Experiments from their YAML to their end.

use diwan_tests::cluster::{BUSYBOX, Cluster, names};
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::has_condition;
use diwan_tests::wait_for;
use serde_json::Value;

use crate::Case;
use crate::steps::{condition, create, delete, trials, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("an experiment runs from its YAML to its best trial", runs),
    ("what is wrong with a file is said field by field", refuses),
    (
        "a template in a ConfigMap, and metadata of the trial",
        template,
    ),
    ("trials that fall behind are stopped", stops),
    ("a failed trial says why", fails),
];

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
    delete(cluster, "first");
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
    delete(cluster, "mapped");
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
    delete(cluster, "stopping");
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
    delete(cluster, "failing");
}
