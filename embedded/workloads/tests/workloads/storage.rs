//! Claims and volumes from outside.

use diwan_embedded::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell};

fn claim(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
    }})
}

fn user(claim: &str, script: &str) -> Value {
    let mut container = shell("main", script);
    container["volumeMounts"] = json!([{ "name": "v", "mountPath": "/keep" }]);
    json!({
        "containers": [container],
        "volumes": [{ "name": "v", "persistentVolumeClaim": { "claimName": claim } }],
    })
}

fn is_bound(object: &Value) -> bool {
    object["status"]["phase"] == "Bound"
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_writes_to_its_claim_another_pod_reads() {
    let cluster = Cluster::start().await;
    // The pod waits until its claim is there and has a volume.
    cluster
        .pod("writer", user("data", "echo kept > /keep/file"))
        .await;
    let waits = |pod: &Value| {
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("persistentvolumeclaim \"data\" not found"))
    };
    cluster.until(&PODS, "writer", waits).await;
    cluster
        .api
        .create(&PERSISTENT_VOLUME_CLAIMS, "default", claim("data"))
        .await
        .unwrap();
    assert_eq!(cluster.ended("writer").await.0, "Succeeded");
    let object = cluster
        .until(&PERSISTENT_VOLUME_CLAIMS, "data", is_bound)
        .await;
    assert_eq!(object["spec"]["storageClassName"], "standard");
    assert_eq!(object["status"]["capacity"]["storage"], "1Gi");
    cluster.pod("reader", user("data", "cat /keep/file")).await;
    assert_eq!(cluster.ended("reader").await.0, "Succeeded");
    assert_eq!(cluster.log("reader").await, "kept\n");

    let name = object["spec"]["volumeName"].as_str().unwrap();
    let volume = cluster.api.get(&PERSISTENT_VOLUMES, "", name).unwrap();
    let folder = volume["spec"]["hostPath"]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        std::fs::read_to_string(format!("{folder}/file")).unwrap(),
        "kept\n"
    );
    cluster.delete(&PERSISTENT_VOLUME_CLAIMS, "data").await;
    cluster.gone(&PERSISTENT_VOLUME_CLAIMS, "data").await;
    cluster.vanished(&PERSISTENT_VOLUMES, "", name).await;
    assert!(!std::path::Path::new(&folder).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_stays_while_a_pod_uses_it() {
    let cluster = Cluster::start().await;
    cluster
        .api
        .create(&PERSISTENT_VOLUME_CLAIMS, "default", claim("data"))
        .await
        .unwrap();
    let go = cluster.path("go");
    let script = format!("until test -e {}; do sleep 0.01; done", go.display());
    cluster.pod("user", user("data", &script)).await;
    cluster
        .until(&PODS, "user", |pod| pod["status"]["phase"] == "Running")
        .await;
    cluster.delete(&PERSISTENT_VOLUME_CLAIMS, "data").await;
    let object = cluster
        .api
        .get(&PERSISTENT_VOLUME_CLAIMS, "default", "data")
        .unwrap();
    assert!(object["metadata"]["deletionTimestamp"].is_string());
    std::fs::write(go, "").unwrap();
    cluster.gone(&PERSISTENT_VOLUME_CLAIMS, "data").await;
    assert_eq!(cluster.ended("user").await.0, "Succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_there_is_taken_and_kept() {
    let cluster = Cluster::start().await;
    let folder = cluster.path("mine");
    std::fs::create_dir(&folder).unwrap();
    let volume = json!({ "metadata": { "name": "mine" }, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": { "storage": "5Gi" },
        "storageClassName": "mine", "hostPath": { "path": folder },
    }});
    cluster
        .api
        .create(&PERSISTENT_VOLUMES, "", volume)
        .await
        .unwrap();
    let mut wanted = claim("data");
    wanted["spec"]["storageClassName"] = json!("mine");
    cluster
        .api
        .create(&PERSISTENT_VOLUME_CLAIMS, "default", wanted)
        .await
        .unwrap();
    let object = cluster
        .until(&PERSISTENT_VOLUME_CLAIMS, "data", is_bound)
        .await;
    assert_eq!(object["spec"]["volumeName"], "mine");
    cluster
        .pod("writer", user("data", "echo x > /keep/file"))
        .await;
    assert_eq!(cluster.ended("writer").await.0, "Succeeded");
    cluster.delete(&PERSISTENT_VOLUME_CLAIMS, "data").await;
    cluster
        .until_in(&PERSISTENT_VOLUMES, "", "mine", |volume| {
            volume["status"]["phase"] == "Released"
        })
        .await;
    assert!(folder.join("file").exists());
}
