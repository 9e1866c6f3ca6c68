//! What trials say, and where.

use std::collections::BTreeSet;

use diwan_tests::cluster::{Cluster, names};
use diwan_tests::experiment::Experiment;

use crate::Case;
use crate::steps::{create, delete, retained, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    (
        "a trial's output is kept word by word, and its exit code",
        keeps,
    ),
    ("files of lines and of JSON are collected", files),
];

fn keeps(cluster: &Cluster) {
    let experiment = Experiment {
        name: "words",
        max: 1,
        parallel: 1,
        script: "printf 'loss=1\\n'; printf \"it's 'quoted' \\$HOME\\n\" >&2",
        extra: "",
        ..Experiment::default()
    };
    cluster
        .kubectl_with("create -f -", &retained(&yaml(&experiment)))
        .ok();
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
    delete(cluster, "words");
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
        delete(cluster, name);
    }
}
