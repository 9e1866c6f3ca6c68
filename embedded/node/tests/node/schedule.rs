//! Which pods run at the same time.

use std::fs;

use diwan_embedded::resource::{NODES, PODS};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell};

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_a_node_that_is_ready() {
    let cluster = Cluster::start().await;
    let node = cluster.api.get(&NODES, "", "machine").unwrap();
    assert_eq!(node["status"]["conditions"][0]["type"], "Ready");
    assert_eq!(node["status"]["capacity"]["pods"], "8");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_too_large_for_the_machine_says_so() {
    let cluster = Cluster::start().await;
    let mut container = shell("main", "true");
    container["resources"] = json!({ "requests": { "cpu": "100000" } });
    cluster.pod("p", json!({ "containers": [container] })).await;
    let refused = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array();
        conditions
            .into_iter()
            .flatten()
            .any(|c| c["reason"] == "Unschedulable")
    };
    let pod = cluster.until(&PODS, "p", refused).await;
    let condition = &pod["status"]["conditions"][0];
    assert_eq!(
        (&condition["type"], &condition["status"]),
        (&json!("PodScheduled"), &json!("False"))
    );
    let message = condition["message"].as_str().unwrap();
    assert!(
        message.contains("the pod requests 100000 cpu, the machine has "),
        "{message}"
    );
    cluster.delete(&PODS, "p").await;
    cluster.gone(&PODS, "p").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_start_in_their_order_when_there_is_room() {
    let cluster = Cluster::start_with(|options| options.max_pods = 1).await;
    let order = cluster.path("order");
    for index in 0..4 {
        let script = format!(
            "echo begin {index} >> {0}; echo end {index} >> {0}",
            order.display()
        );
        cluster.script(&format!("p{index}"), &script).await;
    }
    cluster.ended("p3").await;
    let expected: Vec<String> = (0..4)
        .flat_map(|i| [format!("begin {i}"), format!("end {i}")])
        .collect();
    assert_eq!(
        fs::read_to_string(order)
            .unwrap()
            .lines()
            .collect::<Vec<_>>(),
        expected
    );
}
