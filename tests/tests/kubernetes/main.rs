//! Diwan on a real Kubernetes: a real API server, kubelet and containers. One cluster for all cases,
//! one after the other; `make test-kubernetes` brings it up and runs them.
//!
//!   cargo test -p diwan-tests --features kubernetes --test kubernetes -- [WORD...]
//!
//! A word picks the cases in whose names it is. From the environment: `DIWAN_TEST_KILLS`, how often the
//! controller is killed, and `DIWAN_TEST_TRIALS_SIMULATED`, how many trials are run on simulated nodes.

// A test may fail on the spot; this one is a program that prints how far it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod algorithms;
mod collectors;
mod crashes;
mod database;
mod doors;
mod experiments;
mod high_availability;
mod images;
mod installation;
mod kinds;
mod metrics;
mod pods;
mod populations;
mod scale;
mod sdk;
mod steps;
mod v1alpha3;
mod webhooks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use diwan_tests::cluster::Cluster;

use crate::steps::setting;

/// What is tried. Each cleans up after itself, so that any of them can run alone.
type Case = (&'static str, fn(&Cluster));

/// In this order.
const CASES: &[&[Case]] = &[
    experiments::CASES,
    metrics::CASES,
    v1alpha3::CASES,
    algorithms::CASES,
    populations::CASES,
    kinds::CASES,
    pods::CASES,
    images::CASES,
    collectors::CASES,
    sdk::CASES,
    webhooks::CASES,
    doors::CASES,
    crashes::CASES,
    database::CASES,
    high_availability::CASES,
    installation::CASES,
];

/// No case takes longer.
const LONGEST: Duration = Duration::from_mins(3);

/// They take long, so only when a word of theirs is given.
const ON_DEMAND: &[&[Case]] = &[scale::CASES];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let is_named = |name: &str| wanted.iter().any(|part| name.contains(part));
    let cases = CASES.iter().copied().flatten();
    let cases = cases.filter(|(name, _)| wanted.is_empty() || is_named(name));
    let demanded = ON_DEMAND.iter().copied().flatten();
    let cases = cases.chain(demanded.filter(|(name, _)| is_named(name)));
    // Where time is short, what has not begun by then is left out, and that is said.
    let limit = setting("DIWAN_TEST_SECONDS", u32::MAX);
    let limit = Duration::from_secs(u64::from(limit)).saturating_sub(LONGEST);
    let begin = Instant::now();
    let cluster = Cluster::start();
    cluster.install();
    println!(
        "cluster and installation: {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let mut failed = Vec::new();
    let start = begin;
    for (name, case) in cases {
        if start.elapsed() > limit {
            println!("{name}: NOT RUN, the time is over");
            continue;
        }
        let begin = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| case(&cluster)));
        let outcome = if ended.is_ok() { "ok" } else { "FAILED" };
        println!("{name}: {outcome} ({:.1} s)", begin.elapsed().as_secs_f64());
        if ended.is_err() {
            failed.push(*name);
            eprintln!("{}", cluster.describe());
            // What the case could not put in order any more.
            let _ = catch_unwind(AssertUnwindSafe(|| tidy(&cluster)));
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

fn tidy(cluster: &Cluster) {
    let _ = cluster.kubectl("delete experiments --all --timeout=60s");
    cluster.install();
}
