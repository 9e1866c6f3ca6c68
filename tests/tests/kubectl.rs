//! The door of `kubectl`: the real program against `diwan up`.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::process::Stdio;

use diwan_tests::experiment::Experiment;
use diwan_tests::up::{Up, has_condition};
use diwan_tests::wait_for;

#[test]
fn an_experiment_is_applied_shown_described_and_waited_for() {
    let up = Up::start();
    let yaml = Experiment {
        max: 4,
        ..Experiment::default()
    }
    .yaml();
    let said = up.kubectl_with("apply -f -", &yaml).ok();
    assert_eq!(said.trim(), "experiment.kubeflow.org/bowl created");
    up.kubectl("wait experiment/bowl --for=condition=Succeeded --timeout=120s")
        .ok();

    let table = up.kubectl("get experiment bowl").ok();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NAME", "TYPE", "STATUS", "AGE"], "{table}");
    assert_eq!(lines[1][..3], ["bowl", "Succeeded", "True"], "{table}");

    let described = up.kubectl("describe experiment bowl").ok();
    for expected in [
        "Current Optimal Trial",
        "ExperimentMaxTrialsReached",
        "Events:",
    ] {
        assert!(
            described.contains(expected),
            "{expected} is missing in\n{described}"
        );
    }
    let trials = up.get("default", "trials -l katib.kubeflow.org/experiment=bowl");
    assert_eq!(trials["items"].as_array().unwrap().len(), 4);
    let trial = trials["items"][0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    wait_for("the trial's events", || {
        let described = up.kubectl(&format!("describe trial {trial}")).ok();
        described.contains("JobCreated").then_some(())
    });

    // The same file again changes nothing.
    let before = up.get("default", "experiment/bowl");
    up.kubectl_with("apply -f -", &yaml).ok();
    assert_eq!(up.get("default", "experiment/bowl"), before);
}

#[test]
fn a_watch_shows_an_experiment_until_it_is_deleted_with_all_it_made() {
    let up = Up::start();
    let mut watch = up
        .command("kubectl")
        .args([
            "get",
            "experiments",
            "-w",
            "--output-watch-events",
            "--no-headers",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    up.kubectl_with("apply -f -", &Experiment::default().yaml())
        .ok();
    up.completed("default", "bowl");
    up.kubectl("delete experiment bowl --cascade=foreground --timeout=120s")
        .ok();
    for what in ["trials", "suggestions", "jobs", "pods"] {
        wait_for(what, || {
            let rest = up.get("default", what);
            rest["items"].as_array().unwrap().is_empty().then_some(())
        });
    }
    watch.kill().unwrap();
    let seen = String::from_utf8(watch.wait_with_output().unwrap().stdout).unwrap();
    let verbs: Vec<&str> = seen
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert_eq!(verbs.first(), Some(&"ADDED"), "{seen}");
    assert!(verbs.contains(&"MODIFIED"), "{seen}");
    assert_eq!(verbs.last(), Some(&"DELETED"), "{seen}");
    assert!(seen.contains("Succeeded"), "{seen}");
}

#[test]
fn every_error_of_a_broken_experiment_is_named_and_nothing_is_stored() {
    let up = Up::start();
    let broken = Experiment::default()
        .yaml()
        .replace("min: \"0\"", "min: \"2\"")
        .replace("type: minimize", "type: smallest")
        .replace("maxTrialCount: 6", "maxTrialCount: 0")
        .replace("parallelTrialCount: 2", "parallelTrialCount: two")
        .replace("algorithmName: random", "algorithmName: psychic");
    let said = up.kubectl_with("apply -f -", &broken).err();
    for field in [
        "spec.objective.type",
        "spec.parallelTrialCount",
        "spec.maxTrialCount",
        "spec.parameters[0].feasibleSpace.min",
        "spec.algorithm.algorithmName",
    ] {
        let count = said.matches(&format!("{field}: ")).count();
        assert_eq!(count, 1, "{field} in\n{said}");
    }
    assert!(
        up.get("default", "experiments")["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_field_that_does_not_exist_is_refused_by_its_name() {
    let up = Up::start();
    let typo = Experiment::default()
        .yaml()
        .replace("maxTrialCount:", "maxTrialsCount:");
    let said = up.kubectl_with("apply -f -", &typo).err();
    assert!(
        said.contains("unknown field \"spec.maxTrialsCount\""),
        "{said}"
    );
}

#[test]
fn the_budget_of_a_finished_experiment_is_raised_by_a_patch() {
    let up = Up::start();
    let yaml = Experiment {
        max: 2,
        extra: "resumePolicy: LongRunning",
        ..Experiment::default()
    };
    up.kubectl_with("apply -f -", &yaml.yaml()).ok();
    up.completed("default", "bowl");
    up.kubectl(r#"patch experiment bowl --type=merge -p {"spec":{"maxTrialCount":5}}"#)
        .ok();
    let done = wait_for("five trials", || {
        let object = up.get("default", "experiment/bowl");
        (object["status"]["trialsSucceeded"] == 5 && has_condition(&object, "Succeeded"))
            .then_some(object)
    });
    assert_eq!(done["status"]["trials"], 5);
}

#[test]
fn logs_are_followed_while_a_trial_runs_and_can_be_read_under_the_collectors_name() {
    let up = Up::start();
    let script = "echo first\nuntil test -e GO; do sleep 0.05; done\necho loss=0.5\necho last";
    let go = up.folder().join("go");
    let script = script.replace("GO", go.to_str().unwrap());
    let yaml = Experiment {
        script: &script,
        max: 1,
        parallel: 1,
        ..Experiment::default()
    };
    let yaml = yaml
        .yaml()
        .replace("  trialTemplate:\n", "  trialTemplate:\n    retain: true\n");
    up.kubectl_with("apply -f -", &yaml).ok();
    let pod = wait_for("the pod", || {
        let pods = up.get("default", "pods");
        let pod = &pods["items"][0];
        let phase = pod["status"]["phase"].as_str()?;
        (phase == "Running").then(|| pod["metadata"]["name"].as_str().unwrap().to_owned())
    });
    let follow = up
        .command("kubectl")
        .args(["logs", "-f", &pod])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the first line", || {
        let log = up.kubectl(&format!("logs {pod}"));
        (log.code == Some(0) && log.stdout == "first\n").then_some(())
    });
    std::fs::write(&go, "").unwrap();
    let followed = follow.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&followed.stdout),
        "first\nloss=0.5\nlast\n"
    );
    // kubectl itself looks the container up in the pod; SDKs ask for it as Katib names it.
    let path = format!("/api/v1/namespaces/default/pods/{pod}/log");
    let alias = up
        .kubectl(&format!(
            "get --raw {path}?container=metrics-logger-and-collector&tailLines=1"
        ))
        .ok();
    assert_eq!(alias, "last\n");
    let wrong = up.kubectl(&format!("logs {pod} -c nobody")).err();
    assert!(wrong.contains("nobody"), "{wrong}");
}

#[test]
fn explain_knows_the_fields_of_an_experiment() {
    let up = Up::start();
    let text = up.kubectl("explain experiment.spec").ok();
    assert!(text.contains("parallelTrialCount"), "{text}");
    assert!(text.contains("How many trials may run at a time"), "{text}");
    let deep = up
        .kubectl("explain experiment.spec.parameters.feasibleSpace")
        .ok();
    assert!(deep.contains("distribution"), "{deep}");
}

#[test]
fn experiments_of_the_same_name_in_two_namespaces_do_not_touch_each_other() {
    let up = Up::start();
    up.kubectl("create namespace team").ok();
    let here = Experiment {
        max: 3,
        ..Experiment::default()
    };
    let there = Experiment {
        namespace: "team",
        max: 5,
        script: "echo loss=7$0",
        ..Experiment::default()
    };
    up.kubectl_with(
        "apply -f -",
        &format!("{}\n---\n{}", here.yaml(), there.yaml()),
    )
    .ok();
    let here = up.completed("default", "bowl");
    let there = up.completed("team", "bowl");
    assert_eq!(
        (&here["status"]["trials"], &there["status"]["trials"]),
        (&3.into(), &5.into())
    );
    let best = |experiment: &serde_json::Value| -> f64 {
        let metric = &experiment["status"]["currentOptimalTrial"]["observation"]["metrics"][0];
        metric["min"].as_str().unwrap().parse().unwrap()
    };
    assert!(best(&here) <= 1.0, "{here}");
    assert!(best(&there) >= 70.0, "{there}");
    up.kubectl("delete experiment bowl -n team --timeout=120s")
        .ok();
    assert_eq!(
        up.get("default", "trials")["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}
