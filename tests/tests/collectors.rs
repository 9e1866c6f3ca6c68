//! Every way in which a trial's metrics are collected on one machine, and early stopping, which
//! looks at them.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail on the spot

use std::fs;
use std::net::TcpListener;

use diwan_tests::experiment::Experiment;
use diwan_tests::process::{diwan_in, run};
use diwan_tests::root;
use serde_json::Value;

/// Runs an experiment and returns its report, whatever became of it.
fn report(experiment: &Experiment<'_>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("experiment.yaml");
    fs::write(&file, experiment.yaml()).unwrap();
    let mut command = diwan_in(folder.path());
    command.args(["run", "--output", "json"]).arg(&file);
    let ran = run(&mut command);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn best(report: &Value) -> &str {
    let best = &report["experiment"]["status"]["currentOptimalTrial"];
    let metric = &best["observation"]["metrics"][0];
    metric["min"].as_str().unwrap_or_else(|| {
        let conditions = &report["trials"][0]["status"]["conditions"];
        panic!("nothing was observed: {conditions}")
    })
}

/// The last condition of each trial: type and message.
fn ends(report: &Value) -> Vec<(&str, &str)> {
    let trials = report["trials"].as_array().unwrap().iter();
    trials
        .map(|trial| {
            let conditions = trial["status"]["conditions"].as_array().unwrap();
            let last = conditions.last().unwrap();
            let text = |field: &str| last[field].as_str().unwrap();
            (text("type"), text("message"))
        })
        .collect()
}

#[test]
fn event_files_of_tensorflow_are_read() {
    let events = root().join("metrics-collector/tests/events/tensorboardX");
    let script = format!("cp -r {}/. /logs/run/", events.display());
    let report = report(&Experiment {
        script: &format!("mkdir /logs/run && {script}"),
        max: 1,
        parallel: 1,
        extra: "metricsCollectorSpec:\n  source: {fileSystemPath: {path: /logs, kind: Directory}}\n  \
                collector: {kind: TensorFlowEvent}",
        ..Experiment::default()
    });
    assert_eq!(best(&report), "1e-30");
}

#[test]
fn an_endpoint_is_asked_while_the_trial_runs() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let script = format!(
        "cd $(mktemp -d)\n\
         printf '# TYPE loss gauge\\nloss 0.25\\n' > metrics\n\
         python3 -m http.server {port} --bind 127.0.0.1 & server=$!\n\
         sleep 3\n\
         kill $server"
    );
    let extra = format!(
        "metricsCollectorSpec:\n  source: {{httpGet: {{port: {port}, path: /metrics}}}}\n  \
         collector: {{kind: PrometheusMetric}}"
    );
    let report = report(&Experiment {
        script: &script,
        max: 1,
        parallel: 1,
        extra: &extra,
        ..Experiment::default()
    });
    assert_eq!(best(&report), "0.25");
}

#[test]
fn a_collector_of_the_user_s_reads_what_the_trial_writes() {
    // It reports nothing here: that takes a client of the DB manager, which the SDK's tests are.
    let report = report(&Experiment {
        script: "echo loss=$0 > /metrics/run.log",
        max: 1,
        parallel: 1,
        extra: "metricsCollectorSpec:\n  source: {fileSystemPath: {path: /metrics/run.log, kind: File}}\n  \
                collector:\n    kind: Custom\n    customCollector:\n      name: mine\n      image: none\n      \
                command: [sh, -c, 'until test -s /metrics/run.log; do sleep 0.1; done; test $KATIB_TRIAL_NAME']",
        ..Experiment::default()
    });
    let ends = ends(&report);
    assert_eq!(ends[0].0, "MetricsUnavailable", "{ends:?}");
}

#[test]
fn a_missing_metric_says_what_was_there_instead() {
    let report = report(&Experiment {
        script: "echo Loss=$0",
        max: 1,
        parallel: 1,
        ..Experiment::default()
    });
    let ends = ends(&report);
    assert_eq!(ends[0].0, "MetricsUnavailable", "{ends:?}");
    let why = "metric \"loss\" is unavailable: the output of container main has 1 line without it, \
               but \"Loss\"; write it as loss=0.5 on a line";
    assert!(ends[0].1.contains(why), "{}", ends[0].1);
}

#[test]
fn trials_that_fall_behind_are_stopped_and_the_best_is_the_same() {
    let report = report(&Experiment {
        script: "for i in 1 2 3 4 5 6 7 8 9; do echo loss=$0; sleep 0.3; done",
        max: 8,
        parallel: 2,
        extra: "earlyStopping:\n  algorithmName: medianstop\n  algorithmSettings:\n  \
                - {name: min_trials_required, value: '1'}\n  - {name: start_step, value: '2'}",
        ..Experiment::default()
    });
    let ends = ends(&report);
    assert_eq!(ends.len(), 8);
    let stopped: Vec<_> = ends.iter().filter(|end| end.0 == "EarlyStopped").collect();
    assert!(!stopped.is_empty(), "{ends:?}");
    assert!(
        stopped.iter().all(|end| end.1.contains("best loss")),
        "{ends:?}"
    );
    let status = &report["experiment"]["status"];
    assert_eq!(status["trialsEarlyStopped"], stopped.len());
    assert_eq!(status["conditions"][2]["type"], "Succeeded", "{status}");
    let losses = report["trials"].as_array().unwrap().iter().map(|trial| {
        let x = &trial["spec"]["parameterAssignments"][0]["value"];
        x.as_str().unwrap().parse::<f64>().unwrap()
    });
    let least = losses.fold(f64::INFINITY, f64::min);
    assert_eq!(best(&report).parse(), Ok(least));
}
