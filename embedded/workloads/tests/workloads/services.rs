//! Services from outside.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use diwan_embedded::resource::{ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell};

/// A server in the words of Python: says its name to whoever connects, at the address and port of
/// its variables.
const SERVER: &str = "import os, socket\n\
s = socket.create_server((os.environ['AT'], int(os.environ['LISTEN'])))\n\
while True:\n c, _ = s.accept(); c.sendall(os.environ['HOSTNAME'].encode()); c.close()";

fn server(port: u16, everywhere: bool) -> Value {
    let at = if everywhere {
        json!({ "name": "AT", "value": "0.0.0.0" })
    } else {
        json!({ "name": "AT", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } })
    };
    json!({ "restartPolicy": "Always", "terminationGracePeriodSeconds": 0, "containers": [{
        "name": "main", "image": "any", "command": ["python3", "-c", SERVER],
        "env": [at, { "name": "LISTEN", "value": port.to_string() }],
        "ports": [{ "name": "talk", "containerPort": port }],
    }]})
}

fn service(name: &str, spec: Value) -> Value {
    json!({ "metadata": { "name": name }, "spec": spec })
}

/// A port that nothing listens on, as far as is known.
fn free_port() -> u16 {
    std::net::TcpListener::bind("0.0.0.0:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Connects until somebody answers.
async fn ask(address: SocketAddr) -> String {
    let asking = tokio::task::spawn_blocking(move || {
        loop {
            let mut text = String::new();
            let answer = TcpStream::connect(address).and_then(|mut c| {
                c.flush()?;
                c.read_to_string(&mut text)
            });
            if answer.is_ok() && !text.is_empty() {
                return text;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, asking)
        .await
        .expect("nobody answers")
        .unwrap()
}

fn address(service: &Value, port: u16) -> SocketAddr {
    let ip = service["spec"]["clusterIP"].as_str().unwrap();
    SocketAddr::new(ip.parse().unwrap(), port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_leads_to_its_pods_and_pods_share_a_port() {
    let cluster = Cluster::start().await;
    let port = free_port();
    cluster.pod("one", server(port, false)).await;
    cluster.pod("two", server(port, false)).await;
    let spec =
        json!({ "selector": { "app": "test" }, "ports": [{ "port": port, "targetPort": "talk" }] });
    let made = cluster
        .api
        .create(&SERVICES, "default", service("talk", spec))
        .await
        .unwrap();
    let two = |object: &Value| {
        object["subsets"][0]["addresses"]
            .as_array()
            .is_some_and(|list| list.len() == 2)
    };
    cluster.until(&ENDPOINTS, "talk", two).await;
    let mut said = std::collections::BTreeSet::new();
    while said.len() < 2 {
        said.insert(ask(address(&made, port)).await);
    }
    assert_eq!(said.into_iter().collect::<Vec<_>>(), ["one", "two"]);
    // Only the one that is left answers.
    cluster.delete(&PODS, "one").await;
    cluster.gone(&PODS, "one").await;
    let one = |object: &Value| {
        object["subsets"][0]["addresses"]
            .as_array()
            .is_some_and(|list| list.len() == 1)
    };
    cluster.until(&ENDPOINTS, "talk", one).await;
    assert_eq!(ask(address(&made, port)).await, "two");
    cluster.delete(&SERVICES, "talk").await;
    cluster.gone(&ENDPOINTS, "talk").await;
    let (slices, _) = cluster.api.list(&ENDPOINT_SLICES, Some("default"));
    assert!(
        slices
            .iter()
            .all(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] != "talk")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_all_addresses_answers_at_the_services() {
    let cluster = Cluster::start().await;
    let port = free_port();
    let spec = json!({ "selector": { "app": "test" }, "ports": [{ "port": port }] });
    let made = cluster
        .api
        .create(&SERVICES, "default", service("talk", spec))
        .await
        .unwrap();
    cluster.pod("all", server(port, true)).await;
    assert_eq!(ask(address(&made, port)).await, "all");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_know_services_by_variables_and_names() {
    let cluster = Cluster::start().await;
    let port = free_port();
    let spec =
        json!({ "selector": { "app": "test" }, "ports": [{ "port": 8080, "targetPort": port }] });
    let made = cluster
        .api
        .create(&SERVICES, "default", service("my-talk", spec))
        .await
        .unwrap();
    cluster.pod("server", server(port, false)).await;
    let slice = |object: &Value| object["subsets"][0]["addresses"].is_array();
    cluster.until(&ENDPOINTS, "my-talk", slice).await;
    let ip = made["spec"]["clusterIP"].as_str().unwrap();
    cluster
        .script(
            "client",
            "echo $MY_TALK_SERVICE_HOST $MY_TALK_SERVICE_PORT; grep my-talk /etc/hosts",
        )
        .await;
    cluster.ended("client").await;
    let expected = format!(
        "{ip} 8080\n{ip}\tmy-talk my-talk.default my-talk.default.svc my-talk.default.svc.cluster.local\n"
    );
    assert_eq!(cluster.log("client").await, expected);
    let script = "exec python3 -c \"import socket; print(socket.create_connection(('my-talk.default.svc', 8080)).recv(99).decode())\"";
    let mut caller = shell("main", script);
    caller["command"] = json!([
        "sh",
        "-c",
        format!("until {}; do sleep 0.05; done", script.replace("exec ", ""))
    ]);
    cluster
        .pod("caller", json!({ "containers": [caller] }))
        .await;
    assert_eq!(cluster.ended("caller").await.0, "Succeeded");
    assert!(cluster.log("caller").await.contains("server"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_a_pod_that_runs_follow_the_services() {
    let cluster = Cluster::start().await;
    cluster
        .script(
            "waits",
            "until grep -q late.default.svc /etc/hosts; do sleep 0.02; done",
        )
        .await;
    cluster
        .until(&PODS, "waits", |pod| pod["status"]["phase"] == "Running")
        .await;
    let spec = json!({ "ports": [{ "port": 80 }] });
    cluster
        .api
        .create(&SERVICES, "default", service("late", spec))
        .await
        .unwrap();
    assert_eq!(cluster.ended("waits").await.0, "Succeeded");
}
