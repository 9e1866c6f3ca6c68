//! The trial programs, seen from outside: flags in, metrics and an exit code out.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use assert_cmd::Command;

const CONFIG: &str = "{'num_layers': 2, 'input_sizes': [32, 32, 3], 'output_sizes': [10], \
    'embedding': {'0': {'opt_id': 0, 'opt_type': 'convolution', 'opt_params': {'filter_size': '3', \
    'num_filter': '8', 'stride': '1'}}, '1': {'opt_id': 1, 'opt_type': 'reduction', 'opt_params': \
    {'reduction_type': 'max_pooling', 'pool_size': 2}}, '2': {'opt_id': 2, 'opt_type': \
    'separable_convolution', 'opt_params': {'num_filter': '8', 'stride': '2', 'depth_multiplier': \
    '2'}}, '3': {'opt_id': 3, 'opt_type': 'depthwise_convolution', 'opt_params': {}}}}";

const SETTINGS: &str = "{'num_epochs': '1', 'num_nodes': '1', 'init_channels': '2', \
    'stem_multiplier': '1', 'batch_size': null, 'w_lr': 0.1, 'num_workers': 4}";

fn command(program: &str) -> Command {
    Command::new(assert_cmd::cargo::cargo_bin(program))
}

fn stdout(program: &str, args: &[&str]) -> String {
    let assert = command(program).args(args).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// The values of a metric.
fn values(text: &str, metric: &str) -> Vec<f64> {
    let pairs = text
        .split_whitespace()
        .filter_map(|word| word.split_once('='));
    let of_metric = pairs.filter(|(name, _)| *name == metric);
    of_metric.map(|(_, value)| value.parse().unwrap()).collect()
}

fn child(architecture: &str, epochs: &str, seed: &str) -> String {
    let config = format!("--nn_config=\"{CONFIG}\"");
    let architecture = format!("--architecture=\"{architecture}\"");
    let epochs = format!("--num_epochs={epochs}");
    stdout(
        "enas-child",
        &[&architecture, &config, &epochs, "--seed", seed],
    )
}

#[test]
fn a_network_of_convolutions_learns_what_one_of_pools_cannot() {
    let convolutions = child("[[0], [0, 1]]", "8", "1");
    let accuracy = values(&convolutions, "Validation-Accuracy");
    assert_eq!(accuracy.len(), 8, "{convolutions}");
    assert!(accuracy[7] > 0.4, "{accuracy:?}");
    let losses = values(&convolutions, "Training-Loss");
    assert!(losses[7] < losses[0] - 0.3, "{losses:?}");
    let pools = values(&child("[[1], [1, 1]]", "8", "1"), "Validation-Accuracy");
    assert!(pools[7] < accuracy[7] - 0.2, "{pools:?}");
}

#[test]
fn every_operation_is_built_and_the_seed_decides() {
    let once = child("[[2], [3, 1]]", "1", "5");
    assert_eq!(values(&once, "Validation-Accuracy").len(), 1, "{once}");
    assert_eq!(once, child("[[2], [3, 1]]", "1", "5"));
    assert_ne!(once, child("[[2], [3, 1]]", "1", "6"));
}

#[test]
fn a_search_prints_a_genotype_that_can_be_trained() {
    let settings = format!("--algorithm-settings=\"{SETTINGS}\"");
    let space =
        "--search-space=['separable_convolution_3x3', 'max_pooling_3x3', 'skip_connection']";
    let args = [&settings, space, "--num-layers=\"2\"", "--retrain-epochs=1"];
    let text = stdout("darts-supernet", &args);
    assert_eq!(
        text,
        stdout("darts-supernet", &args),
        "the same seed gives the same"
    );
    assert_eq!(values(&text, "Search-Accuracy").len(), 1, "{text}");
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("Best-Genotype="));
    let genotypes: Vec<&str> = lines.collect();
    assert_eq!(genotypes.len(), 1, "{text}");
    let retrained = stdout(
        "darts-retrain",
        &["--genotype", genotypes[0], &settings, "--num-layers=2"],
    );
    assert_eq!(
        values(&retrained, "Validation-Accuracy"),
        values(&text, "Validation-Accuracy"),
        "the same cells are trained the same way"
    );
}

#[test]
fn chance_chooses_cells_by_its_seed() {
    let settings = format!("--algorithm-settings={SETTINGS}");
    let random = |seed| {
        stdout(
            "darts-retrain",
            &["--random", seed, &settings, "--num-layers=1"],
        )
    };
    assert!(random("1").starts_with("Genotype=Genotype(normal=[[('"));
    assert_ne!(random("1"), random("2"));
}

#[test]
fn a_wrong_flag_is_named_and_ends_with_2() {
    let wrong: &[(&str, &[&str], &str)] = &[
        ("enas-child", &["--architecture=[[0]"], "--architecture"),
        (
            "enas-child",
            &["--nn_config={}"],
            "missing field `num_layers`",
        ),
        (
            "darts-supernet",
            &["--algorithm-settings={'w_lr': 'x'}"],
            "w_lr x: must be a number",
        ),
        (
            "darts-supernet",
            &["--search-space=['lstm_3x3']"],
            "operation lstm_3x3: must be",
        ),
        (
            "darts-supernet",
            &["--search-space=[]"],
            "must name an operation",
        ),
        (
            "darts-supernet",
            &["--num-layers=\"0\""],
            "a whole number of at least 1",
        ),
        (
            "darts-retrain",
            &["--genotype=Genotype()"],
            "must be Genotype(",
        ),
        ("darts-retrain", &[], "--genotype"),
    ];
    for &(program, args, said) in wrong {
        let assert = command(program).args(args).assert().code(2).stdout("");
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(stderr.contains(said), "{program} {args:?}: {stderr}");
    }
}

#[test]
fn an_architecture_that_does_not_fit_ends_with_1() {
    let config = format!("--nn_config={CONFIG}");
    let assert = command("enas-child")
        .args(["--architecture=[[0]]", &config])
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        stderr.starts_with("error: architecture has 1 rows"),
        "{stderr}"
    );
    let genotype = "--genotype=Genotype(normal=[[('skip_connection',0)]],normal_concat=range(2,3),\
                    reduce=[],reduce_concat=range(2,3))";
    let assert = command("darts-retrain")
        .args([genotype, "--num-layers=3"])
        .assert()
        .code(1);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        stderr.contains("must have a reduce cell of 1 nodes"),
        "{stderr}"
    );
}
