//! Probes, hooks and sidecars.

use diwan_embedded::resource::{EVENTS, PODS};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell, state};

/// A script that ends at once when it is asked to.
const SERVE: &str = "trap 'exit 0' TERM; while :; do sleep 0.01; done";

fn with(mut container: Value, field: &str, value: Value) -> Value {
    container[field] = value;
    container
}

fn probe(script: &str, failures: u32) -> Value {
    json!({
        "exec": { "command": ["sh", "-c", script.replace('$', "$$")] },
        "periodSeconds": 1,
        "failureThreshold": failures,
    })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

impl Cluster {
    /// Waits for an event about a pod and returns its message.
    pub(crate) async fn event(&self, pod: &str, reason: &str) -> String {
        let about =
            |event: &Value| event["involvedObject"]["name"] == pod && event["reason"] == reason;
        let waiting = async {
            loop {
                let (events, version) = self.api.list(&EVENTS, None);
                if let Some(event) = events.iter().find(|event| about(event)) {
                    return event["message"].as_str().unwrap().to_owned();
                }
                let mut changes = std::pin::pin!(self.api.watch(&EVENTS, None, version));
                futures::StreamExt::next(&mut changes).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), waiting)
            .await
            .unwrap_or_else(|_| panic!("no event {reason}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_ready_while_its_probe_says_so() {
    let mut cluster = Cluster::start().await;
    let marker = cluster.path("ready");
    let container = with(
        shell("main", SERVE),
        "readinessProbe",
        probe(&format!("test -e {}", marker.display()), 1),
    );
    cluster.pod("p", json!({ "containers": [container] })).await;
    cluster.event("p", "Unhealthy").await;
    cluster
        .until(&PODS, "p", |pod| {
            pod["status"]["phase"] == "Running" && !is_ready(pod)
        })
        .await;
    std::fs::write(&marker, "").unwrap();
    cluster.until(&PODS, "p", is_ready).await;
    // The next node takes over what this one knew.
    cluster.kill_node();
    cluster.start_node().await;
    std::fs::remove_file(&marker).unwrap();
    let pod = cluster.until(&PODS, "p", |pod| !is_ready(pod)).await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!(
        (&status["started"], &status["restartCount"]),
        (&json!(true), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_does_not_live_is_started_again() {
    let cluster = Cluster::start().await;
    let marker = cluster.path("ill");
    let script = format!("touch {}; {SERVE}", marker.display());
    let alive = format!("echo ill; ! rm {} 2>/dev/null", marker.display());
    let mut container = with(shell("main", &script), "livenessProbe", probe(&alive, 1));
    container["livenessProbe"]["initialDelaySeconds"] = json!(1);
    let spec = json!({ "restartPolicy": "Always", "containers": [container] });
    cluster.pod("p", spec).await;
    let pod = cluster
        .until(&PODS, "p", |pod| {
            pod["status"]["containerStatuses"][0]["restartCount"] == 1
        })
        .await;
    let last = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
    assert_eq!(last["exitCode"], 0, "it was asked to end");
    assert_eq!(
        cluster.event("p", "Unhealthy").await,
        "Liveness probe failed: ill"
    );
    assert_eq!(
        cluster.event("p", "Killing").await,
        "Container main failed liveness probe, will be restarted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_asks_over_tcp_and_http() {
    let cluster = Cluster::start().await;
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let count = std::io::Read::read(&mut stream, &mut request).unwrap_or_default();
            let fine = request[..count].starts_with(b"GET /fine ");
            let status = if fine {
                "200 OK"
            } else {
                "500 Internal Server Error"
            };
            let _ = std::io::Write::write_all(
                &mut stream,
                format!("HTTP/1.1 {status}\r\n\r\n").as_bytes(),
            );
        }
    });
    let get = |path: &str| json!({ "httpGet": { "path": path, "port": port }, "periodSeconds": 1 });
    let tcp = json!({ "tcpSocket": { "port": port }, "periodSeconds": 1 });
    for (name, probe) in [("http", get("/fine")), ("tcp", tcp)] {
        let container = with(shell("main", SERVE), "readinessProbe", probe);
        cluster
            .pod(name, json!({ "containers": [container] }))
            .await;
        cluster.until(&PODS, name, is_ready).await;
    }
    let mut container = with(shell("main", SERVE), "startupProbe", get("/broken"));
    container["startupProbe"]["failureThreshold"] = json!(1);
    cluster
        .pod("broken", json!({ "containers": [container] }))
        .await;
    assert_eq!(
        cluster.event("broken", "Unhealthy").await,
        "Startup probe failed: HTTP probe failed with statuscode: 500"
    );
    // How, depends on whether the program had come to handle its signal.
    cluster.ended("broken").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_after_the_start_and_before_the_end() {
    let cluster = Cluster::start().await;
    let order = cluster.path("order");
    let add = |word: &str| {
        let script = format!("echo {word} >> {}", order.display());
        json!({ "exec": { "command": ["sh", "-c", script] } })
    };
    let script = format!(
        "trap 'echo end >> {}; exit 0' TERM; while :; do sleep 0.01; done",
        order.display()
    );
    let hooks = json!({ "postStart": add("post"), "preStop": add("pre") });
    let container = with(shell("main", &script), "lifecycle", hooks);
    cluster.pod("p", json!({ "containers": [container] })).await;
    cluster.until(&PODS, "p", is_ready).await;
    cluster.delete(&PODS, "p").await;
    cluster.gone(&PODS, "p").await;
    assert_eq!(std::fs::read_to_string(order).unwrap(), "post\npre\nend\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_ends_the_container() {
    let cluster = Cluster::start().await;
    let hook = json!({ "postStart": { "exec": { "command": ["sh", "-c", "echo why; exit 3"] } } });
    let container = with(shell("main", SERVE), "lifecycle", hook);
    cluster.pod("p", json!({ "containers": [container] })).await;
    cluster.ended("p").await;
    assert_eq!(
        cluster.event("p", "FailedPostStartHook").await,
        "PostStartHook failed: command 'sh -c echo why; exit 3' exited with 3: why\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_complete_when_only_sidecars_are_left() {
    let mut cluster = Cluster::start().await;
    let (order, go) = (cluster.path("order"), cluster.path("go"));
    let note = |word: &str| format!("echo {word} >> {}", order.display());
    let serve = |name: &str| {
        let script = format!(
            "{}; trap '{}; exit 1' TERM; while :; do sleep 0.01; done",
            note(name),
            note(&format!("end-{name}"))
        );
        let side = with(shell(name, &script), "restartPolicy", json!("Always"));
        with(
            side,
            "startupProbe",
            probe(&format!("grep -q {name} {}", order.display()), 9),
        )
    };
    let main = format!(
        "{}; until test -e {}; do sleep 0.01; done",
        note("main"),
        go.display()
    );
    let spec = json!({ "backoffLimit": 0, "template": { "spec": {
        "restartPolicy": "Never",
        "initContainers": [serve("one"), shell("init", &note("init")), serve("two")],
        "containers": [shell("main", &main)],
    }}});
    cluster.job("j", spec, "").await;
    cluster.file(&order, |text| text.ends_with("main\n")).await;
    cluster.kill_node();
    cluster.start_node().await;
    std::fs::write(&go, "").unwrap();
    let jobs = &diwan_embedded::resource::JOBS;
    cluster
        .until(jobs, "j", |job| job["status"]["succeeded"] == 1)
        .await;
    let text = std::fs::read_to_string(order).unwrap();
    let words: Vec<&str> = text.lines().collect();
    assert_eq!(words, ["one", "init", "two", "main", "end-two", "end-one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_words_are_the_message_of_the_end() {
    let cluster = Cluster::start().await;
    let script = "printf 'said\\nmore' > /dev/termination-log; exit 1";
    cluster.script("file", script).await;
    let (_, pod) = cluster.ended("file").await;
    assert_eq!(state(&pod)["terminated"]["message"], "said\nmore");
    let own = with(
        shell("main", "echo own > /tmp/diwan-test-words"),
        "terminationMessagePath",
        json!("/tmp/diwan-test-words"),
    );
    cluster.pod("own", json!({ "containers": [own] })).await;
    let (_, pod) = cluster.ended("own").await;
    assert_eq!(state(&pod)["terminated"]["message"], "own\n");
    assert!(!std::path::Path::new("/tmp/diwan-test-words").exists());
    let policy = json!("FallbackToLogsOnError");
    let logs = with(
        shell("main", "echo log; exit 1"),
        "terminationMessagePolicy",
        policy,
    );
    cluster.pod("logs", json!({ "containers": [logs] })).await;
    let (_, pod) = cluster.ended("logs").await;
    assert_eq!(state(&pod)["terminated"]["message"], "log\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_without_effect_are_named_once() {
    let cluster = Cluster::start().await;
    let container = with(shell("main", "true"), "stdin", json!(true));
    let spec = json!({ "containers": [container], "nodeSelector": { "a": "b" } });
    cluster.pod("p", spec).await;
    assert_eq!(
        cluster.event("p", "FieldsIgnored").await,
        "this machine does not honour spec.nodeSelector, spec.containers[main].stdin"
    );
}
