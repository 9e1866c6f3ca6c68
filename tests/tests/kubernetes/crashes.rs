//! Parts of the cluster that end, stand still or stay away, and Diwan itself.

use std::thread::sleep;
use std::time::Duration;

use diwan_tests::cluster::Cluster;
use diwan_tests::experiment::Experiment;
use diwan_tests::wait_for;

use crate::Case;
use crate::steps::{create, delete, trials};

/// In this order.
pub(crate) const CASES: &[Case] = &[
    (
        "a controller that is killed again and again loses nothing",
        survives,
    ),
    (
        "the API server is killed and started again",
        outlives_the_api,
    ),
    ("etcd stands still for 20 seconds", outlives_etcd),
    ("the kubelet is away for a minute", outlives_the_kubelet),
];

fn survives(cluster: &Cluster) {
    endures(cluster, "killed", || {
        for _ in 0..2 {
            cluster.kill_controller();
            sleep(Duration::from_secs(3));
            cluster.remove_controller();
            sleep(Duration::from_secs(3));
        }
        cluster.await_controller();
    });
}

fn outlives_the_api(cluster: &Cluster) {
    endures(cluster, "api-killed", || {
        cluster.component("kill", "kube-apiserver");
        sleep(Duration::from_secs(3));
        cluster.component("start", "kube-apiserver");
    });
}

fn outlives_etcd(cluster: &Cluster) {
    endures(cluster, "etcd-paused", || {
        cluster.component("pause", "etcd");
        sleep(Duration::from_secs(20));
        cluster.component("resume", "etcd");
        // The API server may need a while to find back.
        wait_for("the API server", || {
            let asked = cluster.kubectl("get --raw /readyz --request-timeout=5s");
            (asked.code == Some(0)).then_some(())
        });
    });
}

fn outlives_the_kubelet(cluster: &Cluster) {
    endures(cluster, "kubelet-away", || {
        cluster.component("stop", "kubelet");
        sleep(Duration::from_mins(1));
        cluster.component("start", "kubelet");
    });
}

/// An experiment during which something happens to the cluster: it ends with each trial once, and
/// each with its own value.
fn endures(cluster: &Cluster, name: &str, trouble: impl FnOnce()) {
    let experiment = Experiment {
        name,
        max: 9,
        parallel: 3,
        script: "sleep 1; echo loss=$0",
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let what = format!("experiment/{name}");
    cluster.await_object("default", &what, "a first trial", |object| {
        object["status"]["trialsSucceeded"].as_i64() > Some(0)
    });
    trouble();
    let done = cluster.completed("default", name);
    assert_eq!(done["status"]["trialsSucceeded"], 9, "{done:#}");
    let trials = trials(cluster, name);
    assert_eq!(trials.len(), 9);
    for trial in &trials {
        let metric = &trial["status"]["observation"]["metrics"][0];
        assert_eq!(
            metric["latest"],
            trial["spec"]["parameterAssignments"][0]["value"]
        );
    }
    delete(cluster, name);
}
