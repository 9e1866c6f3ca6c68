//! How fast the stores are, beside Katib's way on the same machine in the same run:
//!
//! ```text
//! cargo run --release -p diwan-db-manager --example figures -- [sqlite] [postgres] [mariadb] [curves]
//! ```
//!
//! Servers are started in temporary folders with their default durability. Katib's way is its own
//! table and one transaction per report; the DB manager of Katib 0.19 puts the rows of a report into
//! one statement, the one before it used a statement per row. Both are measured.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a program that prints figures, and stops when something fails"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use diwan_api::MetricLog;
use diwan_db_manager::{
    Delivery, LogQuery, ObservationStore, OpenOptions, Report, Schema, TrialRef, store, time,
    url::DatabaseUrl,
};
use futures::{StreamExt as _, future::join_all};
use sqlx::{Connection as _, MySqlConnection, PgConnection};
use support::{Kind, Server, katib_table, parsed};

type Store = Arc<dyn ObservationStore>;

/// How often each figure is taken; the best counts, since others share the machine.
const RUNS: usize = 3;
const TRIALS: usize = 32;
const ROWS: usize = 640_000;

fn row(i: usize) -> MetricLog {
    MetricLog {
        time_stamp: time::format(1_767_225_600_000_000 + i as i64 * 1_000),
        name: if i.is_multiple_of(2) {
            "loss"
        } else {
            "accuracy"
        }
        .into(),
        value: format!("{:.6}", 1.0 / (1.0 + i as f64 * 0.001)),
    }
}

/// Rows per second of `TRIALS` trials that report at once.
async fn throughput(store: &Store, batch: usize, total: usize, run: usize) -> f64 {
    let per_trial = total / TRIALS;
    let work: Vec<Vec<Report>> = (0..TRIALS)
        .map(|trial| {
            let reports = (0..per_trial).step_by(batch).map(|from| Report {
                trial: TrialRef::new("n", format!("t{trial}-{batch}-{run}")),
                rows: (from..per_trial.min(from + batch)).map(row).collect(),
                delivery: Delivery::Batch(format!("{trial}-{from}")),
            });
            reports.collect()
        })
        .collect();
    let started = Instant::now();
    let trials = work.into_iter().map(|reports| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for report in reports {
                store.report(report).await.unwrap();
            }
        })
    });
    for done in join_all(trials).await {
        done.unwrap();
    }
    (per_trial * TRIALS) as f64 / started.elapsed().as_secs_f64()
}

async fn writes(name: &str, store: &Store) {
    for (batch, total) in [
        (10_000, ROWS),
        (1_000, ROWS),
        (100, ROWS / 5),
        (10, ROWS / 40),
    ] {
        let mut best: f64 = 0.0;
        for run in 0..RUNS {
            best = best.max(throughput(store, batch, total, run).await);
        }
        println!("{name:<28} batches of {batch:>6} rows {best:>12.0} rows/s");
    }
    let query = LogQuery {
        trial: TrialRef::new("n", "t0-10000-0"),
        ..LogQuery::default()
    };
    let started = Instant::now();
    let mut count = 0;
    let mut pages = store.stream(query).await.unwrap();
    while let Some(page) = pages.next().await {
        count += page.unwrap().len();
    }
    let rate = f64::from(count as u32) / started.elapsed().as_secs_f64();
    println!("{name:<28} read, {count} rows          {rate:>12.0} rows/s");
}

/// 1,000 trials with 1,000 points each; what people look at.
async fn reads(name: &str, store: &Store) {
    let trials: Vec<String> = (0..1_000).map(|trial| format!("c{trial}")).collect();
    let filling = trials.chunks(TRIALS).map(|chunk| {
        let reports = chunk.iter().map(|trial| Report {
            trial: TrialRef::new("n", trial),
            rows: (0..1_000)
                .map(|i| MetricLog {
                    name: "loss".into(),
                    ..row(i)
                })
                .collect(),
            delivery: Delivery::Plain,
        });
        reports.collect::<Vec<_>>()
    });
    for reports in filling {
        for done in join_all(reports.into_iter().map(|report| store.report(report))).await {
            done.unwrap();
        }
    }
    let (mut best, mut first) = (Duration::MAX, None);
    for _ in 0..10 {
        let started = Instant::now();
        let curves = store.curves("n", &trials, "loss", 200).await.unwrap();
        let took = started.elapsed();
        first.get_or_insert(took);
        best = best.min(took);
        assert_eq!(curves.len(), 1_000);
        assert!(curves.iter().all(|curve| curve.points.len() == 200));
    }
    println!(
        "{name:<28} 1,000 curves, 1,000 -> 200 points: {best:>7.1?} (the first {:.1?})",
        first.unwrap_or_default()
    );
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let started = Instant::now();
        let lines = store.summaries("n", &trials).await.unwrap();
        best = best.min(started.elapsed());
        assert_eq!(lines.len(), 1_000);
    }
    println!("{name:<28} 1,000 summaries:                   {best:>7.1?}");
}

