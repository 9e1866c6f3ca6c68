//! The REST interface over a real Kubernetes API.

use axum::http::StatusCode;
use diwan_api::Experiment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{NAMESPACE, Server, condition_of};

const EXPERIMENT: &str = r"
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: { name: tune }
spec:
  objective: { type: minimize, objectiveMetricName: loss, goal: 0.1 }
  algorithm: { algorithmName: tpe }
  parallelTrialCount: 2
  maxTrialCount: 12
  trialTemplate: { primaryContainerName: training, laterField: kept }
";

#[tokio::test]
async fn an_experiment_is_created_from_yaml_and_listed() {
    let server = Server::start();
    let created = server
        .call("POST", "/experiments?namespace=kubeflow", EXPERIMENT)
        .await;
    assert_eq!(created.code, StatusCode::CREATED, "{}", created.text);
    assert_eq!(
        created.json(),
        json!({ "namespace": "kubeflow", "name": "tune" })
    );

    let all = server.get("/experiments").await.json();
    let summary = &all["items"][0];
    assert_eq!(summary["state"], "Created");
    assert_eq!(summary["algorithm"], "tpe");
    assert_eq!(
        summary["objective"],
        json!({ "metric": "loss", "maximize": false, "goal": 0.1, "additionalMetrics": [] })
    );
    assert_eq!(
        summary["budget"],
        json!({ "parallelTrials": 2, "maxTrials": 12, "maxFailedTrials": null })
    );
    assert_eq!(summary["best"], Value::Null);
    let elsewhere = server.get("/experiments?namespace=default").await.json();
    assert_eq!(elsewhere, json!({ "items": [] }));
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let server = Server::start();
    let checked = server
        .call("POST", "/experiments?dryRun=true", EXPERIMENT)
        .await;
    assert_eq!(checked.code, StatusCode::OK, "{}", checked.text);
    assert_eq!(
        server.get("/experiments").await.json(),
        json!({ "items": [] })
    );
}

#[tokio::test]
async fn what_the_api_refuses_is_passed_on_field_by_field() {
    let server = Server::start();
    let broken = EXPERIMENT.replace("maxTrialCount: 12", "maxTrialCount: many");
    let answer = server.call("POST", "/experiments", broken).await;
    assert_eq!(
        answer.code,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        answer.text
    );
    let error = &answer.json()["error"];
    assert_eq!(error["code"], 422);
    assert_eq!(error["causes"][0]["field"], "spec.maxTrialCount");

    server.experiment("tune").await;
    let again = EXPERIMENT.replace("name: tune", "name: tune, namespace: default");
    let answer = server.call("POST", "/experiments", again).await;
    assert_eq!(answer.code, StatusCode::CONFLICT);
}

#[tokio::test]
async fn every_error_has_the_same_shape() {
    let server = Server::start();
    for (method, path, body, code) in [
        ("GET", "/namespaces/default/experiments/none", "", 404),
        ("GET", "/namespaces/default/trials/none", "", 404),
        ("GET", "/namespaces/default/trials/none/log", "", 404),
        (
            "GET",
            "/namespaces/default/trials/unreadable/metrics",
            "",
            502,
        ),
        (
            "GET",
            "/namespaces/default/trials/any/metrics?points=few",
            "",
            400,
        ),
        ("GET", "/nothing/here", "", 404),
        ("POST", "/experiments", "kind: Pod", 400),
        (
            "PATCH",
            "/namespaces/default/experiments/none/budget",
            "{\"trials\": 1}",
            400,
        ),
        ("DELETE", "/namespaces/default/experiments/none", "", 404),
    ] {
        let answer = server.call(method, path, body).await;
        assert_eq!(
            answer.code.as_u16(),
            code,
            "{method} {path}: {}",
            answer.text
        );
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code, "{method} {path}");
        assert!(
            !error["message"].as_str().unwrap_or_default().is_empty(),
            "{method} {path}"
        );
        assert!(error["causes"].is_array(), "{method} {path}");
        assert_eq!(
            answer.headers["cache-control"], "no-store",
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_experiment_shows_its_state_counts_and_best_trial() {
    let server = Server::start();
    server.experiment("tune").await;
    let status = json!({ "status": {
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [condition_of("Created", ""), condition_of("Running", "it runs")],
        "trials": 5, "trialsSucceeded": 3, "trialsRunning": 2,
        "currentOptimalTrial": {
            "bestTrialName": "tune-b",
            "parameterAssignments": [{ "name": "lr", "value": "0.1" }],
            "observation": { "metrics": [
                { "name": "loss", "min": "0.25", "max": "3", "latest": "0.5" },
            ] },
        },
    } });
    server.status::<Experiment>("tune", status).await;

    let detail = server
        .get("/namespaces/default/experiments/tune")
        .await
        .json();
    let summary = &detail["summary"];
    assert_eq!(summary["state"], "Running");
    assert_eq!(summary["message"], "it runs");
    assert_eq!(summary["counts"]["succeeded"], 3);
    assert_eq!(summary["best"]["trial"], "tune-b");
    assert_eq!(
        summary["best"]["value"], 0.25,
        "minimize takes the smallest value"
    );
    assert_eq!(detail["conditions"].as_array().map(Vec::len), Some(2));
    assert_eq!(detail["spec"]["maxTrialCount"], 10);
}

#[tokio::test]
async fn trials_and_their_curve_follow_the_objective() {
    let server = Server::start();
    server.experiment("tune").await;
    for name in ["tune-a", "tune-b", "tune-c", "tune-d"] {
        server.trial("tune", name).await;
    }
    server.trial("other", "other-a").await;
    server
        .finish("tune-a", "Succeeded", "2", "2026-01-01T00:00:01Z")
        .await;
    server
        .finish("tune-b", "Failed", "0", "2026-01-01T00:00:02Z")
        .await;
    server
        .finish("tune-c", "Succeeded", "NaN", "2026-01-01T00:00:03Z")
        .await;

    let trials = server
        .get("/namespaces/default/experiments/tune/trials")
        .await
        .json();
    let seen = trials["items"].as_array().expect("a list").iter();
    let seen = seen.map(|row| {
        (
            row["name"].as_str(),
            row["state"].as_str(),
            &row["objective"],
        )
    });
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            (Some("tune-a"), Some("Succeeded"), &json!(2.0)),
            (Some("tune-b"), Some("Failed"), &json!(0.0)),
            (Some("tune-c"), Some("Succeeded"), &Value::Null),
            (Some("tune-d"), Some("Pending"), &Value::Null),
        ]
    );
    assert_eq!(trials["items"][2]["metrics"][0]["text"], "NaN");
    assert_eq!(
        trials["items"][0]["parameters"],
        json!([{ "name": "lr", "value": "0.1" }])
    );

    let curve = server
        .get("/namespaces/default/experiments/tune/curve")
        .await
        .json();
    let point = json!({
        "trial": "tune-a", "time": "2026-01-01T00:00:01Z",
        "value": 2.0, "best": 2.0, "improved": true,
    });
    assert_eq!(curve, json!({ "points": [point] }));
}

