//! StatefulSets from outside.

use diwan_embedded::Subresource;
use diwan_embedded::resource::{PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell};

/// A program that notes its start in its volume, and runs until it is told to end.
fn script(version: &str) -> String {
    format!("echo {version} >> /keep/starts; trap 'exit 0' TERM; while :; do sleep 0.05; done")
}

fn container(version: &str) -> Value {
    let mut container = shell("main", &script(version));
    container["volumeMounts"] = json!([{ "name": "keep", "mountPath": "/keep" }]);
    container
}

/// Whether a rollout is complete, as `kubectl rollout status` sees it.
fn is_rolled_out(object: &Value) -> bool {
    let (spec, status) = (&object["spec"], &object["status"]);
    status["observedGeneration"] == object["metadata"]["generation"]
        && status["readyReplicas"] == spec["replicas"]
        && status["updatedReplicas"] == spec["replicas"]
        && status["currentRevision"] == status["updateRevision"]
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_have_numbers_and_keep_their_volumes() {
    let cluster = Cluster::start().await;
    let set = json!({ "metadata": { "name": "db" }, "spec": {
        "replicas": 2, "serviceName": "db",
        "selector": { "matchLabels": { "app": "db" } },
        "template": { "metadata": { "labels": { "app": "db" } }, "spec": { "containers": [container("one")] } },
        "volumeClaimTemplates": [{ "metadata": { "name": "keep" }, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } },
        }}],
    }});
    cluster
        .api
        .create(&STATEFUL_SETS, "default", set)
        .await
        .unwrap();
    let first = cluster.until(&STATEFUL_SETS, "db", is_rolled_out).await;
    let pod = cluster.api.get(&PODS, "default", "db-1").unwrap();
    assert_eq!(pod["spec"]["hostname"], "db-1");
    assert_eq!(
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"],
        "1"
    );

    let second = container("two");
    let change = |object: &mut Value| {
        object["spec"]["template"]["spec"]["containers"] = json!([second]);
        true
    };
    cluster
        .api
        .modify(&STATEFUL_SETS, "default", "db", Subresource::None, change)
        .await
        .unwrap();
    let done = |object: &Value| {
        is_rolled_out(object)
            && object["status"]["currentRevision"] != first["status"]["currentRevision"]
    };
    cluster.until(&STATEFUL_SETS, "db", done).await;
    let claim = cluster
        .api
        .get(&PERSISTENT_VOLUME_CLAIMS, "default", "keep-db-0")
        .unwrap();
    let name = claim["spec"]["volumeName"].as_str().unwrap();
    let volume = cluster
        .api
        .get(&diwan_embedded::resource::PERSISTENT_VOLUMES, "", name)
        .unwrap();
    let folder = volume["spec"]["hostPath"]["path"].as_str().unwrap();
    let starts = cluster.path(&format!("{folder}/starts"));
    cluster.file(&starts, |text| text == "one\ntwo\n").await;

    let shrink = |object: &mut Value| {
        object["spec"]["replicas"] = json!(1);
        true
    };
    cluster
        .api
        .modify(&STATEFUL_SETS, "default", "db", Subresource::None, shrink)
        .await
        .unwrap();
    cluster.gone(&PODS, "db-1").await;
    cluster.until(&STATEFUL_SETS, "db", is_rolled_out).await;
    assert!(
        cluster
            .api
            .get(&PERSISTENT_VOLUME_CLAIMS, "default", "keep-db-1")
            .is_some()
    );
}
