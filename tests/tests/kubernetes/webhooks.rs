//! The webhooks: whom they are asked about, and their certificates.

use diwan_tests::cluster::{BUSYBOX, Cluster, SYSTEM};
use diwan_tests::experiment::Experiment;
use diwan_tests::wait_for;

use crate::Case;
use crate::steps::{create, delete};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    ("others' pods start while the controller is away", spares),
    ("the authority of the webhooks is made anew", rotates),
];

fn spares(cluster: &Cluster) {
    cluster
        .kubectl(&format!(
            "-n {SYSTEM} scale deployment/diwan-controller --replicas=0"
        ))
        .ok();
    wait_for("the controller to go", || {
        cluster.controllers().is_empty().then_some(())
    });
    cluster
        .kubectl(&format!(
            "run other --image={BUSYBOX} --restart=Never -- true"
        ))
        .ok();
    cluster.await_object("default", "pod/other", "a pod of somebody else's", |pod| {
        pod["status"]["phase"] == "Succeeded"
    });
    cluster.kubectl("delete pod other").ok();
    cluster
        .kubectl(&format!(
            "-n {SYSTEM} scale deployment/diwan-controller --replicas=1"
        ))
        .ok();
    cluster.await_controller();
}

fn rotates(cluster: &Cluster) {
    let bundle = || {
        let configuration = cluster.get("default", "mutatingwebhookconfiguration/diwan.dev");
        configuration["webhooks"][0]["clientConfig"]["caBundle"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = bundle();
    let experiment = Experiment {
        name: "rotation",
        max: 8,
        parallel: 1,
        script: "sleep 1; echo loss=$0",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    cluster
        .kubectl(&format!("-n {SYSTEM} delete secret diwan-controller"))
        .ok();
    wait_for("a new authority", || (bundle() != before).then_some(()));
    let done = cluster.completed("default", "rotation");
    assert_eq!(done["status"]["trialsSucceeded"], 8, "{done:#}");
    delete(cluster, "rotation");
}
