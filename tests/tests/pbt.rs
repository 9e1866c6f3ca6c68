//! Population based training: trials that go on from each other's checkpoints, through the
//! experiment's volume.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use diwan_tests::experiment::Experiment;
use diwan_tests::up::{Up, has_condition};
use diwan_tests::{root, wait_for};
use serde_json::Value;

const LABELS: &str = "pbt.suggestion.katib.kubeflow.org";
const SETTINGS: &str = "\
algorithmName: pbt
    algorithmSettings:
      - {name: suggestion_trial_dir, value: /var/run/checkpoints}
      - {name: n_population, value: \"5\"}
      - {name: truncation_threshold, value: \"0.4\"}
      - {name: random_state, value: \"3\"}
";

/// Each trial adds its name to the checkpoint that it finds, and tells the test what it then holds.
fn lineage(told: &Path, seconds: &str) -> String {
    format!(
        "cd /var/run/checkpoints
sleep {seconds}
echo \"$(cat lineage 2>/dev/null) $KATIB_TRIAL_NAME\" > draft
mv draft lineage
cat lineage >> {}
echo loss=$0",
        told.display()
    )
}

fn yaml(script: &str, max: u32, policy: &str) -> String {
    let experiment = Experiment {
        name: "herd",
        script,
        max,
        parallel: 3,
        extra: policy,
        ..Experiment::default()
    };
    let yaml = experiment.yaml();
    yaml.replace("algorithmName: random\n", SETTINGS)
}

/// The trials by name.
fn trials(up: &Up) -> BTreeMap<String, Value> {
    let list = up.get("default", "trials");
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|trial| {
            let name = trial["metadata"]["name"].as_str().unwrap();
            (name.to_owned(), trial.clone())
        })
        .collect()
}

fn label<'a>(trial: &'a Value, name: &str) -> Option<&'a str> {
    trial["metadata"]["labels"][name].as_str()
}

/// The trial with all that it continues, oldest first.
fn chain(trials: &BTreeMap<String, Value>, name: &str) -> Vec<String> {
    let parent = label(&trials[name], &format!("{LABELS}/parent"));
    let mut chain = parent.map_or_else(Vec::new, |parent| chain(trials, parent));
    chain.push(name.to_owned());
    chain
}

/// The latest trial of each member.
fn latest(trials: &BTreeMap<String, Value>) -> BTreeSet<String> {
    let mut latest = BTreeMap::<&str, (usize, &String)>::new();
    for (name, trial) in trials {
        let generation = label(trial, &format!("{LABELS}/generation")).unwrap();
        let place = (generation.parse().unwrap(), name);
        let entry = latest.entry(label(trial, "diwan.dev/member").unwrap());
        let known = entry.or_insert(place);
        *known = place.max(*known);
    }
    latest.into_values().map(|(_, name)| name.clone()).collect()
}

/// The folder of an experiment in its volume.
fn volume(up: &Up, experiment: &str) -> PathBuf {
    let claim = up.get("default", &format!("pvc/{experiment}-pbt"));
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    let volume = up.get("default", &format!("pv/{volume}"));
    Path::new(volume["spec"]["hostPath"]["path"].as_str().unwrap()).join(experiment)
}

