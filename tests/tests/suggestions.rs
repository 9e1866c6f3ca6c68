//! Algorithms in images on one machine: the Deployments, Services and claims that a cluster has.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use std::fs;

use diwan_tests::experiment::Experiment;
use diwan_tests::up::{Up, has_condition};
use diwan_tests::{python, root, wait_for};

/// The algorithm of `examples/custom-algorithm` as an image; it notes its starts in its volume.
fn config() -> String {
    let service = root().join("examples/custom-algorithm/service.py");
    let start = format!(
        "echo started >> /opt/katib/data/starts; exec {} {}",
        python().display(),
        service.display()
    );
    format!(
        "apiVersion: config.kubeflow.org/v1beta1
kind: KatibConfig
runtime:
  suggestions:
    - algorithmName: annealing
      image: example.com/annealing:1
      command: [sh, -c, {start:?}]
      env:
        - name: POD_IP
          valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}
        - {{name: LISTEN, value: \"$(POD_IP):6789\"}}
"
    )
}

#[test]
fn an_algorithm_in_an_image_goes_on_with_its_volume() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("katib-config.yaml");
    fs::write(&file, config()).unwrap();
    let mut up = Up::with(&["--config", file.to_str().unwrap()]);
    let experiment = Experiment {
        name: "kept",
        max: 2,
        extra: "resumePolicy: FromVolume",
        ..Experiment::default()
    };
    let text = experiment
        .yaml()
        .replace("algorithmName: random", "algorithmName: annealing");
    up.kubectl_with("create -f -", &text).ok();
    let done = up.completed("default", "kept");
    assert!(has_condition(&done, "Succeeded"), "{done:#}");
    // What answers goes, what it has written stays.
    wait_for("the Deployment to go", || {
        let found = up.kubectl("get deployment kept-annealing");
        (found.code != Some(0)).then_some(())
    });
    let claim = up.get("default", "pvc/kept-annealing");
    assert_eq!(claim["status"]["phase"], "Bound");
    let volume = claim["spec"]["volumeName"].as_str().unwrap();
    let volume = up.get("default", &format!("pv/{volume}"));
    let path = volume["spec"]["hostPath"]["path"].as_str().unwrap();
    let starts = || fs::read_to_string(format!("{path}/starts")).unwrap();
    assert_eq!(starts(), "started\n");
    up.kubectl("patch experiment kept --type=merge -p {\"spec\":{\"maxTrialCount\":4}}")
        .ok();
    wait_for("two more trials", || {
        let seen = up.get("default", "experiment/kept");
        let all = seen["status"]["trialsSucceeded"] == 4;
        (all && has_condition(&seen, "Succeeded")).then_some(())
    });
    assert_eq!(starts(), "started\nstarted\n");
    up.kubectl("delete experiment kept").ok();
    wait_for("the volume to go", || {
        (!std::path::Path::new(path).exists()).then_some(())
    });
    assert_eq!(up.stop(), Some(0));
}
