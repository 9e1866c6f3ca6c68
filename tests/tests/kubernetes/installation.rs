//! What `diwan install` prints, and how an installation is removed, as docs/cluster.md has it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use diwan_tests::cluster::{Cluster, SYSTEM};
use diwan_tests::diwan;
use diwan_tests::experiment::Experiment;
use diwan_tests::process::run;

use crate::Case;
use crate::steps::{create, retained, yaml};

/// In this order, and after all others: little is left.
pub(crate) const CASES: &[Case] = &[
    ("an installation that is applied again", changes_nothing),
    ("an installation is removed, and its namespace stays", goes),
    ("an installation is removed with its namespace", goes_wholly),
];

/// In place of the last line that the documentation has first, where others live in the namespace.
const BESIDE_OTHERS: [&str; 3] = [
    "-n kubeflow delete deployment,statefulset,service,networkpolicy,poddisruptionbudget,\
     serviceaccount,role,rolebinding,persistentvolumeclaim -l app.kubernetes.io/name=diwan",
    "-n kubeflow delete secret,lease diwan-controller",
    "delete clusterrole,clusterrolebinding,customresourcedefinition -l app.kubernetes.io/name=diwan",
];

fn manifests(cluster: &Cluster) -> String {
    let mut install = cluster.command(diwan());
    let image = ["--image", "diwan.test/diwan:1"];
    run(install
        .args(["install", "--variant", "standalone"])
        .args(image))
    .ok()
}

fn changes_nothing(cluster: &Cluster) {
    let manifests = manifests(cluster);
    let apply = "apply --server-side --force-conflicts -f -";
    cluster.kubectl_with(apply, &manifests).ok();
    cluster.await_controller();
    // What the controller writes into these objects is its own: nobody has to force anything.
    let again = "apply --server-side --dry-run=server -f -";
    cluster.kubectl_with(again, &manifests).ok();
    let same = cluster.kubectl_with("diff --server-side -f -", &manifests);
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (Some(0), ""),
        "{}",
        same.stderr
    );
    // A dry run that could tell nothing would say the same of another image.
    let other = manifests.replace("diwan.test/diwan:1", "diwan.test/diwan:2");
    let differs = cluster.kubectl_with("diff --server-side -f -", &other);
    let added = differs.stdout.lines().filter(|line| line.starts_with("+ "));
    let added: Vec<&str> = added.map(|line| line[1..].trim()).collect();
    let image = "image: diwan.test/diwan:2";
    assert!(
        added.contains(&image),
        "{}{}",
        differs.stdout,
        differs.stderr
    );
    let is_known =
        |line: &&str| line.trim_start_matches("- ") == image || line.starts_with("generation: ");
    assert!(added.iter().all(is_known), "{added:?}");
    cluster.install();
}

fn goes(cluster: &Cluster) {
    let mine = "-n kubeflow create configmap mine --from-literal=a=b";
    cluster.kubectl(mine).ok();
    leave(cluster);
    for line in BESIDE_OTHERS {
        cluster.kubectl(&format!("{line} --timeout=120s")).ok();
    }
    goes_but(cluster, &[&format!("namespace/{SYSTEM}")]);
    cluster.kubectl("-n kubeflow get configmap mine").ok();
    cluster.install();
    works(cluster);
}

fn goes_wholly(cluster: &Cluster) {
    leave(cluster);
    cluster
        .kubectl_with("delete -f - --timeout=120s", &manifests(cluster))
        .ok();
    goes_but(cluster, &[]);
    cluster.install();
    works(cluster);
}

/// What both ways begin with, while an experiment's trials are there.
fn leave(cluster: &Cluster) {
    let experiment = Experiment {
        name: "left",
        script: "sleep 1; echo loss=$0",
        max: 50,
        ..Experiment::default()
    };
    let file = retained(&yaml(&experiment));
    cluster.kubectl_with("create -f -", &file).ok();
    cluster.await_object("default", "experiment/left", "a first trial", |object| {
        object["status"]["trialsSucceeded"].as_i64() > Some(0)
    });
    for line in [
        "delete experiments,trials --all --all-namespaces --timeout=120s",
        "delete mutatingwebhookconfiguration,validatingwebhookconfiguration diwan.dev",
    ] {
        cluster.kubectl(line).ok();
    }
}

fn works(cluster: &Cluster) {
    let experiment = Experiment {
        name: "again",
        max: 2,
        ..Experiment::default()
    };
    create(cluster, &experiment);
    let done = cluster.completed("default", "again");
    assert_eq!(done["status"]["trialsSucceeded"], 2, "{done:#}");
    crate::steps::delete(cluster, "again");
}

/// Waits until nothing is left but that; pods take their time to end.
fn goes_but(cluster: &Cluster, expected: &[&str]) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let left = what_is_left(cluster);
        if left == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{left:?}");
        sleep(Duration::from_secs(1));
    }
}

/// The objects of all kinds that have Diwan's label or a name of Diwan's or Katib's.
fn what_is_left(cluster: &Cluster) -> Vec<String> {
    let kinds = cluster
        .kubectl("api-resources --verbs=list --output=name")
        .ok();
    // What happened stays to be read for an hour; how requests are counted is the tests' own.
    let skipped = [
        "events",
        "events.events.k8s.io",
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    ];
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !skipped.contains(kind))
        .collect();
    assert!(kinds.len() > 20, "{kinds:?}");
    let list = format!("get {} --all-namespaces --output=name", kinds.join(","));
    let labelled = cluster
        .kubectl(&format!("{list} -l app.kubernetes.io/name=diwan"))
        .ok();
    let named = cluster.kubectl(&list).ok();
    let named = named.lines().filter(|name| {
        ["diwan", "katib", "experiment=", "trial"]
            .iter()
            .any(|word| name.contains(word))
    });
    let mut left: Vec<String> = labelled.lines().chain(named).map(str::to_owned).collect();
    left.sort_unstable();
    left.dedup();
    left
}
