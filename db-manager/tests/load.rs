//! Many trials report at once while the server is killed and started again: what was acknowledged
//! is there, once. `DIWAN_TEST_ROWS` sets how many rows there are in all (1000000 for the long
//! form), `DIWAN_TEST_KILLS` how often the server dies.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use diwan_api::MetricLog;
use diwan_db_manager::{
    Delivery, LogQuery, ObservationStore, OpenOptions, Report, Schema, StoreError, TrialRef, store,
    time,
};
use support::{Kind, Server, katib_table, parsed};
use tokio::task::JoinSet;

const TRIALS: u64 = 32;
const ROWS_PER_REPORT: u64 = 100;
/// How long calls wait for the server: shorter than it takes to come back, at times, so that
/// callers have to try again with the id of their report.
const PATIENCE: Duration = Duration::from_secs(1);

fn number(variable: &str, default: u64) -> u64 {
    let set = std::env::var(variable).ok();
    set.map_or(default, |text| text.parse().unwrap())
}

async fn open(url: &str) -> Arc<dyn ObservationStore> {
    let options = OpenOptions {
        schema: Schema::Detect,
        connect_timeout: Duration::from_mins(1),
        patience: PATIENCE,
    };
    store::open_with(&parsed(url), options).await.unwrap()
}

fn rows(from: u64) -> Vec<MetricLog> {
    let rows = from..from + ROWS_PER_REPORT;
    rows.map(|i| MetricLog {
        time_stamp: time::format(1_767_225_600_000_000 + i as i64),
        name: if i % 2 == 0 { "loss" } else { "acc" }.into(),
        value: i.to_string(),
    })
    .collect()
}

/// Reports until all rows of a trial were acknowledged, as a collector does.
async fn report_all(
    store: Arc<dyn ObservationStore>,
    trial: u64,
    count: u64,
    acknowledged: Arc<AtomicU64>,
) {
    for from in (0..count).step_by(ROWS_PER_REPORT as usize) {
        let report = Report {
            trial: TrialRef::new("n", format!("t{trial}")),
            rows: rows(from),
            delivery: Delivery::Batch(format!("{trial}-{from}")),
        };
        loop {
            match store.report(report.clone()).await {
                Ok(()) => break,
                Err(StoreError::Database(_)) => {}
                Err(error) => panic!("trial {trial}, row {from}: {error}"),
            }
        }
        acknowledged.fetch_add(ROWS_PER_REPORT, Ordering::Relaxed);
    }
}

async fn load(kind: Kind, katib: bool) {
    let total = number("DIWAN_TEST_ROWS", 32_000);
    let kills = number("DIWAN_TEST_KILLS", 2);
    let server = Server::start(kind, true);
    let url = server.database().await;
    if katib {
        server.execute(&url, katib_table(kind)).await;
    }
    let store = open(&url).await;
    let count = (total / TRIALS).next_multiple_of(ROWS_PER_REPORT);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut trials = JoinSet::new();
    for trial in 0..TRIALS {
        let (store, acknowledged) = (Arc::clone(&store), Arc::clone(&acknowledged));
        trials.spawn(report_all(store, trial, count, acknowledged));
    }
    let total = count * TRIALS;
    for kill in 1..=kills {
        while acknowledged.load(Ordering::Relaxed) < total * kill / (kills + 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::task::block_in_place(|| server.kill_and_restart());
        // It answers again; the trials may have found out before.
        server.execute(&url, "SELECT 1").await;
    }
    while let Some(done) = trials.join_next().await {
        done.unwrap();
    }
    drop(store);

    let store = open(&url).await;
    for trial in 0..TRIALS {
        let query = LogQuery {
            trial: TrialRef::new("n", format!("t{trial}")),
            ..LogQuery::default()
        };
        let stored = store.get(query).await.unwrap();
        let values: Vec<u64> = stored
            .iter()
            .map(|row| row.value.parse().unwrap())
            .collect();
        assert!(
            values.iter().copied().eq(0..count),
            "trial {trial} has {} of {count} rows",
            values.len()
        );
    }
    let names: Vec<String> = (0..TRIALS).map(|trial| format!("t{trial}")).collect();
    let lines = store.summaries("n", &names).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.count).sum::<u64>(), total);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_killed_under_load() {
    load(Kind::Postgres, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_is_killed_under_load() {
    load(Kind::Mariadb, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn katib_tables_of_postgres_survive_kills_under_load() {
    load(Kind::Postgres, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn katib_tables_of_mariadb_survive_kills_under_load() {
    load(Kind::Mariadb, true).await;
}
