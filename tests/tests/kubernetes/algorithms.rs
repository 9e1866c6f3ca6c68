//! Searches: each algorithm gets its history from the cluster, and hands on what it keeps there.

use std::collections::BTreeSet;

use diwan_tests::cluster::Cluster;
use diwan_tests::experiment::Experiment;
use diwan_tests::kubectl::has_condition;

use crate::Case;
use crate::steps::{assignment, delete, trials, with_algorithm, with_parameter, yaml};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("searches of several algorithms at once", search),
    (
        "hyperband hands the best on to more of its resource",
        hands_on,
    ),
    (
        "a grid that is given more trials goes on where it was",
        goes_on,
    ),
];

fn search(cluster: &Cluster) {
    // So few trials first that the models are used, too.
    let searches = [
        ("tpe", "[{name: n_startup_trials, value: \"2\"}]"),
        (
            "bayesianoptimization",
            "[{name: n_initial_points, value: \"2\"}]",
        ),
        ("cmaes", "[{name: sigma, value: \"0.3\"}]"),
        ("sobol", "[{name: random_state, value: \"3\"}]"),
    ];
    for (algorithm, settings) in searches {
        let experiment = Experiment {
            name: &format!("with-{algorithm}"),
            max: 5,
            ..Experiment::default()
        };
        let text = with_algorithm(&yaml(&experiment), algorithm, settings);
        // CMA-ES wants two dimensions.
        let text = with_parameter(&text, "z", "double", "{min: \"1\", max: \"2\"}");
        cluster.kubectl_with("create -f -", &text).ok();
    }
    for (algorithm, _) in searches {
        let name = format!("with-{algorithm}");
        let done = cluster.completed("default", &name);
        assert!(has_condition(&done, "Succeeded"), "{done:#}");
        let trials = trials(cluster, &name);
        let drawn: BTreeSet<String> = trials.iter().map(|t| assignment(t, "x")).collect();
        assert_eq!(drawn.len(), 5, "{algorithm}: {drawn:?}");
        let numbers = drawn.iter().map(|x| x.parse::<f64>().unwrap());
        let smallest = numbers.clone().fold(f64::INFINITY, f64::min);
        assert!(numbers.clone().all(|x| (0.0..=1.0).contains(&x)));
        let best = &done["status"]["currentOptimalTrial"]["observation"]["metrics"][0]["min"];
        let best: f64 = best.as_str().unwrap().parse().unwrap();
        assert_eq!(best, smallest, "{algorithm}: {done:#}");
        delete(cluster, &name);
    }
}

fn hands_on(cluster: &Cluster) {
    let experiment = Experiment {
        name: "brackets",
        max: 6,
        parallel: 3,
        ..Experiment::default()
    };
    let settings = "[{name: resource_name, value: epochs}, {name: r_l, value: \"3\"}, \
                    {name: eta, value: \"3\"}]";
    let text = with_algorithm(&yaml(&experiment), "hyperband", settings);
    let text = with_parameter(&text, "epochs", "int", "{min: \"1\", max: \"3\"}");
    cluster.kubectl_with("create -f -", &text).ok();
    let done = cluster.completed("default", "brackets");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");
    // Three with one epoch, the best of them with three; then two that begin with three.
    let trials = trials(cluster, "brackets");
    let of = |epochs: &str| -> Vec<(String, String)> {
        let with = trials.iter().filter(|t| assignment(t, "epochs") == epochs);
        with.map(|t| {
            let label = &t["metadata"]["labels"]["diwan.dev/bracket"];
            (
                label.as_str().unwrap_or_default().to_owned(),
                assignment(t, "x"),
            )
        })
        .collect()
    };
    let (short, long) = (of("1"), of("3"));
    assert_eq!((short.len(), long.len()), (3, 3), "{trials:#?}");
    let number = |x: &str| x.parse::<f64>().unwrap();
    let best = short.iter().map(|(_, x)| number(x)).fold(1.0, f64::min);
    let handed_on: Vec<f64> = long
        .iter()
        .filter(|(bracket, _)| *bracket == short[0].0)
        .map(|(_, x)| number(x))
        .collect();
    assert_eq!(handed_on, [best], "{short:?} {long:?}");
    delete(cluster, "brackets");
}

fn goes_on(cluster: &Cluster) {
    let experiment = Experiment {
        name: "continued",
        max: 2,
        ..Experiment::default()
    };
    let text = with_algorithm(&yaml(&experiment), "grid", "[]")
        .replace("max: \"1\"}", "max: \"3\", step: \"1\"}")
        .replace(
            "  parallelTrialCount",
            "  resumePolicy: LongRunning\n  parallelTrialCount",
        );
    cluster.kubectl_with("create -f -", &text).ok();
    let done = cluster.completed("default", "continued");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    let more = r#"{"spec":{"maxTrialCount":4}}"#;
    cluster
        .kubectl(&format!(
            "patch experiment continued --type=merge -p {more}"
        ))
        .ok();
    let done = cluster.await_object("default", "experiment/continued", "two more trials", |e| {
        e["status"]["trialsSucceeded"] == 4 && has_condition(e, "Succeeded")
    });
    let conditions = done["status"]["conditions"].as_array().unwrap();
    assert!(
        conditions.iter().any(|c| c["type"] == "Restarting"),
        "{done:#}"
    );
    let points: BTreeSet<String> = trials(cluster, "continued")
        .iter()
        .map(|t| assignment(t, "x"))
        .collect();
    assert_eq!(points.len(), 4, "{points:?}");
    delete(cluster, "continued");
}
