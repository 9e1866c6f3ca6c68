//! CronJobs from outside.

use diwan_embedded::resource::{CRON_JOBS, JOBS};
use serde_json::{Value, json};

use crate::cluster::{Cluster, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_cron_job_makes_jobs_when_it_is_time() {
    let cluster = Cluster::start().await;
    let pods = json!({ "restartPolicy": "Never", "containers": [shell("main", "true")] });
    let cron = json!({ "metadata": { "name": "tick" }, "spec": {
        "schedule": "@every 1s",
        "jobTemplate": { "spec": { "template": { "spec": pods } } },
    }});
    cluster
        .api
        .create(&CRON_JOBS, "default", cron)
        .await
        .unwrap();
    let done = |cron: &Value| {
        cron["status"]["lastSuccessfulTime"].is_string()
            && cron["status"]["lastScheduleTime"].is_string()
    };
    cluster.until(&CRON_JOBS, "tick", done).await;
    let (jobs, _) = cluster.api.list(&JOBS, Some("default"));
    let name = jobs[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(jobs[0]["metadata"]["ownerReferences"][0]["kind"], "CronJob");
    cluster.delete(&CRON_JOBS, "tick").await;
    cluster.gone(&JOBS, &name).await;
}
