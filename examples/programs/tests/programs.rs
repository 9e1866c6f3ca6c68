//! The trial programs, seen from outside: flags in, metrics and an exit code out.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// Runs a program of this crate and returns its values of each metric, in the order printed.
#[track_caller]
fn metrics(program: &str, args: &[&str]) -> HashMap<String, Vec<f64>> {
    let output = command(program)
        .args(args)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    parse(&String::from_utf8(output).expect("metrics are text"))
}

fn command(program: &str) -> Command {
    Command::new(assert_cmd::cargo::cargo_bin(program))
}

fn parse(text: &str) -> HashMap<String, Vec<f64>> {
    let mut metrics = HashMap::<String, Vec<f64>>::new();
    for (name, value) in text.split_whitespace().map(|word| {
        word.split_once('=')
            .expect("all that is printed is name=value")
    }) {
        metrics
            .entry(name.to_owned())
            .or_default()
            .push(value.parse().expect("metrics are numbers"));
    }
    metrics
}

/// The last value of a metric.
#[track_caller]
fn last(program: &str, args: &[&str], metric: &str) -> f64 {
    *metrics(program, args)[metric]
        .last()
        .expect("a metric that is there has a value")
}

#[test]
fn a_deeper_forest_with_more_columns_tells_wines_better() {
    let args = ["--trees=20", "--max-depth=16", "--max-features=8"];
    let forest = metrics("forest-wine", &args);
    assert_eq!(forest["trees"].last(), Some(&20.0));
    assert_eq!(forest["accuracy"].len(), 10);
    let deep = *forest["accuracy"].last().unwrap();
    assert!((0.75..0.9).contains(&deep), "{deep}");
    let stump = last(
        "forest-wine",
        &["--trees=20", "--max-depth=1", "--max-features=1"],
        "accuracy",
    );
    assert!((0.5..0.72).contains(&stump), "{stump}");
}

#[test]
fn a_growing_forest_gets_surer() {
    let losses = &metrics("forest-wine", &["--max-depth=16", "--max-features=8"])["log-loss"];
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < first - 0.05, "{first} to {last}");
}

#[test]
fn a_mild_penalty_predicts_diabetes_better_than_a_crushing_one() {
    let mild = metrics("elastic-net-diabetes", &["--penalty=0.1"]);
    assert_eq!(mild["fold-rmse"].len(), 5);
    assert!((50.0..58.0).contains(&mild["rmse"][0]), "{mild:?}");
    assert!((0.4..0.6).contains(&mild["r2"][0]), "{mild:?}");
    // Crushed coefficients leave the mean, which explains nothing.
    let crushed = metrics("elastic-net-diabetes", &["--penalty=100000"]);
    assert!(crushed["r2"][0].abs() < 0.05, "{crushed:?}");
    assert!(crushed["rmse"][0] > 75.0, "{crushed:?}");
}

#[test]
fn a_fitting_kernel_tells_wines_better_than_one_that_sees_no_likeness() {
    let fitting = metrics("svm-wine", &["--width=0.3"]);
    assert_eq!(fitting["fold-accuracy"].len(), 4);
    assert!(
        (0.74..0.85).contains(&fitting["accuracy"][0]),
        "{fitting:?}"
    );
    assert!((0.7..0.9).contains(&fitting["f1"][0]), "{fitting:?}");
    let blind = last("svm-wine", &["--width=0.0001"], "accuracy");
    assert!(blind < fitting["accuracy"][0] - 0.02, "{blind}");
}

#[test]
fn a_free_model_is_surer_about_irises_than_a_held_back_one() {
    let free = metrics("logistic-iris", &["--alpha=0.01", "--epochs=30"]);
    let losses = &free["log-loss"];
    assert_eq!(losses.len(), 30);
    assert!(losses[29] < losses[0] / 2.0, "{losses:?}");
    assert!(
        (0.93..=1.0).contains(free["accuracy"].last().unwrap()),
        "{free:?}"
    );
    let held = last("logistic-iris", &["--alpha=100", "--epochs=30"], "log-loss");
    assert!(held > losses[29] + 0.2, "{held}");
}

#[test]
fn the_same_seed_gives_the_same_output_and_another_seed_another() {
    let seeded: &[(&str, &[&str])] = &[
        (
            "forest-wine",
            &["--trees=10", "--max-depth=12", "--sample=0.3"],
        ),
        ("elastic-net-diabetes", &[]),
        ("svm-wine", &["--kernel=polynomial", "--degree=2"]),
        ("logistic-iris", &["--epochs=5"]),
    ];
    for &(program, args) in seeded {
        let with_seed = |seed: &str| {
            command(program)
                .args(args)
                .args(["--seed", seed])
                .output()
                .unwrap()
                .stdout
        };
        assert_eq!(with_seed("5"), with_seed("5"), "{program}");
        assert_ne!(with_seed("5"), with_seed("6"), "{program}");
    }
}

#[test]
fn a_file_takes_json_lines_for_the_file_collector() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.json");
    let args = [
        "--epochs=3",
        "--log-format=json",
        "--log-path",
        path.to_str().unwrap(),
    ];
    let printed = metrics("logistic-iris", &args);
    let lines = json_lines(&path);
    assert_eq!(lines.len(), 3);
    for (index, line) in lines.iter().enumerate() {
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
        for name in ["epoch", "log-loss", "accuracy"] {
            let value: f64 = line[name].as_str().unwrap().parse().unwrap();
            assert_eq!(value, printed[name][index], "{name}");
        }
    }
}

fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).expect("the program has written its file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

#[test]
fn a_wrong_flag_is_named_and_ends_with_2() {
    let wrong: &[(&str, &str, &str)] = &[
        ("forest-wine", "--max-depth=0", "--max-depth"),
        (
            "forest-wine",
            "--sample=1.5",
            "greater than 0 and at most 1",
        ),
        (
            "elastic-net-diabetes",
            "--l1-ratio=nan",
            "a number from 0 to 1",
        ),
        (
            "svm-wine",
            "--kernel=sigmoid",
            "[possible values: linear, gaussian, polynomial]",
        ),
        ("svm-wine", "--c=-1", "greater than 0"),
        ("logistic-iris", "--alhpa=1", "'--alpha'"),
    ];
    for &(program, flag, said) in wrong {
        let assert = command(program).arg(flag).assert().code(2).stdout("");
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(stderr.starts_with("error: "), "{program} {flag}: {stderr}");
        assert!(stderr.contains(said), "{program} {flag}: {stderr}");
    }
}

#[test]
fn a_file_that_cannot_be_written_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let assert = command("logistic-iris")
        .arg("--log-path")
        .arg(folder.path())
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(stderr.starts_with("error: cannot write "), "{stderr}");
}

#[test]
fn a_training_goes_on_from_the_checkpoint_that_it_finds() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = format!("--checkpoint={}", folder.path().display());
    let train = |epochs: &str| metrics("pbt-toy", &[epochs, "--lr=0.002", "--seed=a", &checkpoint]);
    let parts = [train("--epochs=3"), train("--epochs=4")];
    assert_eq!(parts[0]["epoch"], [1.0, 2.0, 3.0]);
    assert_eq!(parts[1]["epoch"], [4.0, 5.0, 6.0, 7.0]);
    fs::remove_dir_all(folder.path()).unwrap();
    let whole = &train("--epochs=7")["Validation-accuracy"];
    let parts = parts.map(|part| part["Validation-accuracy"].clone());
    assert_eq!(*whole, parts.concat());
}
