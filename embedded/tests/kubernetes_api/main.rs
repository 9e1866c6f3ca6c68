//! The API seen from outside: through a `kube::Client`, as HTTP requests, and after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, and what it calls, may fail so"
)]
#![allow(clippy::too_many_lines, reason = "some tests tell a story")]

mod access;
mod apply;
mod definitions;
mod door;
mod durability;
mod listener;
mod objects;
mod quotas;
mod requests;
mod routes;
mod world;
