//! Jobs from outside.

use diwan_embedded::resource::{JOBS, PODS};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::cluster::Cluster;

fn condition<'a>(job: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = job["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|c| c["type"] == kind && c["status"] == "True")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_completes() {
    let cluster = Cluster::start().await;
    cluster
        .job("j", json!({ "parallelism": 2, "completions": 4 }), "true")
        .await;
    let job = cluster
        .until(&JOBS, "j", |job| condition(job, "Complete").is_some())
        .await;
    assert_eq!(job["status"]["succeeded"], 4);
    assert!(job["status"]["completionTime"].is_string());
    assert_eq!(job["status"]["active"], Value::Null);
    let (pods, _) = cluster.api.list(&PODS, Some("default"));
    assert_eq!(pods.len(), 4);
    assert!(
        pods.iter()
            .all(|pod| pod["metadata"]["labels"]["job-name"] == "j")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_error_fails_a_job_at_once() {
    let cluster = Cluster::start().await;
    let container = json!({ "name": "main", "image": "any", "command": ["no-such-program"] });
    let template = json!({ "spec": { "restartPolicy": "Never", "containers": [container] } });
    cluster
        .job("j", json!({ "backoffLimit": 6, "template": template }), "")
        .await;
    let job = cluster
        .until(&JOBS, "j", |job| condition(job, "Failed").is_some())
        .await;
    let failed = condition(&job, "Failed").unwrap();
    assert_eq!(failed["reason"], "StartError");
    assert_eq!(failed["message"], "program not found: no-such-program");
    assert_eq!(job["status"]["failed"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_pod_is_replaced_up_to_the_limit() {
    let cluster = Cluster::start().await;
    let runs = cluster.path("runs");
    let script = format!("echo run >> {}; exit 1", runs.display());
    cluster
        .job("j", json!({ "backoffLimit": 1 }), &script)
        .await;
    let job = cluster
        .until(&JOBS, "j", |job| condition(job, "Failed").is_some())
        .await;
    assert_eq!(
        condition(&job, "Failed").unwrap()["reason"],
        "BackoffLimitExceeded"
    );
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "run\nrun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_deleted_takes_its_pods_with_it() {
    let cluster = Cluster::start().await;
    let pid = cluster.path("pid");
    cluster
        .job(
            "j",
            json!({}),
            &format!("echo $$ > {}; exec sleep 1000", pid.display()),
        )
        .await;
    let text = cluster.file(&pid, |text| text.ends_with('\n')).await;
    let (pods, _) = cluster.api.list(&PODS, Some("default"));
    let pod = pods[0]["metadata"]["name"].as_str().unwrap().to_owned();
    cluster.delete(&JOBS, "j").await;
    cluster.gone(&PODS, &pod).await;
    assert!(!crate::cluster::is_alive(&text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_job_stops_and_goes_on() {
    let cluster = Cluster::start().await;
    let go = cluster.path("go");
    let script = format!("until test -e {}; do sleep 0.01; done", go.display());
    cluster.job("j", json!({}), &script).await;
    cluster
        .until(&JOBS, "j", |job| job["status"]["active"] == 1)
        .await;
    let suspend = |on: bool| {
        cluster.api.modify(
            &JOBS,
            "default",
            "j",
            diwan_embedded::Subresource::None,
            move |job| {
                job["spec"]["suspend"] = json!(on);
                true
            },
        )
    };
    suspend(true).await.unwrap();
    let stopped =
        |job: &Value| condition(job, "Suspended").is_some() && job["status"]["active"].is_null();
    cluster.until(&JOBS, "j", stopped).await;
    std::fs::write(go, "").unwrap();
    suspend(false).await.unwrap();
    cluster
        .until(&JOBS, "j", |job| condition(job, "Complete").is_some())
        .await;
}