/// Katib's table: rows of reports of 1,000 rows, first in one statement each, then one by one.
async fn katib(kind: Kind, server: &Server) {
    let url = server.database().await;
    server.execute(&url, katib_table(kind)).await;
    for (way, per_statement) in [
        ("one statement per report", 1_000),
        ("a statement per row", 1),
    ] {
        let total = if per_statement == 1 { 32_000 } else { ROWS / 5 };
        let mut best: f64 = 0.0;
        for _ in 0..RUNS {
            let started = Instant::now();
            let trials = (0..TRIALS).map(|trial| {
                let url = url.clone();
                tokio::spawn(async move {
                    match kind {
                        Kind::Postgres => katib_postgres(&url, trial, total, per_statement).await,
                        Kind::Mariadb => katib_mysql(&url, trial, total, per_statement).await,
                    }
                })
            });
            for done in join_all(trials).await {
                done.unwrap();
            }
            best = best.max(total as f64 / started.elapsed().as_secs_f64());
        }
        println!("katib's table, {kind:?}: {way:<26} {best:>10.0} rows/s");
    }
}

fn statement(rows: usize, numbered: bool) -> sqlx::AssertSqlSafe<String> {
    let values = (0..rows).map(|row| {
        let marks = (1..=4).map(|at| match numbered {
            true if at == 2 => format!("CAST(${} AS timestamp)", row * 4 + at),
            true => format!("${}", row * 4 + at),
            false => "?".to_owned(),
        });
        format!("({})", marks.collect::<Vec<_>>().join(","))
    });
    let values: Vec<_> = values.collect();
    sqlx::AssertSqlSafe(format!(
        "INSERT INTO observation_logs (trial_name, time, metric_name, value) VALUES {}",
        values.join(",")
    ))
}

fn columns(trial: usize, i: usize) -> [String; 4] {
    let row = row(i);
    let time = row.time_stamp.trim_end_matches('Z').replace('T', " ");
    [format!("t{trial}"), time, row.name, row.value]
}

async fn katib_postgres(url: &str, trial: usize, total: usize, per_statement: usize) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    for from in (0..total / TRIALS).step_by(1_000) {
        let mut transaction = connection.begin().await.unwrap();
        for at in (from..from + 1_000).step_by(per_statement) {
            let mut query = sqlx::query(statement(per_statement, true));
            for text in (at..at + per_statement).flat_map(|i| columns(trial, i)) {
                query = query.bind(text);
            }
            query.execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
}

async fn katib_mysql(url: &str, trial: usize, total: usize, per_statement: usize) {
    let mut connection = MySqlConnection::connect(url).await.unwrap();
    for from in (0..total / TRIALS).step_by(1_000) {
        let mut transaction = connection.begin().await.unwrap();
        for at in (from..from + 1_000).step_by(per_statement) {
            let mut query = sqlx::query(statement(per_statement, false));
            for text in (at..at + per_statement).flat_map(|i| columns(trial, i)) {
                query = query.bind(text);
            }
            query.execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
}

/// The bare cost: `SQLite` with Katib's table, a statement per row, a transaction per report.
fn katib_sqlite(path: &std::path::Path) {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE observation_logs (trial_name TEXT NOT NULL, id INTEGER PRIMARY KEY,
                 time TEXT, metric_name TEXT NOT NULL, value TEXT NOT NULL)",
        )
        .unwrap();
    let mut best: f64 = 0.0;
    for _ in 0..RUNS {
        let total = ROWS / 5;
        let started = Instant::now();
        for report in 0..total / 1_000 {
            let transaction = connection.transaction().unwrap();
            for i in 0..1_000 {
                let columns = columns(report % TRIALS, report / TRIALS * 1_000 + i);
                let sql = "INSERT INTO observation_logs (trial_name, time, metric_name, value)
                    VALUES (?1, ?2, ?3, ?4)";
                transaction.execute(sql, columns).unwrap();
            }
            transaction.commit().unwrap();
        }
        best = best.max(total as f64 / started.elapsed().as_secs_f64());
    }
    println!("katib's way, SQLite: a statement per row            {best:>10.0} rows/s");
}

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|want| want == name);
    if wants("sqlite") || wants("curves") {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("log.db"));
        let store = store::open(&url).await.unwrap();
        if wants("sqlite") {
            katib_sqlite(&folder.path().join("katib.db"));
            writes("SQLite", &store).await;
        }
        reads("SQLite", &store).await;
        store.close().await.unwrap();
    }
    for (name, kind) in [("postgres", Kind::Postgres), ("mariadb", Kind::Mariadb)] {
        if !wants(name) {
            continue;
        }
        let server = Server::start(kind, true);
        katib(kind, &server).await;
        let url = server.database().await;
        server.execute(&url, "SELECT 1").await;
        let options = OpenOptions {
            schema: Schema::Diwan,
            ..OpenOptions::default()
        };
        let store = store::open_with(&parsed(&url), options).await.unwrap();
        let name = format!("{kind:?}");
        writes(&name, &store).await;
        reads(&name, &store).await;
        store.close().await.unwrap();
    }
}
