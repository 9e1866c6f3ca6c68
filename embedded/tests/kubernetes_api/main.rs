//! The API seen from outside: through a `kube::Client`, as HTTP requests, and after a restart.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test, and what it calls, may fail so"
)]

mod apply;
mod durability;
mod listener;
mod objects;
mod requests;
mod world;
