//! The controllers of workloads with real processes, seen through the API.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
#![allow(
    dead_code,
    reason = "the cluster of the node's tests can do more than these need"
)]

#[path = "../../../node/tests/node/cluster.rs"]
mod cluster;
mod deployments;
mod jobs;
mod services;
mod storage;
