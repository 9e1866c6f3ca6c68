//! The node is killed and another takes over.

use std::fs;
use std::path::PathBuf;

use diwan_embedded::resource::{JOBS, PODS};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::cluster::{Cluster, shell, state};

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_outlives_the_node_and_is_found_by_the_next() {
    let mut cluster = Cluster::start().await;
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let script = format!(
        "echo run >> {}; until test -e {}; do sleep 0.01; done; echo done; exit 5",
        runs.display(),
        go.display()
    );
    cluster.script("p", &script).await;
    cluster.file(&runs, |text| text == "run\n").await;
    cluster.kill_node();
    cluster.start_node().await;
    cluster
        .until(&PODS, "p", |pod| pod["status"]["phase"] == "Running")
        .await;
    fs::write(&go, "").unwrap();
    let (_, pod) = cluster.ended("p").await;
    assert_eq!(state(&pod)["terminated"]["exitCode"], 5);
    assert_eq!(cluster.log("p").await, "done\n");
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_ended_while_no_node_ran_is_reported_by_the_next() {
    let mut cluster = Cluster::start().await;
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let script = format!(
        "echo run >> {0}; until test -e {1}; do sleep 0.01; done; echo end >> {0}",
        runs.display(),
        go.display()
    );
    let pod = cluster.script("p", &script).await;
    cluster.file(&runs, |text| text == "run\n").await;
    cluster.kill_node();
    fs::write(&go, "").unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let record = cluster.path("pods").join(uid).join("status");
    cluster.file(&record, |text| text.contains("\nend ")).await;
    cluster.start_node().await;
    let (phase, _) = cluster.ended("p").await;
    assert_eq!(phase, "Succeeded");
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\nend\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_deleted_while_no_node_ran_is_ended_by_the_next() {
    let mut cluster = Cluster::start().await;
    let pid = cluster.path("pid");
    cluster
        .script(
            "p",
            &format!("echo $$ > {}; exec sleep 1000", pid.display()),
        )
        .await;
    let text = cluster.file(&pid, |text| text.ends_with('\n')).await;
    cluster.kill_node();
    let now = diwan_embedded::DeleteOptions::now();
    cluster
        .api
        .delete(&PODS, "default", "p", now)
        .await
        .unwrap();
    cluster.start_node().await;
    cluster.gone(&PODS, "p").await;
    // The folder goes after the processes.
    let folder = cluster.path("pods");
    let waiting = async {
        while fs::read_dir(&folder).unwrap().next().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), waiting)
        .await
        .unwrap();
    assert!(!crate::cluster::is_alive(&text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_is_killed_leaves_a_failed_pod_without_processes() {
    let cluster = Cluster::start().await;
    let pid = cluster.path("pid");
    let script = format!("echo $PPID $$ > {}; exec sleep 1000", pid.display());
    cluster.script("p", &script).await;
    let text = cluster.file(&pid, |text| text.ends_with('\n')).await;
    // The program may be faster than the holder's record of its start.
    cluster
        .until(&PODS, "p", |pod| pod["status"]["phase"] == "Running")
        .await;
    let (holder, program) = text.split_once(' ').unwrap();
    let holder = nix::unistd::Pid::from_raw(holder.parse().unwrap());
    nix::sys::signal::kill(holder, nix::sys::signal::Signal::SIGKILL).unwrap();
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(phase, "Failed");
    assert_eq!(
        state(&pod)["terminated"]["reason"],
        "ContainerStatusUnknown"
    );
    let stat = PathBuf::from(format!("/proc/{}/stat", program.trim()));
    cluster
        .file(&stat, |text| text.is_empty() || text.contains(") Z "))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_program_runs_once_however_often_the_node_is_killed() {
    let mut cluster = Cluster::start().await;
    let runs = cluster.path("runs");
    let script = format!(
        "echo begin >> {0}; sleep 0.05; echo end >> {0}",
        runs.display()
    );
    for index in 0..20 {
        cluster
            .job(&format!("j{index}"), json!({ "backoffLimit": 0 }), &script)
            .await;
        cluster.kill_node();
        cluster.start_node().await;
    }
    for index in 0..20 {
        let complete = |job: &serde_json::Value| {
            job["status"]["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|c| {
                    assert_ne!(c["type"], "Failed", "{job:#}");
                    c["type"] == "Complete"
                })
        };
        cluster.until(&JOBS, &format!("j{index}"), complete).await;
    }
    let text = fs::read_to_string(&runs).unwrap();
    let count = |word: &str| text.lines().filter(|line| *line == word).count();
    assert_eq!((count("begin"), count("end")), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_pod_the_node_stopped_goes_on_with_the_next_node() {
    let mut cluster = Cluster::start().await;
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let script = format!(
        "echo run >> {}; until test -e {}; do sleep 0.01; done",
        runs.display(),
        go.display()
    );
    let spec = json!({ "backoffLimit": 0, "template": { "spec": {
        "restartPolicy": "Never", "containers": [shell("main", &script)],
    }}});
    cluster.job("j", spec, "").await;
    cluster.file(&runs, |text| text == "run\n").await;
    cluster.stop_node().await;
    fs::write(&go, "").unwrap();
    cluster.start_node().await;
    let job = cluster
        .until(&JOBS, "j", |job| job["status"]["succeeded"] == 1)
        .await;
    assert_eq!(job["status"]["failed"], serde_json::Value::Null);
    assert_eq!(fs::read_to_string(&runs).unwrap(), "run\nrun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_and_probes_go_on_however_often_the_node_is_killed() {
    let mut cluster = Cluster::start().await;
    let (runs, go) = (cluster.path("runs"), cluster.path("go"));
    let run = |name: &str, rest: &str| {
        let script = format!("echo {name} >> {}; {rest}", runs.display());
        shell(name, &script)
    };
    let alive = json!({ "exec": { "command": ["true"] }, "periodSeconds": 1 });
    let mut side = run("side", "trap 'exit 0' TERM; while :; do sleep 0.01; done");
    side["restartPolicy"] = json!("Always");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        side[probe] = alive.clone();
    }
    let wait = format!("until test -e {}; do sleep 0.01; done", go.display());
    let mut main = run("main", &wait);
    main["readinessProbe"] = alive;
    let spec = json!({ "initContainers": [side], "containers": [main] });
    cluster.pod("p", spec).await;
    for _ in 0..10 {
        cluster.kill_node();
        cluster.start_node().await;
    }
    let ready = |pod: &serde_json::Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|c| c["type"] == "Ready" && c["status"] == "True");
        ready.next().is_some()
    };
    cluster.until(&PODS, "p", ready).await;
    cluster.kill_node();
    fs::write(&go, "").unwrap();
    cluster.start_node().await;
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(phase, "Succeeded");
    let side = &pod["status"]["initContainerStatuses"][0];
    assert_eq!(
        (
            &side["restartCount"],
            &side["state"]["terminated"]["exitCode"]
        ),
        (&json!(0), &json!(0))
    );
    assert_eq!(fs::read_to_string(&runs).unwrap(), "side\nmain\n");
}
