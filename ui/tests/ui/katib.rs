//! The address of Katib that shows architectures.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    body::Body,
    http::{HeaderName, Request},
};
use diwan_api::{Trial, metadata};
use diwan_ui::{AccessControl, Action, ReviewError, Reviewer};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::server::{Answer, NAMESPACE, Server};

/// `eve` may see trials and experiments.
struct Roles;

#[async_trait]
impl Reviewer for Roles {
    async fn may(&self, user: &str, action: &Action) -> Result<bool, ReviewError> {
        Ok(user == "eve" && ["get", "list"].contains(&action.verb))
    }
}

async fn ask(server: &Server, user: &str, query: &str) -> Answer {
    let request = Request::builder().uri(format!("/katib/fetch_nas_job_info/?{query}"));
    let request = request.header("kubeflow-userid", user);
    server
        .send(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test]
async fn the_networks_of_trials_that_succeeded_are_graphs() {
    let server = Server::start();
    server.experiment("enas").await;
    let config =
        "{'embedding': {'3': {'opt_type': 'convolution', 'opt_params': {'filter_size': '5'}}}}";
    for (name, architecture) in [
        ("enas-a", "[[3]]"),
        ("enas-b", "[[3]]"),
        ("enas-c", "other"),
    ] {
        let trial = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
            "metadata": {"name": name, "labels": {metadata::LABEL_EXPERIMENT: "enas"}},
            "spec": {
                "parameterAssignments": [
                    {"name": "architecture", "value": architecture},
                    {"name": "nn_config", "value": config},
                ],
                "primaryContainerName": "training",
            },
        });
        server.create::<Trial>(trial).await;
        if name != "enas-a" {
            server
                .finish(name, "Succeeded", "0.1", "2026-01-01T00:01:00Z")
                .await;
        }
    }
    let query = format!("experimentName=enas&namespace={NAMESPACE}");
    let networks = ask(&server, "", &query).await.json();
    assert_eq!(networks.as_array().unwrap().len(), 2, "{networks}");
    let network = &networks[0];
    assert_eq!(network["Name"], "Generation 1");
    assert_eq!(network["TrialName"], "enas-b");
    let graph = network["Architecture"].as_str().unwrap();
    assert!(graph.starts_with("digraph G {\n\t0->1;\n"), "{graph}");
    assert!(graph.contains("1 [ label=\"5x5 conv\" ];"), "{graph}");
    assert_eq!(network["MetricsName"][0], "loss");
    assert_eq!(network["MetricsValue"].as_array().unwrap().len(), 1000);
    // One without a network says so and hides no other.
    assert_eq!(networks[1]["Architecture"], "");
    let missing = ask(&server, "", "namespace=default").await;
    assert_eq!(missing.code, 400, "{}", missing.text);
    assert!(missing.text.contains("experimentName"), "{}", missing.text);
}

#[tokio::test]
async fn networks_are_shown_to_those_who_may_see_trials() {
    let server = Server::start_with(Some(AccessControl {
        user_header: HeaderName::from_static("kubeflow-userid"),
        user_prefix: String::new(),
        reviewer: Arc::new(Roles),
    }));
    let query = format!("experimentName=enas&namespace={NAMESPACE}");
    for (user, code) in [("", 401), ("mallory", 403), ("eve", 200)] {
        assert_eq!(ask(&server, user, &query).await.code, code, "{user}");
    }
}
