//! Deployments and ReplicaSets from outside.

use std::sync::Arc;
use std::time::Duration;

use diwan_embedded::Subresource;
use diwan_embedded::resource::{DEPLOYMENTS, PODS, REPLICA_SETS};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell};

/// A program that runs until it is told to end.
const RUN: &str = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

fn deployment(replicas: u64, script: &str) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [shell("main", script)] },
            },
        },
    })
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|c| c["type"] == kind);
    found.and_then(|c| c["reason"].as_str()).unwrap_or_default()
}

/// Whether a rollout is complete, as `kubectl rollout status` sees it.
fn is_rolled_out(object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    status["observedGeneration"] == object["metadata"]["generation"]
        && status["updatedReplicas"] == spec["replicas"]
        && status["replicas"] == spec["replicas"]
        && status["availableReplicas"] == spec["replicas"]
        && condition(object, "Progressing") == "NewReplicaSetAvailable"
}

async fn change(cluster: &Cluster, change: impl Fn(&mut Value) + Send + Sync) {
    let written = cluster.api.modify(
        &DEPLOYMENTS,
        "default",
        "web",
        Subresource::None,
        |object| {
            change(object);
            true
        },
    );
    written.await.unwrap();
}

fn pods(cluster: &Cluster) -> Vec<Arc<Value>> {
    let (mut pods, _) = cluster.api.list(&PODS, Some("default"));
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    pods
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_runs_is_rolled_scaled_and_removed() {
    let cluster = Cluster::start().await;
    cluster
        .api
        .create(&DEPLOYMENTS, "default", deployment(2, RUN))
        .await
        .unwrap();
    cluster.until(&DEPLOYMENTS, "web", is_rolled_out).await;
    let first: Vec<Value> = pods(&cluster)
        .iter()
        .map(|pod| pod["metadata"]["uid"].clone())
        .collect();
    assert_eq!(first.len(), 2);

    // As `kubectl rollout restart` does it.
    change(&cluster, |object| {
        let path = "kubectl.kubernetes.io/restartedAt";
        object["spec"]["template"]["metadata"]["annotations"][path] = json!("now");
    })
    .await;
    let done = |object: &Value| {
        is_rolled_out(object)
            && object["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    };
    cluster.until(&DEPLOYMENTS, "web", done).await;
    let second = pods(&cluster);
    assert_eq!(second.len(), 2);
    assert!(
        second
            .iter()
            .all(|pod| !first.contains(&pod["metadata"]["uid"]))
    );
    let (sets, _) = cluster.api.list(&REPLICA_SETS, Some("default"));
    assert_eq!(sets.len(), 2);

    change(&cluster, |object| object["spec"]["replicas"] = json!(1)).await;
    cluster.until(&DEPLOYMENTS, "web", is_rolled_out).await;
    assert_eq!(pods(&cluster).len(), 1);

    let last = pods(&cluster)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.delete(&DEPLOYMENTS, "web").await;
    cluster.gone(&PODS, &last).await;
    let (sets, _) = cluster.api.list(&REPLICA_SETS, Some("default"));
    assert!(sets.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn recreation_never_runs_two_at_once() {
    let cluster = Cluster::start().await;
    let log = cluster.path("log");
    let script = |version: &str| {
        let log = log.display();
        format!(
            "echo start {version} >> {log}; trap 'echo end {version} >> {log}; exit 0' TERM; while :; do sleep 0.02; done"
        )
    };
    let mut object = deployment(1, &script("1"));
    object["spec"]["strategy"] = json!({ "type": "Recreate" });
    cluster
        .api
        .create(&DEPLOYMENTS, "default", object)
        .await
        .unwrap();
    cluster.file(&log, |text| text == "start 1\n").await;
    cluster.until(&DEPLOYMENTS, "web", is_rolled_out).await;
    let second = shell("main", &script("2"));
    change(&cluster, |object| {
        object["spec"]["template"]["spec"]["containers"] = json!([second]);
    })
    .await;
    cluster
        .file(&log, |text| text == "start 1\nend 1\nstart 2\n")
        .await;
    cluster.until(&DEPLOYMENTS, "web", is_rolled_out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_goes_is_replaced() {
    let cluster = Cluster::start().await;
    cluster
        .api
        .create(&DEPLOYMENTS, "default", deployment(1, RUN))
        .await
        .unwrap();
    cluster.until(&DEPLOYMENTS, "web", is_rolled_out).await;
    let name = pods(&cluster)[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.delete(&PODS, &name).await;
    cluster.gone(&PODS, &name).await;
    // Until it has noticed, the Deployment still says that all is well.
    let replaced = async {
        while pods(&cluster).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let replaced = tokio::time::timeout(Duration::from_mins(1), replaced).await;
    replaced.unwrap();
    cluster.until(&DEPLOYMENTS, "web", is_rolled_out).await;
    assert_eq!(pods(&cluster).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_set_takes_over_pods_that_fit() {
    let cluster = Cluster::start().await;
    cluster
        .pod(
            "lone",
            json!({ "restartPolicy": "Always", "containers": [shell("main", RUN)] }),
        )
        .await;
    let set = json!({ "metadata": { "name": "set" }, "spec": {
        "replicas": 1, "selector": { "matchLabels": { "app": "test" } },
        "template": { "metadata": { "labels": { "app": "test" } }, "spec": { "containers": [shell("main", RUN)] } },
    }});
    cluster
        .api
        .create(&REPLICA_SETS, "default", set)
        .await
        .unwrap();
    let pod = cluster
        .until(&PODS, "lone", |pod| {
            pod["metadata"]["ownerReferences"].is_array()
        })
        .await;
    assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "set");
    cluster
        .until(&REPLICA_SETS, "set", |set| {
            set["status"]["availableReplicas"] == 1
        })
        .await;
    assert_eq!(pods(&cluster).len(), 1);
}
