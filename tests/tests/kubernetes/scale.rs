//! What trials cost: beside Jobs that are submitted directly; and thousands of them, early and late,
//! whose pods are simulated. Both print figures that are worth something in a release build
//! (`cargo test --release`) on a quiet machine.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use diwan_tests::cluster::{BUSYBOX, Cluster};
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::is_completed;
use diwan_tests::{python, root};
use serde_json::Value;

use crate::Case;
use crate::steps::{delete, setting, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("figures of trials beside Jobs", measures),
    ("thousands of trials on simulated nodes", grows),
];

/// The controller's command line in its pod.
const COMMAND: &[u8] = b"/diwan\0controller\0";
/// How long the whole may take.
const PATIENCE: Duration = Duration::from_mins(30);

fn measures(cluster: &Cluster) {
    let mut program = cluster.command(python());
    program.arg(root().join("tests/kubernetes/figures.py"));
    // Others than the usual ones, as SECONDS,TRIALS.
    let runs = std::env::var("DIWAN_TEST_RUNS").unwrap_or_default();
    let status = program
        .arg(BUSYBOX)
        .args(runs.split_whitespace())
        .status()
        .unwrap();
    assert!(status.success());
}

fn grows(cluster: &Cluster) {
    cluster.simulate(4);
    let max = setting("DIWAN_TEST_TRIALS_SIMULATED", 2000);
    let experiment = Experiment {
        name: "thousands",
        max,
        parallel: 20,
        // No program runs, so nothing is reported.
        extra: "metricsCollectorSpec:\n  collector: {kind: None}",
        ..Experiment::default()
    };
    let simulated = "restartPolicy: Never\n            nodeSelector: {type: kwok}\n            \
                     tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]\n";
    let text = yaml(&experiment).replace("restartPolicy: Never\n", simulated);
    let requests = cluster.requests();
    let begin = Instant::now();
    cluster.kubectl_with("create -f -", &text).ok();
    let quarter = u64::from(max / 4);
    let mut marks = Vec::new();
    let done = loop {
        let object = cluster.get("default", "experiment/thousands");
        let ended = ended(&object);
        if ended >= quarter * (marks.len() as u64 + 1) && marks.len() < 4 {
            marks.push((ended, begin.elapsed()));
            println!(
                "{ended} trials after {:.1} s, the controller has {:.0} MiB",
                begin.elapsed().as_secs_f64(),
                memory(),
            );
        }
        if is_completed(&object) {
            break object;
        }
        assert!(begin.elapsed() < PATIENCE, "{object:#}");
        sleep(Duration::from_millis(500));
    };
    assert_eq!(
        ended(&done),
        u64::from(max),
        "{:#}",
        done["status"]["conditions"]
    );
    let per_trial = |from: (u64, Duration), to: (u64, Duration)| {
        (to.1.as_secs_f64() - from.1.as_secs_f64()) * 1000.0 / (to.0 - from.0) as f64
    };
    println!(
        "per trial: first quarter {:.0} ms, last quarter {:.0} ms, {:.1} requests",
        per_trial((0, Duration::ZERO), marks[0]),
        per_trial(marks[2], marks[3]),
        (cluster.requests() - requests) as f64 / f64::from(max),
    );
    let begin = Instant::now();
    delete(cluster, "thousands");
    println!("deleted after {:.1} s", begin.elapsed().as_secs_f64());
}

/// How many trials have ended, in whatever way.
fn ended(experiment: &Value) -> u64 {
    let status = &experiment["status"];
    ["trialsSucceeded", "trialsFailed", "trialMetricsUnavailable"]
        .iter()
        .filter_map(|count| status[*count].as_u64())
        .sum()
}

/// What the controller's process holds, in MiB. One cluster runs here at a time.
fn memory() -> f64 {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let statuses = processes
        .map(|process| process.path())
        .filter(|path| fs::read(path.join("cmdline")).is_ok_and(|line| line == COMMAND))
        .filter_map(|path| fs::read_to_string(path.join("status")).ok());
    let kilobytes = statuses.filter_map(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line?.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    });
    kilobytes.sum::<f64>() / 1024.0
}
