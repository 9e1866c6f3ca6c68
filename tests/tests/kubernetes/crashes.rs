//! Parts of the cluster that end, stand still or stay away, and Diwan itself.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::thread::sleep;
use std::time::Duration;

use diwan_tests::cluster::Cluster;
use diwan_tests::experiment::Experiment;
use diwan_tests::wait_for;

use crate::Case;
use crate::steps::{condition, create, delete, endures, setting, short, trials};

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
    (
        "names of Services do not resolve for a while",
        outlives_names,
    ),
];

fn survives(cluster: &Cluster) {
    let kills: u32 = setting("DIWAN_TEST_KILLS", 6);
    let experiment = Experiment {
        name: "killed",
        max: 2 * kills,
        script: "sleep 2; echo loss=$0",
        ..Experiment::default()
    };
    endures(cluster, &experiment, || {
        for kill in 0..kills {
            cluster.await_controller();
            sleep(Duration::from_millis(random() % 4000));
            // Crashes of one pod would be answered later and later.
            if kill % 2 == 0 {
                cluster.kill_controller();
            } else {
                cluster.remove_controller();
            }
            // Once in a while again while it starts.
            if kill % 5 == 4 {
                sleep(Duration::from_millis(random() % 2000));
                cluster.remove_controller();
            }
        }
        let object = cluster.get("default", "experiment/killed");
        println!("after {kills} kills: {}", object["status"]["trials"]);
    });
}

/// Another number each time.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn outlives_the_api(cluster: &Cluster) {
    endures(cluster, &short("api-killed"), || {
        cluster.component("kill", "kube-apiserver");
        sleep(Duration::from_secs(3));
        cluster.component("start", "kube-apiserver");
    });
}

fn outlives_etcd(cluster: &Cluster) {
    endures(cluster, &short("etcd-paused"), || {
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
    endures(cluster, &short("kubelet-away"), || {
        cluster.component("stop", "kubelet");
        sleep(Duration::from_mins(1));
        cluster.component("start", "kubelet");
    });
}

fn outlives_names(cluster: &Cluster) {
    cluster.component("stop", "coredns");
    let experiment = Experiment {
        name: "nameless",
        max: 2,
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let why = wait_for("a trial that says what is missing", || {
        trials(cluster, "nameless")
            .iter()
            .map(|t| condition(t, "Running"))
            .find(|message| message.contains("katib-db-manager.kubeflow:6789"))
    });
    println!("{why}");
    cluster.component("start", "coredns");
    let done = cluster.completed("default", "nameless");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    delete(cluster, "nameless");
}
