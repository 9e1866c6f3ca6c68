//! The door of Prometheus: what `diwan up` counts.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use diwan_tests::experiment::Experiment;
use diwan_tests::up::{Up, has_condition};
use diwan_tests::wait_for;

/// Asks as Prometheus does.
fn scrape(url: &str) -> String {
    let (host, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a sample; 0 when it is not there.
fn value(text: &str, sample: &str) -> f64 {
    let found = text.lines().find_map(|line| line.strip_prefix(sample));
    found.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[test]
fn the_lives_of_an_experiment_and_its_trials_are_counted() {
    let up = Up::with(&["--metrics-listen", "127.0.0.1:0"]);
    let yaml = Experiment {
        max: 3,
        ..Experiment::default()
    };
    up.kubectl_with("apply -f -", &yaml.yaml()).ok();
    let done = up.completed("default", "bowl");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");

    let ended = "katib_experiment_succeeded_total{namespace=\"default\"}";
    let text = wait_for("the end to be counted", || {
        Some(scrape(&up.metrics)).filter(|text| value(text, ended) == 1.0)
    });
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert!(
        text.contains("content-type: application/openmetrics-text"),
        "{text}"
    );
    for (sample, expected) in [
        ("katib_experiment_created_total{namespace=\"default\"}", 1.0),
        ("katib_experiment_failed_total{namespace=\"default\"}", 0.0),
        ("katib_trial_created_total{namespace=\"default\"}", 3.0),
        ("katib_trial_succeeded_total{namespace=\"default\"}", 3.0),
        (
            "katib_experiments_current{namespace=\"default\",status=\"Succeeded\"}",
            1.0,
        ),
        (
            "katib_trials_current{namespace=\"default\",status=\"Succeeded\"}",
            3.0,
        ),
        ("diwan_leader", 1.0),
        ("diwan_queue_depth{controller=\"trial\"}", 0.0),
    ] {
        assert_eq!(value(&text, sample), expected, "{sample}\n{text}");
    }
    for sample in [
        "diwan_reconcile_duration_seconds_count{controller=\"trial\"}",
        "diwan_suggestion_duration_seconds_count{algorithm=\"random\"}",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
    ] {
        assert!(value(&text, sample) > 0.0, "{sample}\n{text}");
    }

    up.kubectl("delete experiment bowl").ok();
    wait_for("the deletion to be counted", || {
        let text = scrape(&up.metrics);
        let gone = value(&text, "katib_trial_deleted_total{namespace=\"default\"}") == 3.0;
        let left = text.contains("katib_trials_current{");
        (gone && !left).then_some(())
    });
}
