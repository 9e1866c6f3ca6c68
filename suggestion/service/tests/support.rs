//! What the tests of this crate share.
#![allow(dead_code)] // not every test uses all of it

use std::net::SocketAddr;
use std::sync::Arc;

use diwan_api::{Experiment, Trial};
use diwan_proto::v1beta1::suggestion_server::{Suggestion, SuggestionServer};
use diwan_suggestion::{SuggestRequest, SuggestionService, serve};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

/// An experiment over a double and a category, as a user writes it.
pub(crate) fn experiment(algorithm: &str, settings: &[(&str, &str)]) -> Experiment {
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": "example", "namespace": "default"},
        "spec": {
            "objective": {
                "type": "minimize",
                "objectiveMetricName": "loss",
                "metricStrategies": [{"name": "loss", "value": "min"}],
            },
            "algorithm": {"algorithmName": algorithm, "algorithmSettings": settings},
            "parallelTrialCount": 2,
            "maxTrialCount": 6,
            "parameters": [
                {
                    "name": "lr",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0.1", "max": "0.5", "step": "0.1"},
                },
                {
                    "name": "kind",
                    "parameterType": "categorical",
                    "feasibleSpace": {"list": ["a", "b"]},
                },
            ],
        },
    }))
    .expect("an experiment")
}

/// A trial whose last condition is this one.
pub(crate) fn trial(
    name: &str,
    assignments: (&str, &str),
    condition: &str,
    loss: Option<&str>,
) -> Arc<Trial> {
    let observation = loss
        .map(|loss| json!({"metrics": [{"name": "loss", "min": loss, "max": "9", "latest": "8"}]}));
    let trial = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {
                "type": "minimize",
                "objectiveMetricName": "loss",
                "metricStrategies": [{"name": "loss", "value": "min"}],
            },
            "parameterAssignments": [
                {"name": "kind", "value": assignments.1},
                {"name": "lr", "value": assignments.0},
            ],
            "labels": {"rung": "1"},
        },
        "status": {
            "startTime": "2026-01-02T03:04:05Z",
            "conditions": [
                {"type": "Created", "status": "True"},
                {"type": "Running", "status": if condition == "Running" { "True" } else { "False" }},
                {"type": condition, "status": "True"},
            ],
            "observation": observation,
        },
    }));
    Arc::new(trial.expect("a trial"))
}

/// A request after these trials.
pub(crate) fn request(
    experiment: Experiment,
    trials: Vec<Arc<Trial>>,
    count: usize,
) -> SuggestRequest {
    let total = trials.len() + count;
    SuggestRequest {
        experiment: Arc::new(experiment),
        trials,
        settings: Vec::new(),
        count,
        total,
    }
}

/// Serves the built-in algorithms for as long as the test runs.
pub(crate) async fn serve_built_in(service: SuggestionService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(serve(listener, service, std::future::pending()));
    address
}

/// Serves another implementation of the contract for as long as the test runs.
pub(crate) async fn serve_other(service: impl Suggestion) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let server = tonic::transport::Server::builder().add_service(SuggestionServer::new(service));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}
