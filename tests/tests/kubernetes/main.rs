//! Diwan on a real Kubernetes: a real API server, kubelet and containers. One cluster for all cases,
//! one after the other; `make test-kubernetes` brings it up and runs them.
//!
//!   cargo test -p diwan-tests --features kubernetes --test kubernetes -- [WORDS OF A CASE...]

// A test may fail on the spot; this one is a program that prints how far it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod algorithms;
mod collectors;
mod crashes;
mod experiments;
mod kinds;
mod sdk;
mod steps;
mod webhooks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use diwan_tests::cluster::Cluster;

/// What is tried. Each cleans up after itself, so that any of them can run alone.
type Case = (&'static str, fn(&Cluster));

/// In this order.
const CASES: &[&[Case]] = &[
    experiments::CASES,
    algorithms::CASES,
    kinds::CASES,
    collectors::CASES,
    sdk::CASES,
    webhooks::CASES,
    crashes::CASES,
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let begin = Instant::now();
    let cluster = Cluster::start();
    cluster.install();
    println!(
        "cluster and installation: {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let mut failed = Vec::new();
    for (name, case) in CASES.iter().copied().flatten() {
        if !is_wanted(name) {
            continue;
        }
        let begin = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| case(&cluster)));
        let outcome = if ended.is_ok() { "ok" } else { "FAILED" };
        println!("{name}: {outcome} ({:.1} s)", begin.elapsed().as_secs_f64());
        if ended.is_err() {
            failed.push(name);
            eprintln!(
                "--- log of the controller ---\n{}",
                cluster.controller_log()
            );
        }
    }
    drop(cluster);
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed: {failed:?}");
        ExitCode::FAILURE
    }
}
