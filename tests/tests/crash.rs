//! The door of the power cord: `kill -9` of `diwan up` in the middle of an experiment.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;

use diwan_tests::experiment::Experiment;
use diwan_tests::process::{mounts_with, processes_with};
use diwan_tests::up::{Up, is_completed};
use diwan_tests::wait_for;

/// Moments at which the process is killed, in milliseconds after it serves: spread over the time
/// that a trial takes by a fixed linear congruential sequence.
fn moments(count: usize) -> impl Iterator<Item = u64> {
    let mut state: u64 = 12;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 700
    })
    .take(count)
}

fn survives(kills: usize, trials: u32, seconds: &str) {
    let mut up = Up::start();
    let ledger = up.folder().join("ledger");
    fs::create_dir(&ledger).unwrap();
    // Each program says that it began and that it ended; O_APPEND keeps the lines whole.
    let script = format!(
        "echo begin $KATIB_TRIAL_NAME >> {0}/all\nsleep {seconds}\n\
         echo loss=$0\necho end $KATIB_TRIAL_NAME >> {0}/all",
        ledger.display()
    );
    let yaml = Experiment {
        script: &script,
        max: trials,
        parallel: 4,
        ..Experiment::default()
    };
    up.kubectl_with("apply -f -", &yaml.yaml()).ok();
    for moment in moments(kills) {
        std::thread::sleep(std::time::Duration::from_millis(moment));
        up.kill();
        up.launch();
    }
    let done = up.completed("default", "bowl");
    let count = usize::try_from(trials).unwrap();
    assert_eq!(
        done["status"]["trialsSucceeded"], trials,
        "{:#}",
        done["status"]
    );
    assert_eq!(done["status"]["trials"], trials);
    assert_eq!(
        up.get("default", "trials")["items"]
            .as_array()
            .unwrap()
            .len(),
        count
    );
    let lines = fs::read_to_string(ledger.join("all")).unwrap();
    for word in ["begin", "end"] {
        let mut names: Vec<&str> = lines
            .lines()
            .filter_map(|line| line.strip_prefix(word))
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(
            (all, names.len()),
            (count, count),
            "{word}: each trial's program once\n{lines}"
        );
    }
    nothing_stays(&mut up);
}

fn nothing_stays(up: &mut Up) {
    let data = up.data().display().to_string();
    assert_eq!(up.stop(), Some(0));
    wait_for("all processes to end", || {
        processes_with(&data).is_empty().then_some(())
    });
    assert_eq!(mounts_with(&data), Vec::<String>::new());
}

#[test]
fn an_experiment_survives_kills_at_any_moment() {
    // `DIWAN_TEST_KILLS=30 DIWAN_TEST_TRIALS=60` is the long form.
    let number = |name: &str, default: u32| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let kills = number("DIWAN_TEST_KILLS", 8);
    survives(kills as usize, number("DIWAN_TEST_TRIALS", 16), "1");
}

#[test]
fn ctrl_c_ends_running_trials_and_leaves_nothing() {
    let mut up = Up::start();
    let marker = up.folder().join("started");
    let script = format!("touch {}\nsleep 1000", marker.display());
    let yaml = Experiment {
        script: &script,
        ..Experiment::default()
    };
    up.kubectl_with("apply -f -", &yaml.yaml()).ok();
    wait_for("a trial to start", || marker.exists().then_some(()));
    assert!(!is_completed(&up.get("default", "experiment/bowl")));
    nothing_stays(&mut up);
}

#[test]
fn a_second_process_on_the_same_data_says_so() {
    let up = Up::start();
    let data = up.data();
    let said = diwan_tests::process::run(
        up.command(diwan_tests::diwan())
            .arg("up")
            .arg("--data")
            .arg(&data),
    )
    .err();
    assert!(said.contains("in use"), "{said}");
}