fn folders(volume: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(volume).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Every trial found what its labels say, once; and of what there was only that is left which may be
/// continued.
fn is_as_the_labels_say(up: &Up, told: &Path) {
    let trials = trials(up);
    let mut found: Vec<Vec<String>> = Vec::new();
    for line in fs::read_to_string(told).unwrap().lines() {
        found.push(line.split_whitespace().map(str::to_owned).collect());
    }
    let mut expected: Vec<_> = trials.keys().map(|name| chain(&trials, name)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(found.iter().any(|chain| chain.len() > 2), "{found:?}");
    let adopts = |chain: &Vec<String>| {
        let member = |name: &String| label(&trials[name], "diwan.dev/member");
        chain.iter().any(|name| member(name) != member(&chain[0]))
    };
    assert!(
        found.iter().any(adopts),
        "nobody continued another: {found:?}"
    );
    let volume = volume(up, "herd");
    wait_for("what is spent to go", || {
        (folders(&volume) == latest(&trials)).then_some(())
    });
    for name in latest(&trials) {
        let text = fs::read_to_string(volume.join(&name).join("lineage")).unwrap();
        let names: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(names, chain(&trials, &name));
    }
}

#[test]
fn trials_go_on_from_the_checkpoints_that_their_labels_name() {
    let up = Up::start();
    let told = up.folder().join("told");
    up.kubectl_with("create -f -", &yaml(&lineage(&told, "0"), 20, ""))
        .ok();
    let done = up.completed("default", "herd");
    assert_eq!(done["status"]["trialsSucceeded"], 20, "{done:#}");
    is_as_the_labels_say(&up, &told);
}

#[test]
fn a_population_survives_kills_and_a_larger_budget() {
    let mut up = Up::start();
    let told = up.folder().join("told");
    let policy = "resumePolicy: FromVolume";
    let file = yaml(&lineage(&told, "0.3"), 20, policy);
    up.kubectl_with("create -f -", &file).ok();
    for ended in [2, 7, 13] {
        wait_for("some trials to end", || {
            let experiment = up.get("default", "experiment/herd");
            let succeeded = experiment["status"]["trialsSucceeded"].as_u64();
            (succeeded.unwrap_or_default() >= ended).then_some(())
        });
        up.kill();
        up.launch();
    }
    let done = up.completed("default", "herd");
    assert_eq!(done["status"]["trialsSucceeded"], 20, "{done:#}");
    is_as_the_labels_say(&up, &told);
    let more = r#"patch experiment herd --type=merge -p {"spec":{"maxTrialCount":26}}"#;
    up.kubectl(more).ok();
    wait_for("the experiment to go on", || {
        let experiment = up.get("default", "experiment/herd");
        (experiment["status"]["trials"] == 26 && has_condition(&experiment, "Succeeded"))
            .then_some(())
    });
    is_as_the_labels_say(&up, &told);
}

/// An experiment of Katib's or ours with the checkpoints of `pbt-toy`: every trial begins with the
/// epoch after the one where that which it continues has ended.
fn epochs_go_on(up: &Up, experiment: &str, epochs: u64) {
    let trials = trials(up);
    let epoch = |trial: &Value, which: &str| -> f64 {
        let metrics = trial["status"]["observation"]["metrics"]
            .as_array()
            .unwrap();
        let metric = metrics.iter().find(|m| m["name"] == "epoch").unwrap();
        metric[which].as_str().unwrap().parse().unwrap()
    };
    for (name, trial) in &trials {
        let begin = (chain(&trials, name).len() as u64 - 1) * epochs;
        assert_eq!(epoch(trial, "min"), (begin + 1) as f64, "{name}");
        assert_eq!(epoch(trial, "latest"), (begin + epochs) as f64, "{name}");
    }
    let volume = volume(up, experiment);
    for name in latest(&trials) {
        let text = fs::read_to_string(volume.join(&name).join("training.json")).unwrap();
        let checkpoint: Value = serde_json::from_str(&text).unwrap();
        let step = checkpoint["step"].as_f64().unwrap();
        assert_eq!(step, epoch(&trials[&name], "latest"));
    }
}

#[test]
fn the_example_trains_a_population() {
    let up = Up::start();
    let file = root().join("examples/pbt/experiment.yaml");
    let text = fs::read_to_string(file).unwrap();
    let text = text
        .replace("maxTrialCount: 160", "maxTrialCount: 24")
        .replace("value: \"8\"", "value: \"6\"");
    up.kubectl_with("create -f -", &text).ok();
    let done = up.completed("default", "pbt");
    assert_eq!(done["status"]["trialsSucceeded"], 24, "{done:#}");
    epochs_go_on(&up, "pbt", 10);
    let best = &done["status"]["currentOptimalTrial"]["observation"]["metrics"];
    let best = best.as_array().unwrap().iter();
    let best = best.clone().find(|m| m["name"] == "Validation-accuracy");
    assert!(
        best.unwrap()["latest"]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap()
            > 0.0
    );
}

#[test]
fn the_example_of_katib_runs_unchanged() {
    let image = root().join("examples/pbt/image");
    let image = format!("ghcr.io/kubeflow/katib/simple-pbt={}", image.display());
    let up = Up::with(&["--image", &image]);
    let file = root().join("api/tests/fixtures/katib/simple-pbt.yaml");
    let created = up.kubectl(&format!("create -f {}", file.display()));
    let warning = "Warning: spec.maxFailedTrialCount: 3 is more than spec.maxTrialCount (2)";
    assert!(created.stderr.contains(warning), "{}", created.stderr);
    created.ok();
    let done = up.completed("kubeflow", "simple-pbt");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    let claim = up.get("kubeflow", "pvc/simple-pbt-pbt");
    assert_eq!(claim["status"]["phase"], "Bound");
}