#[tokio::test]
async fn a_metric_of_all_trials_comes_at_once() {
    let server = Server::start();
    server.experiment("tune").await;
    for name in ["tune-a", "tune-b"] {
        server.trial("tune", name).await;
    }
    server.trial("other", "other-a").await;
    let path = "/namespaces/default/experiments/tune/metrics";
    let metrics = server.get(&format!("{path}?points=4")).await.json();
    let of = |trial: &str| {
        json!({
            "trial": trial, "reported": 1000, "min": -1.0, "max": null, "latest": "NaN",
            "steps": [0, 1, 2, 3], "values": [0.5, 0.5, 0.5, 0.5],
        })
    };
    let expected = json!({ "metric": "loss", "items": [of("tune-a"), of("tune-b")] });
    assert_eq!(metrics, expected);
    for (query, points) in [
        ("", 200),
        ("?points=0", 0),
        ("?points=1", 4),
        ("?points=9999", 2000),
    ] {
        let metrics = server.get(&format!("{path}{query}")).await.json();
        let values = metrics["items"][0]["values"].as_array().map(Vec::len);
        assert_eq!(values, Some(points), "{query}");
    }
    let other = server.get(&format!("{path}?metric=unreadable")).await;
    assert_eq!(other.code, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_trial_shows_its_conditions_and_a_thinned_curve() {
    let server = Server::start();
    server.trial("tune", "tune-a").await;
    server
        .finish("tune-a", "Failed", "1", "2026-01-01T00:00:01Z")
        .await;

    let trial = server.get("/namespaces/default/trials/tune-a").await.json();
    assert_eq!(trial["experiment"], "tune");
    assert_eq!(trial["objectiveMetric"], "loss");
    assert_eq!(trial["container"], "training");
    assert_eq!(trial["row"]["message"], "it ended");
    assert_eq!(trial["conditions"][0]["type"], "Failed");

    let metrics = server
        .get("/namespaces/default/trials/tune-a/metrics?points=50")
        .await
        .json();
    let series = &metrics["items"][0];
    assert_eq!(series["name"], "loss");
    assert_eq!(series["reported"], 1000);
    let points = series["points"].as_array().expect("points");
    assert!((40..=50).contains(&points.len()), "{} points", points.len());
    assert_eq!(points[0], json!({ "step": 0, "time": null, "value": 0.0 }));
    assert_eq!(points[points.len() - 1]["step"], 999);
}

#[tokio::test]
async fn a_budget_is_edited_and_an_experiment_deleted() {
    let server = Server::start();
    server.experiment("tune").await;
    let path = "/namespaces/default/experiments/tune";
    let edited = server
        .call("PATCH", &format!("{path}/budget"), "{\"maxTrials\": 20}")
        .await;
    assert_eq!(edited.code, StatusCode::OK, "{}", edited.text);
    assert_eq!(edited.json()["budget"]["maxTrials"], 20);
    let api = Api::<Experiment>::namespaced(server.client.clone(), NAMESPACE);
    assert_eq!(
        api.get("tune")
            .await
            .expect("it is there")
            .spec
            .max_trial_count,
        Some(20)
    );

    let deleted = server.call("DELETE", path, "").await;
    assert_eq!(deleted.code, StatusCode::ACCEPTED, "{}", deleted.text);
    let left = api.get_opt("tune").await.expect("an answer");
    assert!(left.is_none_or(|left| left.metadata.deletion_timestamp.is_some()));
}

#[tokio::test]
async fn namespaces_are_listed_by_name() {
    let names = Server::start().get("/namespaces").await.json();
    let names = names["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str);
    let names = names.collect::<Vec<_>>();
    assert!(
        names.contains(&"default") && names.contains(&"kubeflow"),
        "{names:?}"
    );
    assert!(names.is_sorted());
}

#[tokio::test]
async fn events_of_an_object_are_listed_newest_first() {
    let server = Server::start();
    let event = |name: &str, kind: &str, object: &str, time: &str| {
        json!({
            "metadata": { "name": name, "namespace": NAMESPACE },
            "involvedObject": { "kind": kind, "name": object, "namespace": NAMESPACE },
            "type": "Normal", "reason": name, "message": "it happened", "lastTimestamp": time,
        })
    };
    for object in [
        event("old", "Experiment", "tune", "2026-01-01T00:00:00Z"),
        event("new", "Experiment", "tune", "2026-01-02T00:00:00Z"),
        event("other", "Trial", "tune-a", "2026-01-01T00:00:00Z"),
        event("job", "Job", "tune-a", "2026-01-02T00:00:00Z"),
    ] {
        server.create::<Event>(object).await;
    }
    let reasons = async |path: &str| {
        let list = server.get(path).await.json();
        let items = list["items"].as_array().expect("a list").iter();
        items
            .map(|item| item["reason"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reasons("/namespaces/default/experiments/tune/events").await,
        ["new", "old"]
    );
    assert_eq!(
        reasons("/namespaces/default/trials/tune-a/events").await,
        ["job", "other"]
    );
}

fn pod_of(trial: &str) -> Value {
    json!({
        "metadata": {
            "name": format!("{trial}-pod"),
            "labels": { "katib.kubeflow.org/trial": trial },
        },
        "spec": { "containers": [{ "name": "training", "image": "none" }] },
    })
}

#[tokio::test]
async fn a_log_is_text() {
    let server = Server::start();
    server.trial("tune", "tune-a").await;
    let missing = server.get("/namespaces/default/trials/tune-a/log").await;
    assert_eq!(missing.code, StatusCode::NOT_FOUND);

    server.create::<Pod>(pod_of("tune-a")).await;
    let log = server.get("/namespaces/default/trials/tune-a/log").await;
    assert_eq!(log.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(
        log.text,
        "\"tune-a-pod\" Some(\"training\")\nfollow=false\n"
    );
}

#[tokio::test]
async fn the_log_of_a_pod_that_is_gone_comes_from_the_archive() {
    let server = Server::start();
    server.trial("tune", "archived").await;
    server
        .finish("archived", "Succeeded", "1", "2026-01-01T00:00:01Z")
        .await;
    let log = server
        .get("/namespaces/default/trials/archived/log?tailLines=2")
        .await;
    assert_eq!(log.text, "default Some(2)\nbye\n");

    let mut events = server
        .events("/namespaces/default/trials/archived/log?follow=true&tailLines=9")
        .await;
    let lines = json!(["default Some(9)", "bye"]).to_string();
    assert_eq!(events.next().await, Some(("lines".to_owned(), lines)));
    assert_eq!(
        events.next().await,
        Some(("end".to_owned(), "{}".to_owned()))
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn following_a_log_waits_for_the_container_to_start() {
    let server = Server::start();
    server.trial("tune", "tune-a").await;
    server.create::<Pod>(pod_of("tune-a")).await;
    let mut events = server
        .events("/namespaces/default/trials/tune-a/log?follow=true")
        .await;
    let started = json!({ "status": { "containerStatuses": [{
        "name": "training", "image": "none", "imageID": "", "ready": true, "restartCount": 0,
        "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } },
    }] } });
    server.status::<Pod>("tune-a-pod", started).await;
    let lines = json!(["\"tune-a-pod\" Some(\"training\")", "follow=true"]).to_string();
    assert_eq!(events.next().await, Some(("lines".to_owned(), lines)));
    assert_eq!(
        events.next().await,
        Some(("end".to_owned(), "{}".to_owned()))
    );
}

#[tokio::test]
async fn following_a_log_that_is_not_kept_says_so() {
    let server = Server::start();
    server.trial("tune", "tune-a").await;
    server
        .finish("tune-a", "Succeeded", "1", "2026-01-01T00:00:01Z")
        .await;
    let mut events = server
        .events("/namespaces/default/trials/tune-a/log?follow=true")
        .await;
    let text = "the log of trial tune-a is not kept".to_owned();
    assert_eq!(events.next().await, Some(("failed".to_owned(), text)));
    assert_eq!(events.next().await, None);
}
