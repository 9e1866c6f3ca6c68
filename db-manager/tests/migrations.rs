//! From Katib's table forward: which tables are used when, and that rows survive the way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{sync::Arc, time::Duration};

use diwan_api::{MetricLog, metadata::ZERO_TIME};
use diwan_db_manager::{
    Delivery, LogQuery, ObservationStore, OpenOptions, Report, Schema, StoreError, TrialRef, store,
};
use support::{Kind, Server, katib_table, parsed};

const KINDS: [Kind; 2] = [Kind::Postgres, Kind::Mariadb];

async fn open(url: &str, schema: Schema) -> Result<Arc<dyn ObservationStore>, StoreError> {
    let options = OpenOptions {
        schema,
        connect_timeout: Duration::from_secs(20),
        ..OpenOptions::default()
    };
    store::open_with(&parsed(url), options).await
}

fn row(time: &str, name: &str, value: &str) -> MetricLog {
    MetricLog {
        time_stamp: time.into(),
        name: name.into(),
        value: value.into(),
    }
}

fn of(namespace: &str, name: &str) -> LogQuery {
    LogQuery {
        trial: TrialRef::new(namespace, name),
        ..LogQuery::default()
    }
}

/// A database as Katib's DB manager leaves it.
async fn katib_database(kind: Kind) -> (&'static Server, String) {
    let server = Server::shared(kind);
    let url = server.database().await;
    server.execute(&url, katib_table(kind)).await;
    let insert = "INSERT INTO observation_logs (trial_name, time, metric_name, value) VALUES
        ('t', '2026-01-01 00:00:02', 'loss', '0.2'), ('u', '2026-01-01 00:00:01', 'acc', '7'),
        ('t', '2026-01-01 00:00:01.000001', 'loss', '0.30'),
        ('t', '0001-01-01 00:00:00', 'acc', 'unavailable'),
        ('t', '2026-01-01 00:00:02', 'acc', 'nan'), ('t', NULL, 'loss', 'without a time')";
    server.execute(&url, insert).await;
    (server, url)
}

fn katib_rows() -> Vec<MetricLog> {
    vec![
        row(ZERO_TIME, "acc", "unavailable"),
        row("2026-01-01T00:00:01.000001Z", "loss", "0.30"),
        row("2026-01-01T00:00:02Z", "loss", "0.2"),
        row("2026-01-01T00:00:02Z", "acc", "nan"),
    ]
}

async fn report(store: &Arc<dyn ObservationStore>, trial: TrialRef, row: MetricLog) {
    let report = Report {
        trial,
        rows: vec![row],
        delivery: Delivery::Plain,
    };
    store.report(report).await.unwrap();
}

const COUNT: &str = "SELECT CONCAT(count(*), '') FROM observation_logs";

#[tokio::test]
async fn the_table_of_katib_is_read_and_written_as_it_is() {
    for kind in KINDS {
        for schema in [Schema::Detect, Schema::Untouched] {
            let (server, url) = katib_database(kind).await;
            let store = open(&url, schema).await.unwrap();
            let rows = store.get(of("any", "t")).await.unwrap();
            assert_eq!(rows, katib_rows(), "{kind:?}");
            let new = row("2026-01-02T00:00:00.25Z", "loss", "0.1");
            report(&store, TrialRef::new("n", "t"), new).await;
            let seen = server
                .texts(
                    &url,
                    "SELECT CAST(time AS CHAR(30)) FROM observation_logs WHERE value = '0.1'",
                )
                .await;
            assert_eq!(seen.len(), 1);
            assert!(seen[0].starts_with("2026-01-02 00:00:00.25"), "{seen:?}");
            let tables = "SELECT CAST(table_name AS CHAR(50)) FROM information_schema.tables
                WHERE table_name IN ('diwan_observations', 'diwan_schema') AND table_schema IN
                (SELECT table_schema FROM information_schema.tables
                 WHERE table_name = 'observation_logs')";
            if schema == Schema::Untouched && kind == Kind::Postgres {
                assert_eq!(server.texts(&url, tables).await, [""; 0]);
            }
            // A second opening finds the same.
            let again = open(&url, schema).await.unwrap();
            assert_eq!(again.get(of("", "t")).await.unwrap().len(), 5);
        }
    }
}

