//! The door of the Python SDK: the unmodified `kubeflow-katib` against `diwan up`.

#![allow(clippy::unwrap_used)] // a test may fail on the spot

use diwan_tests::process::run;
use diwan_tests::up::Up;
use diwan_tests::{python, root};

#[test]
fn the_katib_sdk_tunes_a_local_python_function() {
    let up = Up::start();
    let script = root().join("tests/sdk/katib_sdk.py");
    let ran = run(up.command(python()).arg(script).arg(&up.db_manager));
    let said = ran.ok();
    assert!(said.ends_with("all checks passed\n"), "{said}");
}

#[test]
fn an_algorithm_in_python_is_started_and_searched_with() {
    let config = root().join("examples/custom-algorithm/katib-config.yaml");
    let mut up = Up::with(&["--config", config.to_str().unwrap()]);
    let file = root().join("examples/custom-algorithm/experiment.yaml");
    up.kubectl(&format!("apply -f {}", file.display())).ok();
    let list = up
        .kubectl("get experiments -A -o jsonpath={.items[0].metadata.name}")
        .ok();
    let namespace = up
        .kubectl("get experiments -A -o jsonpath={.items[0].metadata.namespace}")
        .ok();
    let done = up.completed(&namespace, &list);
    assert!(
        diwan_tests::up::has_condition(&done, "Succeeded"),
        "{done:#}"
    );
    assert_eq!(up.stop(), Some(0));
    let left = diwan_tests::process::processes_with("examples/custom-algorithm");
    assert_eq!(left, Vec::<String>::new());
}
