//! What Prometheus reads of the controller.

use diwan_tests::cluster::{Cluster, SYSTEM};
use diwan_tests::experiment::Experiment;

use crate::Case;
use crate::steps::{create, delete};

/// In this order.
pub(crate) const CASES: &[Case] = &[("what is counted of an experiment", counts)];

fn counts(cluster: &Cluster) {
    let before = scrape(cluster);
    let experiment = Experiment {
        name: "measured",
        max: 3,
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let done = cluster.completed("default", "measured");
    assert_eq!(done["status"]["trialsSucceeded"], 3, "{done:#}");
    let after = scrape(cluster);
    let here = r#"namespace="default""#;
    let more = |name: &str, label: &str| sum(&after, name, label) - sum(&before, name, label);
    for (name, expected) in [
        ("katib_experiment_created_total", 1.0),
        ("katib_experiment_succeeded_total", 1.0),
        ("katib_experiment_failed_total", 0.0),
        ("katib_trial_created_total", 3.0),
        ("katib_trial_succeeded_total", 3.0),
    ] {
        let counted = more(name, here);
        assert!(
            (counted - expected).abs() < 0.5,
            "{name} {counted}\n{after}"
        );
    }
    let asked = more(
        "diwan_suggestion_duration_seconds_count",
        r#"algorithm="random""#,
    );
    assert!(asked >= 1.0, "{after}");
    let looked = more(
        "diwan_reconcile_duration_seconds_count",
        r#"controller="trial""#,
    );
    assert!(looked >= 3.0, "{after}");
    assert!(
        after.lines().any(|line| line == "diwan_leader 1"),
        "{after}"
    );
    assert!(
        sum(&after, "process_resident_memory_bytes", "") > 1e6,
        "{after}"
    );
    delete(cluster, "measured");
}

/// What the one replica says, by the annotations with which Prometheus finds it.
fn scrape(cluster: &Cluster) -> String {
    let pods = cluster.get(SYSTEM, "pods -l diwan.dev/component=controller");
    let metadata = &pods["items"][0]["metadata"];
    let annotation = |name: &str| {
        let text = metadata["annotations"][format!("prometheus.io/{name}")].as_str();
        text.unwrap().to_owned()
    };
    assert_eq!(annotation("scrape"), "true");
    let (port, path) = (annotation("port"), annotation("path"));
    let pod = metadata["name"].as_str().unwrap();
    let address = format!("/api/v1/namespaces/{SYSTEM}/pods/{pod}:{port}/proxy{path}");
    cluster.kubectl(&format!("get --raw {address}")).ok()
}

/// The sum of a metric's values that have a label.
fn sum(text: &str, metric: &str, label: &str) -> f64 {
    let of_metric = |line: &&str| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let lines = text.lines().filter(of_metric);
    let values = lines
        .filter(|line| line.contains(label))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}
