//! Logs of pods that run, have ended and are gone, and the hook that follows them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use diwan_embedded::LogOptions;
use diwan_embedded::resource::PODS;
use diwan_node::{PodFiles, PodHook};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cluster::{Cluster, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_to_the_end_of_the_container() {
    let cluster = Cluster::start().await;
    let go = cluster.path("go");
    let script = format!(
        "echo one; until test -e {}; do sleep 0.01; done; echo two",
        go.display()
    );
    cluster.script("p", &script).await;
    let pod = cluster
        .until(&PODS, "p", |pod| pod["status"]["phase"] == "Running")
        .await;
    let options = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    let mut chunks = cluster.logs().open(&pod, None, options).await.unwrap();
    assert_eq!(chunks.next().await.unwrap(), "one\n");
    fs::write(go, "").unwrap();
    assert_eq!(chunks.next().await.unwrap(), "two\n");
    assert_eq!(chunks.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_log_can_be_asked_for() {
    let cluster = Cluster::start().await;
    cluster.script("p", "echo a; echo b; echo c").await;
    cluster.ended("p").await;
    let part = |options| cluster.log_with("p", Some("main"), options);
    let tail = LogOptions {
        tail_lines: Some(2),
        ..LogOptions::default()
    };
    assert_eq!(part(tail).await.unwrap(), "b\nc\n");
    let limit = LogOptions {
        limit_bytes: Some(3),
        ..LogOptions::default()
    };
    assert_eq!(part(limit).await.unwrap(), "a\nb");
    let follow = LogOptions {
        follow: true,
        ..LogOptions::default()
    };
    assert_eq!(part(follow).await.unwrap(), "a\nb\nc\n");
    let previous = LogOptions {
        previous: true,
        ..LogOptions::default()
    };
    let refused = part(previous).await.unwrap_err();
    assert_eq!(
        refused.message,
        "previous terminated container \"main\" in pod \"p\" not found"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_file_stays_when_the_pod_is_gone() {
    let cluster = Cluster::start().await;
    let pod = cluster.script("p", "echo kept").await;
    cluster.ended("p").await;
    cluster.delete(&PODS, "p").await;
    cluster.gone(&PODS, "p").await;
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let path = format!("logs/default/p_{uid}_main.0.log");
    let log = fs::read_to_string(cluster.path(&path)).unwrap();
    assert_eq!(log, "kept\n");
}

/// Notes what it is told, and reads the files when the pod has ended.
#[derive(Default)]
struct Reader {
    read: Arc<Mutex<Vec<String>>>,
}

impl PodHook for Reader {
    fn follow(
        &self,
        pod: Arc<Value>,
        files: PodFiles,
        mut ended: watch::Receiver<bool>,
    ) -> Option<BoxFuture<'static, ()>> {
        if pod["metadata"]["name"] == "ignored" {
            return None;
        }
        let read = Arc::clone(&self.read);
        let paths: Vec<PathBuf> = vec![
            files.log("main").unwrap(),
            files.resolve("main", "/diwan-test/file").unwrap(),
        ];
        Some(Box::pin(async move {
            ended.wait_for(|ended| *ended).await.unwrap();
            // The pod's end must wait for this.
            tokio::task::yield_now().await;
            for path in paths {
                read.lock().push(fs::read_to_string(path).unwrap());
            }
        }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_reads_all_before_the_end_is_published() {
    let reader = Arc::new(Reader::default());
    let hook: Arc<dyn PodHook> = Arc::clone(&reader) as _;
    let cluster = Cluster::start_with(|options| options.hook = Some(hook)).await;
    let mut container = shell("main", "echo log; echo file > /diwan-test/file");
    container["volumeMounts"] = json!([{ "name": "v", "mountPath": "/diwan-test" }]);
    let volumes = json!([{ "name": "v", "emptyDir": {} }]);
    cluster
        .pod(
            "p",
            json!({ "containers": [container], "volumes": volumes }),
        )
        .await;
    cluster.ended("p").await;
    assert_eq!(*reader.read.lock(), ["log\n", "file\n"]);
    cluster.script("ignored", "true").await;
    cluster.ended("ignored").await;
    assert_eq!(reader.read.lock().len(), 2);
}
