//! The stream of changes over a real Kubernetes API.

use diwan_api::{Experiment, Trial};
use kube::{Api, api::DeleteParams};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::server::{Events, NAMESPACE, Server, condition_of};

/// Waits until a change is told that is wanted; of the changes before it none matters.
async fn wait_for(events: &mut Events, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let (name, data) = events.next().await.expect("the stream goes on");
        if name != "changes" {
            continue;
        }
        let batch = serde_json::from_str::<Value>(&data).expect("JSON");
        let changes = batch["changes"].as_array().expect("a list");
        if let Some(change) = changes.iter().find(|change| wanted(change)) {
            return change.clone();
        }
    }
}

async fn is_reload(events: &mut Events) -> bool {
    events
        .next()
        .await
        .is_some_and(|(name, _)| name == "reload")
}

#[tokio::test]
async fn a_page_is_told_what_changes_in_its_experiment() {
    let server = Server::start();
    server.experiment("before").await;
    let mut page = server
        .events("/events?namespace=default&experiment=tune")
        .await;
    assert!(
        is_reload(&mut page).await,
        "a page loads when everything from then on is seen"
    );

    server.experiment("tune").await;
    server.trial("tune", "tune-a").await;
    let trial = wait_for(&mut page, |change| change["kind"] == "trial").await;
    assert_eq!(trial["row"]["name"], "tune-a");
    assert_eq!(trial["row"]["state"], "Pending");

    server
        .finish("tune-a", "Succeeded", "0.5", "2026-01-01T00:00:01Z")
        .await;
    let ended = |change: &Value| change["row"]["state"] == "Succeeded";
    assert_eq!(wait_for(&mut page, ended).await["row"]["objective"], 0.5);

    let trials = Api::<Trial>::namespaced(server.client.clone(), NAMESPACE);
    trials
        .delete("tune-a", &DeleteParams::default())
        .await
        .expect("it was there");
    let gone = wait_for(&mut page, |change| change["kind"] == "trialDeleted").await;
    assert_eq!(gone, json!({ "kind": "trialDeleted", "name": "tune-a" }));
}

#[tokio::test]
async fn a_list_is_told_of_experiments_and_not_of_trials() {
    let server = Server::start();
    let mut list = server.events("/events").await;
    assert!(is_reload(&mut list).await);

    server.trial("tune", "tune-a").await;
    server.experiment("tune").await;
    let status = json!({ "status": { "conditions": [condition_of("Succeeded", "it is done")] } });
    server.status::<Experiment>("tune", status).await;
    loop {
        let (name, data) = list.next().await.expect("the stream goes on");
        let batch = serde_json::from_str::<Value>(&data).expect("JSON");
        assert_eq!(name, "changes");
        let changes = batch["changes"].as_array().expect("a list");
        assert!(
            changes.iter().all(|change| change["kind"] == "experiment"),
            "{batch}"
        );
        if changes[0]["summary"]["state"] == "Succeeded" {
            return;
        }
    }
}

#[tokio::test]
async fn a_deleted_experiment_is_told() {
    let server = Server::start();
    server.experiment("tune").await;
    let mut list = server.events("/events?namespace=default").await;
    assert!(is_reload(&mut list).await);
    let deleted = server
        .call("DELETE", "/namespaces/default/experiments/tune", "")
        .await;
    assert_eq!(deleted.code.as_u16(), 202, "{}", deleted.text);
    let api = Api::<Experiment>::namespaced(server.client.clone(), NAMESPACE);
    let left = api.get_opt("tune").await.expect("an answer");
    let wanted = |change: &Value| match &left {
        None => change["kind"] == "experimentDeleted",
        Some(_) => change["summary"]["deleting"] == true,
    };
    wait_for(&mut list, wanted).await;
}
