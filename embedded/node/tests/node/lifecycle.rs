//! Pods start, end, fail, restart and are deleted.

use diwan_embedded::resource::PODS;
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::cluster::{Cluster, is_alive, shell, state};

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_succeeds_and_says_so_like_a_kubelet() {
    let cluster = Cluster::start().await;
    cluster.script("p", "echo out; echo err >&2").await;
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(phase, "Succeeded");
    assert_eq!(state(&pod)["terminated"]["reason"], "Completed");
    assert_eq!(state(&pod)["terminated"]["exitCode"], 0);
    let status = &pod["status"];
    assert_eq!(
        (&status["podIPs"], &status["qosClass"]),
        (&json!([{ "ip": status["podIP"] }]), &json!("BestEffort"))
    );
    let ready = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Ready");
    assert_eq!(ready.unwrap()["reason"], "PodCompleted");
    assert_eq!(pod["spec"]["nodeName"], "machine");
    assert_eq!(cluster.log("p").await, "out\nerr\n");
    let left = std::fs::read_dir(cluster.path("pods")).unwrap().count();
    assert!(left <= 1, "the folder of a pod that ended goes");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_signals_are_reported() {
    let cluster = Cluster::start().await;
    cluster.script("code", "exit 3").await;
    cluster.script("signal", "kill -9 $$").await;
    let (phase, pod) = cluster.ended("code").await;
    assert_eq!(
        (phase.as_str(), &state(&pod)["terminated"]["exitCode"]),
        ("Failed", &json!(3))
    );
    assert_eq!(state(&pod)["terminated"]["reason"], "Error");
    let (_, pod) = cluster.ended("signal").await;
    assert_eq!(state(&pod)["terminated"]["exitCode"], 137);
    assert_eq!(state(&pod)["terminated"]["signal"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_cannot_start_is_named() {
    let cluster = Cluster::start().await;
    let plain = cluster.path("plain");
    std::fs::write(&plain, "text").unwrap();
    let plain = plain.to_str().unwrap();
    for (name, command, message) in [
        (
            "missing",
            json!(["no-such-program", "x"]),
            "program not found: no-such-program".into(),
        ),
        (
            "path",
            json!(["/no/such/program"]),
            "program not found: /no/such/program (images are not run here: name a folder that holds \
             the image's files with --image any=DIR)"
                .into(),
        ),
        ("plain", json!([plain]), format!("not executable: {plain}")),
        (
            "none",
            json!([]),
            "container main: no command: images are not run here, so name the program in `command`"
                .into(),
        ),
    ] {
        let container = json!({ "name": "main", "image": "any", "command": command });
        cluster
            .pod(name, json!({ "containers": [container] }))
            .await;
        let (phase, pod) = cluster.ended(name).await;
        assert_eq!(phase, "Failed");
        let ended = &state(&pod)["terminated"];
        assert_eq!(
            (&ended["reason"], &ended["exitCode"]),
            (&json!("StartError"), &json!(128))
        );
        assert_eq!(ended["message"], message);
        assert_eq!(pod["status"]["reason"], "StartError");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_status_127_of_a_program_is_no_start_error() {
    let cluster = Cluster::start().await;
    cluster.script("p", "no-such-program").await;
    let (_, pod) = cluster.ended("p").await;
    assert_eq!(state(&pod)["terminated"]["exitCode"], 127);
    assert_eq!(state(&pod)["terminated"]["reason"], "Error");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_run_first_and_in_order() {
    let cluster = Cluster::start().await;
    let mount = json!([{ "name": "shared", "mountPath": "/shared" }]);
    let with_mount = |name: &str, script: &str| {
        let mut container = shell(name, script);
        container["volumeMounts"] = mount.clone();
        container
    };
    cluster
        .pod(
            "p",
            json!({
                "initContainers": [
                    with_mount("one", "echo 1 >> /shared/order"),
                    with_mount("two", "echo 2 >> /shared/order"),
                ],
                "containers": [
                    with_mount("a", "cat /shared/order"),
                    with_mount("b", "cat /shared/order"),
                ],
                "volumes": [{ "name": "shared", "emptyDir": {} }],
            }),
        )
        .await;
    let (phase, _) = cluster.ended("p").await;
    assert_eq!(phase, "Succeeded");
    for container in ["a", "b"] {
        let log = cluster
            .log_with("p", Some(container), diwan_embedded::LogOptions::default())
            .await
            .unwrap();
        assert_eq!(log, "1\n2\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_init_container_fails_the_pod() {
    let cluster = Cluster::start().await;
    cluster
        .pod(
            "p",
            json!({
                "initContainers": [shell("init", "exit 4")],
                "containers": [shell("main", "echo never")],
            }),
        )
        .await;
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(phase, "Failed");
    assert_eq!(
        pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"],
        4
    );
    assert_eq!(state(&pod)["waiting"]["reason"], "PodInitializing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_container_is_started_again_when_the_policy_says_so() {
    let cluster = Cluster::start().await;
    let marker = cluster.path("marker");
    let script = format!("test -e {0} || {{ touch {0}; exit 1; }}", marker.display());
    let spec = json!({ "restartPolicy": "OnFailure", "containers": [shell("main", &script)] });
    cluster.pod("p", spec).await;
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(phase, "Succeeded");
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_longer_than_it_may_fails() {
    let cluster = Cluster::start().await;
    let spec = json!({ "activeDeadlineSeconds": 1, "containers": [shell("main", "sleep 1000")] });
    cluster.pod("p", spec).await;
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(
        (phase.as_str(), &pod["status"]["reason"]),
        ("Failed", &json!("DeadlineExceeded"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_pod_ends_all_its_processes_first() {
    let cluster = Cluster::start().await;
    let pids = cluster.path("pids");
    // One child in a session of its own whose parent is gone, one that ignores SIGTERM.
    let script = format!(
        "(setsid sh -c 'echo $$ >> {0}; exec sleep 1000' &) ; \
         sh -c 'trap \"\" TERM; echo $$ >> {0}; sleep 1000; sleep 1000' & wait",
        pids.display()
    );
    let mut spec = json!({ "containers": [shell("main", &script)] });
    spec["terminationGracePeriodSeconds"] = json!(1);
    cluster.pod("p", spec).await;
    let text = cluster.file(&pids, |text| text.lines().count() == 2).await;
    cluster
        .until(&PODS, "p", |pod| pod["status"]["phase"] == "Running")
        .await;
    cluster.delete(&PODS, "p").await;
    cluster.gone(&PODS, "p").await;
    for pid in text.lines() {
        assert!(!is_alive(pid), "process {pid} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_in_the_background_ends_with_it() {
    let cluster = Cluster::start().await;
    let pid = cluster.path("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 1000' & \
         until test -s {0}; do :; done",
        pid.display()
    );
    cluster.script("p", &script).await;
    cluster.ended("p").await;
    assert!(!is_alive(&std::fs::read_to_string(pid).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_the_node_ends_every_pod() {
    let mut cluster = Cluster::start().await;
    let pid = cluster.path("pid");
    cluster
        .script(
            "p",
            &format!("echo $$ > {}; exec sleep 1000", pid.display()),
        )
        .await;
    let text = cluster.file(&pid, |text| text.ends_with('\n')).await;
    cluster.stop_node().await;
    assert!(!is_alive(&text));
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(
        (phase.as_str(), &pod["status"]["reason"]),
        ("Failed", &json!("Terminated"))
    );
    assert_eq!(std::fs::read_dir(cluster.path("pods")).unwrap().count(), 0);
}
