//! Populations: trials that go on from each other's checkpoints, in a volume that only pods see.

use std::collections::BTreeMap;

use diwan_tests::cluster::Cluster;
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::has_condition;
use diwan_tests::wait_for;

use crate::Case;
use crate::steps::{assignment, delete, trials, with_algorithm, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[(
    "trials of a population go on from the checkpoints of their parents",
    goes_on,
)];

/// Each trial says what the one before has left, and leaves its own parameter.
const SCRIPT: &str = "\
cd /checkpoints
echo before=$(cat x 2>/dev/null || echo -1)
echo $0 > draft && mv draft x
echo loss=$0";

fn goes_on(cluster: &Cluster) {
    let experiment = Experiment {
        name: "herd",
        script: SCRIPT,
        max: 12,
        parallel: 3,
        ..Experiment::default()
    };
    let settings = "[{name: suggestion_trial_dir, value: /checkpoints}, {name: n_population, value: \"5\"}, \
                    {name: truncation_threshold, value: \"0.4\"}]";
    let text = with_algorithm(&yaml(&experiment), "pbt", settings);
    let objective = "objectiveMetricName: loss\n";
    let both = format!("{objective}    additionalMetricNames: [before]\n");
    let text = text.replace(objective, &both);
    cluster.kubectl_with("create -f -", &text).ok();
    let done = cluster.completed("default", "herd");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");
    let claim = cluster.get("default", "pvc/herd-pbt");
    assert_eq!(claim["status"]["phase"], "Bound", "{claim:#}");
    let trials = trials(cluster, "herd");
    let left: BTreeMap<&str, String> = trials
        .iter()
        .map(|trial| {
            (
                trial["metadata"]["name"].as_str().unwrap(),
                assignment(trial, "x"),
            )
        })
        .collect();
    let mut parents = 0;
    for trial in &trials {
        let metrics = trial["status"]["observation"]["metrics"]
            .as_array()
            .unwrap();
        let before = metrics.iter().find(|m| m["name"] == "before").unwrap();
        let before: f64 = before["latest"].as_str().unwrap().parse().unwrap();
        let parent = &trial["metadata"]["labels"]["pbt.suggestion.katib.kubeflow.org/parent"];
        let expected = match parent.as_str() {
            Some(parent) => left[parent].parse::<f64>().unwrap(),
            None => -1.0,
        };
        assert!((before - expected).abs() < 1e-9, "{trial:#}");
        parents += usize::from(parent.is_string());
    }
    assert_eq!(parents, 7, "five begin anew");
    wait_for("the sweep to end", || {
        let found = cluster.get("default", "job/herd-pbt-sweep");
        found.is_null().then_some(())
    });
    delete(cluster, "herd");
}