#[tokio::test]
async fn rows_of_katib_are_taken_over_once() {
    for kind in KINDS {
        let (server, url) = katib_database(kind).await;
        // Used as it is for a while, which leaves notes beside it.
        let before = open(&url, Schema::Detect).await.unwrap();
        let late = row("2026-01-03T00:00:00Z", "acc", "9");
        report(&before, TrialRef::new("n", "u"), late.clone()).await;
        before.close().await.unwrap();

        let store = open(&url, Schema::Diwan).await.unwrap();
        assert_eq!(store.get(of("n", "t")).await.unwrap(), katib_rows());
        let expected = vec![row("2026-01-01T00:00:01Z", "acc", "7"), late];
        assert_eq!(store.get(of("n", "u")).await.unwrap(), expected);
        let lines = store.summaries("n", &["t".to_owned()]).await.unwrap();
        let seen: Vec<_> = lines
            .iter()
            .map(|l| {
                (
                    l.metric.as_str(),
                    l.count,
                    l.min.as_deref(),
                    l.max.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("loss", 2, Some("0.2"), Some("0.30")),
                ("acc", 2, None, None)
            ]
        );
        // Katib's table is left as it was.
        assert_eq!(server.texts(&url, COUNT).await, ["7"]);

        let new = row("2026-01-04T00:00:00Z", "loss", "0.1");
        report(&store, TrialRef::new("n", "t"), new).await;
        store.close().await.unwrap();
        // From now on every way of opening finds Diwan's tables, and takes nothing over again.
        for schema in [Schema::Detect, Schema::Diwan, Schema::Untouched] {
            let store = open(&url, schema).await.unwrap();
            assert_eq!(store.get(of("n", "t")).await.unwrap().len(), 5);
        }
        assert_eq!(server.texts(&url, COUNT).await, ["7"]);
        let shown = "SELECT CAST(time AS CHAR(30)) FROM diwan_log
            WHERE namespace = 'n' AND trial = 't' AND metric = 'loss' AND value = '0.30'";
        let shown = server.texts(&url, shown).await;
        assert!(
            shown[0].starts_with("2026-01-01 00:00:01.000001"),
            "{shown:?}"
        );
    }
}

#[tokio::test]
async fn a_broken_migration_is_begun_again() {
    // PostgreSQL takes all of it back.
    let (server, url) = katib_database(Kind::Mariadb).await;
    open(&url, Schema::Diwan).await.unwrap();
    // As if the process had died before the version was noted.
    server
        .execute(&url, "UPDATE diwan_schema SET version = 1")
        .await;
    let store = open(&url, Schema::Diwan).await.unwrap();
    assert_eq!(store.get(of("n", "t")).await.unwrap(), katib_rows());
}

#[tokio::test]
async fn two_openers_make_the_tables_once() {
    for kind in KINDS {
        let (_, url) = katib_database(kind).await;
        let opened = [0; 4].map(|_| open(&url, Schema::Diwan));
        for store in futures::future::join_all(opened).await {
            let rows = store.unwrap().get(of("n", "t")).await.unwrap();
            assert_eq!(rows, katib_rows(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_a_reason() {
    for kind in KINDS {
        let server = Server::shared(kind);
        let url = server.database().await;
        let error = open(&url, Schema::Untouched).await.err().unwrap();
        assert!(
            error.to_string().contains("observation_logs is not there"),
            "{error}"
        );
        open(&url, Schema::Detect).await.unwrap();
        server
            .execute(&url, "UPDATE diwan_schema SET version = 99")
            .await;
        for schema in [Schema::Detect, Schema::Untouched] {
            let error = open(&url, schema).await.err().unwrap();
            assert!(
                matches!(error, StoreError::Newer { found: 99, .. }),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let options = OpenOptions {
        connect_timeout: Duration::ZERO,
        ..OpenOptions::default()
    };
    for url in [
        "postgres://u:secret@127.0.0.1:1/d",
        "mysql://u:secret@127.0.0.1:1/d",
    ] {
        let error = store::open_with(&parsed(url), options).await.err().unwrap();
        let text = error.to_string();
        assert!(text.contains("u@127.0.0.1:1/d"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
