//! The contract with clients: the same requests to this API and to a real kube-apiserver.
//!
//! `rows/*.yaml` holds the requests and `answers/*.json` what Kubernetes answers. See
//! `docs/embedded/contract.md`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test, and what it calls, may fail so and says what it did"
)]

mod answer;
mod compare;
mod kubernetes;
mod normal;
mod row;
mod run;
mod server;

use futures::future::join_all;

use crate::{
    answer::Answers, compare::Verdict, kubernetes::Kubernetes, row::Topic, server::Server,
};

/// This API answers as Kubernetes did when the answers were recorded.
#[tokio::test]
async fn embedded_answers_as_kubernetes_does() {
    let (server, _directory) = Server::embedded().await;
    let topics = Topic::all();
    let given = answers(&server, &topics).await;
    let mut verdict = Verdict::default();
    for (topic, given) in topics.iter().zip(&given) {
        verdict.judge(topic, &Answers::load(topic), given);
    }
    println!("{verdict}");
    assert!(
        verdict.is_good(),
        "this API answers otherwise than Kubernetes"
    );
}

/// Kubernetes still answers as recorded; with RECORD=1 its answers are written down.
#[tokio::test]
#[ignore = "starts etcd and kube-apiserver: make test-contract"]
async fn kubernetes_answers_as_recorded() {
    let kubernetes = Kubernetes::start();
    let server = kubernetes.server().await;
    let topics = Topic::all();
    let given = answers(&server, &topics).await;
    let record = std::env::var_os("RECORD").is_some();
    let mut verdict = Verdict::default();
    for (topic, given) in topics.iter().zip(given) {
        verdict.judge_recorded(topic, &Answers::load(topic), &given);
        if record {
            given.save(topic);
        }
    }
    println!("{verdict}");
    assert!(
        record || verdict.is_good(),
        "Kubernetes answers otherwise than recorded; RECORD=1 writes its answers down"
    );
}

/// What a server answers to all rows, topic by topic.
async fn answers(server: &Server, topics: &[Topic]) -> Vec<Answers> {
    join_all(topics.iter().map(|topic| run::topic(server, topic))).await
}
