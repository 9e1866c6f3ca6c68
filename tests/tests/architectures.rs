//! Architecture search end to end: files of Katib as they are, with the images of their trials mapped
//! to the trial programs, and the examples, made short.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail on the spot

use std::fs;
use std::path::Path;

use diwan_tests::process::{diwan_in, run};
use diwan_tests::root;
use serde_json::Value;

/// Runs an experiment, and returns what is reported of it.
#[track_caller]
fn finished(file: &Path, args: &[String]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut command = diwan_in(folder.path());
    command
        .args(["run", "--output", "json"])
        .args(args)
        .arg(file);
    serde_json::from_str(&run(&mut command).ok()).unwrap()
}

/// An experiment of Katib, with one of the folders that stand for its images.
#[track_caller]
fn finished_as_katib_has_it(name: &str, image: &str) -> Value {
    let file = root().join(format!("api/tests/fixtures/katib/{name}.yaml"));
    let folder = root().join(format!("examples/architectures/images/{image}"));
    let image = format!("ghcr.io/kubeflow/katib/{image}-cpu={}", folder.display());
    finished(&file, &["--image".to_owned(), image])
}

/// An example with some of its words replaced.
#[track_caller]
fn shortened(name: &str, words: &[(&str, &str)]) -> Value {
    let file = root().join(format!("examples/{name}/experiment.yaml"));
    let mut text = fs::read_to_string(file).unwrap();
    for (from, to) in words {
        assert!(text.contains(from), "{from} is not in {name}");
        text = text.replace(from, to);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("experiment.yaml");
    fs::write(&file, text).unwrap();
    finished(&file, &[])
}

/// The latest value of a metric of the best trial.
#[track_caller]
fn best<'a>(document: &'a Value, metric: &str) -> &'a str {
    latest(
        &document["experiment"]["status"]["currentOptimalTrial"],
        metric,
    )
}

/// The latest value of a metric that was observed.
#[track_caller]
fn latest<'a>(observed: &'a Value, metric: &str) -> &'a str {
    let metrics = observed["observation"]["metrics"].as_array();
    let found = metrics.and_then(|all| all.iter().find(|m| m["name"] == metric));
    let found = found.unwrap_or_else(|| panic!("no {metric} in {observed:#}"));
    found["latest"].as_str().unwrap()
}

#[track_caller]
fn assert_succeeded(document: &Value, trials: u64) {
    let status = &document["experiment"]["status"];
    assert_eq!(status["trialsSucceeded"], trials, "{status:#}");
}

#[test]
fn katibs_enas_example_trains_networks() {
    let document = finished_as_katib_has_it("enas-cpu", "enas-cnn-cifar10");
    assert_succeeded(&document, 3);
    let accuracy: f64 = best(&document, "Validation-Accuracy").parse().unwrap();
    assert!((0.05..=1.0).contains(&accuracy), "{accuracy}");
}

#[test]
fn katibs_darts_example_finds_a_cell() {
    let document = finished_as_katib_has_it("darts-cpu", "darts-cnn-cifar10");
    assert_succeeded(&document, 1);
    // A text is neither smaller nor larger than another: the newest is the optimal one.
    let genotype = best(&document, "Best-Genotype");
    let cell = "Genotype(normal=[[('max_pooling_3x3',";
    assert!(genotype.starts_with(cell), "{genotype}");
}

#[test]
fn a_network_is_drawn_and_trained_in_each_trial() {
    let words = [
        ("maxTrialCount: 40", "maxTrialCount: 3"),
        ("--num_epochs=3", "--num_epochs=1"),
    ];
    let document = shortened("enas-digits", &words);
    assert_succeeded(&document, 3);
    let accuracy: f64 = best(&document, "Validation-Accuracy").parse().unwrap();
    assert!((0.05..=1.0).contains(&accuracy), "{accuracy}");
}

#[test]
fn a_cell_is_searched_and_trained() {
    let words = [
        (
            "name: num_epochs\n        value: \"12\"",
            "name: num_epochs\n        value: \"1\"",
        ),
        ("--retrain-epochs=5", "--retrain-epochs=1"),
    ];
    let document = shortened("darts-digits", &words);
    assert_succeeded(&document, 1);
    let accuracy: f64 = best(&document, "Validation-Accuracy").parse().unwrap();
    assert!((0.05..=1.0).contains(&accuracy), "{accuracy}");
    assert!(best(&document, "Best-Genotype").starts_with("Genotype(normal=[["));
}
