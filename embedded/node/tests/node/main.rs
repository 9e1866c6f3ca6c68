//! The node with real processes, seen through the API.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod cluster;
mod config;
mod crash;
mod lifecycle;
mod logs;
mod schedule;
