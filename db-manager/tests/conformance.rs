//! What every observation store does, whatever database is behind it. A new store adds one line at
//! the end of this file. Servers are real ones, started by the test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod support;

use std::{path::PathBuf, sync::Arc, time::Duration};

use diwan_api::{MetricLog, metadata::ZERO_TIME};
use diwan_db_manager::{
    Delivery, Keep, LogQuery, ObservationStore, OpenOptions, Report, Schema, SourceRange,
    StoreError, Swept, TrialRef, store, url::DatabaseUrl,
};
use futures::StreamExt as _;
use support::{Kind, Server, katib_table, parsed};

type Store = Arc<dyn ObservationStore>;

fn row(time: &str, name: &str, value: &str) -> MetricLog {
    MetricLog {
        time_stamp: time.into(),
        name: name.into(),
        value: value.into(),
    }
}

fn at(second: u32, name: &str, value: &str) -> MetricLog {
    row(
        &format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60),
        name,
        value,
    )
}

fn report(namespace: &str, trial: &str, rows: Vec<MetricLog>) -> Report {
    Report {
        trial: TrialRef::new(namespace, trial),
        rows,
        delivery: Delivery::Plain,
    }
}

fn all(namespace: &str, trial: &str) -> LogQuery {
    LogQuery {
        trial: TrialRef::new(namespace, trial),
        ..LogQuery::default()
    }
}

async fn values(store: &Store, query: LogQuery) -> Vec<String> {
    let rows = store.get(query).await.unwrap();
    rows.into_iter().map(|row| row.value).collect()
}

async fn rows_come_back_by_time_then_by_report(store: Store) {
    let rows = vec![
        at(2, "loss", "c"),
        at(1, "loss", "a"),
        at(1, "acc", "b"),
        row(ZERO_TIME, "loss", "unavailable"),
        row("", "loss", "a row without a time is left out"),
        row("2026-01-01T02:00:01.500+02:00", "loss", "NaN"),
    ];
    store.report(report("n", "t", rows)).await.unwrap();
    let expected = vec![
        row(ZERO_TIME, "loss", "unavailable"),
        at(1, "loss", "a"),
        at(1, "acc", "b"),
        row("2026-01-01T00:00:01.5Z", "loss", "NaN"),
        at(2, "loss", "c"),
    ];
    assert_eq!(store.get(all("n", "t")).await.unwrap(), expected);
}

async fn queries_choose_metric_and_time_with_both_bounds(store: Store) {
    let rows = (0..10).flat_map(|i| [at(i, "loss", &i.to_string()), at(i, "acc", "x")]);
    store
        .report(report("n", "t", rows.collect()))
        .await
        .unwrap();
    let query = |start: Option<&str>, end: Option<&str>| LogQuery {
        metric: Some("loss".into()),
        start: start.map(Into::into),
        end: end.map(Into::into),
        ..all("n", "t")
    };
    let (three, five) = ("2026-01-01T00:00:03Z", "2026-01-01T00:00:05Z");
    assert_eq!(
        values(&store, query(Some(three), Some(five))).await,
        ["3", "4", "5"]
    );
    assert_eq!(
        values(&store, query(None, Some(three))).await,
        ["0", "1", "2", "3"]
    );
    assert_eq!(
        values(&store, query(Some(five), None)).await,
        ["5", "6", "7", "8", "9"]
    );
    assert_eq!(values(&store, all("n", "t")).await.len(), 20);
    let refused = store.get(query(Some("noon"), None)).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("start time: time stamp \"noon\""),
        "{refused}"
    );
}

async fn nothing_reported_is_no_error(store: Store) {
    store.report(report("n", "t", vec![])).await.unwrap();
    store
        .report(report("n", "t", vec![row("", "loss", "1")]))
        .await
        .unwrap();
    assert_eq!(store.get(all("n", "t")).await.unwrap(), []);
    store
        .delete(&TrialRef::new("n", "never seen"))
        .await
        .unwrap();
    store.health().await.unwrap();
}

async fn a_report_is_stored_as_a_whole_or_not_at_all(store: Store) {
    let rows = vec![at(1, "loss", "1"), row("yesterday", "acc", "2")];
    let refused = store.report(report("n", "t", rows)).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Row { index: 1, metric, .. } if metric == "acc"));
    assert_eq!(store.get(all("n", "t")).await.unwrap(), []);
}

async fn large_reports_and_strange_text_survive(store: Store) {
    let rows: Vec<_> = (0..40_000)
        .map(|i| at(i % 3600, "loss", &i.to_string()))
        .collect();
    store.report(report("n", "t", rows)).await.unwrap();
    assert_eq!(store.get(all("n", "t")).await.unwrap().len(), 40_000);

    let strange = vec![
        at(1, "потеря'; DROP TABLE trials;--", "\"\n\u{1f600}"),
        at(2, "", ""),
    ];
    store
        .report(report("n", "u", strange.clone()))
        .await
        .unwrap();
    assert_eq!(store.get(all("n", "u")).await.unwrap(), strange);
}

async fn namespaces_do_not_mix(store: Store) {
    store
        .report(report("a", "t", vec![at(1, "loss", "of a")]))
        .await
        .unwrap();
    // As long as the name is unique it needs no namespace.
    store
        .report(report("", "t", vec![at(2, "loss", "of a too")]))
        .await
        .unwrap();
    assert_eq!(values(&store, all("", "t")).await, ["of a", "of a too"]);
    store
        .report(report("b", "t", vec![at(1, "loss", "of b")]))
        .await
        .unwrap();

    assert_eq!(values(&store, all("a", "t")).await, ["of a", "of a too"]);
    assert_eq!(values(&store, all("b", "t")).await, ["of b"]);
    assert_eq!(values(&store, all("c", "t")).await, [""; 0]);
    let namespaces = vec!["a".to_owned(), "b".to_owned()];
    let ambiguous = StoreError::Ambiguous {
        name: "t".into(),
        namespaces,
    };
    assert_eq!(store.get(all("", "t")).await, Err(ambiguous.clone()));
    let unqualified = report("", "t", vec![at(3, "loss", "whose?")]);
    assert_eq!(store.report(unqualified).await, Err(ambiguous.clone()));
    assert_eq!(store.delete(&TrialRef::new("", "t")).await, Err(ambiguous));

    store.delete(&TrialRef::new("a", "t")).await.unwrap();
    assert_eq!(values(&store, all("a", "t")).await, [""; 0]);
    assert_eq!(values(&store, all("", "t")).await, ["of b"]);
}

async fn a_namespace_takes_over_what_came_without_one(store: Store) {
    store
        .report(report("", "t", vec![at(1, "loss", "1")]))
        .await
        .unwrap();
    assert_eq!(values(&store, all("n", "t")).await, ["1"]);
    store
        .report(report("n", "t", vec![at(2, "loss", "2")]))
        .await
        .unwrap();
    assert_eq!(values(&store, all("n", "t")).await, ["1", "2"]);
    assert_eq!(values(&store, all("other", "t")).await, [""; 0]);
    store.delete(&TrialRef::new("n", "t")).await.unwrap();
    assert_eq!(values(&store, all("", "t")).await, [""; 0]);
}

async fn a_batch_is_stored_once(store: Store) {
    let batch = |trial: &str, id: &str| Report {
        delivery: Delivery::Batch(id.into()),
        ..report("n", trial, vec![at(1, "loss", id)])
    };
    for (trial, id) in [("t", "x"), ("t", "x"), ("t", "y"), ("u", "x")] {
        store.report(batch(trial, id)).await.unwrap();
    }
    assert_eq!(values(&store, all("n", "t")).await, ["x", "y"]);
    assert_eq!(values(&store, all("n", "u")).await, ["x"]);
    store.delete(&TrialRef::new("n", "t")).await.unwrap();
    store.report(batch("t", "x")).await.unwrap();
    assert_eq!(values(&store, all("n", "t")).await, ["x"]);
}

fn stretch(source: &str, from: u64, to: u64, rewound: bool, rows: Vec<MetricLog>) -> Report {
    let range = SourceRange {
        source: source.into(),
        from,
        to,
        rewound,
    };
    Report {
        delivery: Delivery::Source(range),
        ..report("n", "t", rows)
    }
}

async fn a_stretch_of_a_source_is_stored_once_and_remembered(store: Store) {
    let trial = TrialRef::new("n", "t");
    assert_eq!(store.collected(&trial, "log").await, Ok(0));
    for _ in 0..2 {
        store
            .report(stretch("log", 0, 10, false, vec![at(1, "loss", "1")]))
            .await
            .unwrap();
    }
    store
        .report(stretch("log", 10, 30, false, vec![at(2, "loss", "2")]))
        .await
        .unwrap();
    store
        .report(stretch("log", 0, 10, false, vec![at(1, "loss", "1")]))
        .await
        .unwrap();
    assert_eq!(values(&store, all("n", "t")).await, ["1", "2"]);
    assert_eq!(store.collected(&trial, "log").await, Ok(30));
    assert_eq!(store.collected(&trial, "other").await, Ok(0));

    let gap = store
        .report(stretch("log", 40, 50, false, vec![at(3, "loss", "3")]))
        .await;
    assert!(matches!(
        gap,
        Err(StoreError::Gap {
            stored: 30,
            from: 40,
            ..
        })
    ));

    for _ in 0..2 {
        let nothing_read = stretch("log", 30, 30, false, vec![row(ZERO_TIME, "loss", "none")]);
        store.report(nothing_read).await.unwrap();
    }
    assert_eq!(values(&store, all("n", "t")).await, ["none", "1", "2"]);

    store
        .report(stretch("log", 0, 5, true, vec![at(4, "loss", "4")]))
        .await
        .unwrap();
    assert_eq!(store.collected(&trial, "log").await, Ok(5));
    assert_eq!(values(&store, all("n", "t")).await, ["none", "1", "2", "4"]);
    store.delete(&trial).await.unwrap();
    assert_eq!(store.collected(&trial, "log").await, Ok(0));
}

async fn reads_for_people_cover_many_trials(store: Store) {
    for trial in 0..20 {
        let loss = (0..100).map(|i| at(i, "loss", &format!("{}", trial * 1000 + i)));
        let rows = loss.chain([at(0, "acc", "NaN")]).collect();
        store
            .report(report("n", &format!("t{trial}"), rows))
            .await
            .unwrap();
    }
    let trials: Vec<String> = ["t7", "none", "t3"].map(Into::into).to_vec();
    let lines = store.summaries("n", &trials).await.unwrap();
    let seen: Vec<_> = lines
        .iter()
        .map(|s| (s.trial.as_str(), s.metric.as_str(), s.count))
        .collect();
    assert_eq!(
        seen,
        [
            ("t7", "loss", 100),
            ("t7", "acc", 1),
            ("t3", "loss", 100),
            ("t3", "acc", 1)
        ]
    );
    assert_eq!(lines[0].min.as_deref(), Some("7000"));
    assert_eq!(lines[0].max.as_deref(), Some("7099"));
    assert_eq!(
        (lines[1].min.as_deref(), lines[1].latest.as_str()),
        (None, "NaN")
    );

    let curves = store.curves("n", &trials, "loss", 10).await.unwrap();
    assert_eq!(curves.len(), 2);
    assert_eq!(
        (curves[0].trial.as_str(), curves[0].points.len()),
        ("t7", 10)
    );
    assert_eq!(curves[1].points[9].value, 3099.0);
    assert_eq!(curves[1].points[9].step, 99);
}

async fn summaries_go_on_with_each_report(store: Store) {
    for (second, value) in [(5, "0.5"), (9, "0.125"), (7, "nan"), (8, "0.75")] {
        store
            .report(report("n", "t", vec![at(second, "loss", value)]))
            .await
            .unwrap();
    }
    let lines = store.summaries("n", &["t".to_owned()]).await.unwrap();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((line.count, line.latest.as_str()), (4, "0.125"));
    assert_eq!(
        (line.min.as_deref(), line.max.as_deref()),
        (Some("0.125"), Some("0.75"))
    );
    assert_eq!(line.first_time, "2026-01-01T00:00:05Z");
    assert_eq!(line.last_time, "2026-01-01T00:00:09Z");
    let curves = store.curves("n", &["t".to_owned()], "loss", 9).await;
    let points = &curves.unwrap()[0].points;
    let drawn: Vec<_> = points.iter().map(|p| (p.step, p.value)).collect();
    assert_eq!(drawn, [(0, 0.5), (2, 0.75), (3, 0.125)]);
}

async fn a_log_is_read_page_by_page(store: Store) {
    let rows: Vec<_> = (0..5_000)
        .map(|i| at(i % 3600, "loss", &i.to_string()))
        .collect();
    store.report(report("n", "t", rows)).await.unwrap();
    let mut pages = store.stream(all("n", "t")).await.unwrap();
    let first = pages.next().await.unwrap().unwrap();
    assert!(first.len() < 5_000, "{}", first.len());
    let mut count = first.len();
    while let Some(page) = pages.next().await {
        count += page.unwrap().len();
    }
    assert_eq!(count, 5_000);
    // A reader that leaves takes nothing with it.
    drop(store.stream(all("n", "t")).await.unwrap());
    assert_eq!(store.get(all("n", "t")).await.unwrap().len(), 5_000);
}

async fn batches_are_forgotten_after_a_while(store: Store) {
    let batch = || Report {
        delivery: Delivery::Batch("x".into()),
        ..report("n", "t", vec![at(1, "loss", "1")])
    };
    store.report(batch()).await.unwrap();
    let nothing = store.sweep(Keep::default()).await.unwrap();
    assert_eq!(nothing, Swept::default());
    store.report(batch()).await.unwrap();
    assert_eq!(values(&store, all("n", "t")).await, ["1"]);
    let keep = Keep {
        batches_since: i64::MAX,
        ..Keep::default()
    };
    assert_eq!(store.sweep(keep).await.unwrap().batches, 1);
    assert_eq!(values(&store, all("n", "t")).await, ["1"]);
    store.report(batch()).await.unwrap();
    assert_eq!(values(&store, all("n", "t")).await, ["1", "1"]);
}

async fn logs_of_old_trials_are_forgotten(store: Store) {
    for trial in ["t", "u"] {
        store
            .report(report("n", trial, vec![at(1, "loss", "1")]))
            .await
            .unwrap();
    }
    let keep = |logs_since| Keep {
        logs_since: Some(logs_since),
        ..Keep::default()
    };
    // Before the first report, and before the time that it tells.
    assert_eq!(store.sweep(keep(0)).await.unwrap().trials, 0);
    assert_eq!(values(&store, all("n", "t")).await, ["1"]);
    let far = 4_000_000_000_000_000;
    assert_eq!(store.sweep(keep(far)).await.unwrap().trials, 2);
    assert_eq!(values(&store, all("n", "t")).await, [""; 0]);
    let lines = store.summaries("n", &["t".to_owned()]).await.unwrap();
    assert_eq!(lines, []);
}

async fn reports_at_the_same_time_are_all_kept(store: Store) {
    let mut tasks = tokio::task::JoinSet::new();
    for trial in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for i in 0..20 {
                let rows = vec![at(i, "loss", &i.to_string())];
                store
                    .report(report("n", &format!("t{trial}"), rows))
                    .await
                    .unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for trial in 0..16 {
        assert_eq!(
            store
                .get(all("n", &format!("t{trial}")))
                .await
                .unwrap()
                .len(),
            20
        );
    }
}

async fn a_log_that_goes_while_it_is_read_is_whole_or_empty(store: Store) {
    let reader = Arc::clone(&store);
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let until = Arc::clone(&over);
    let reads = tokio::spawn(async move {
        while !until.load(std::sync::atomic::Ordering::Relaxed) {
            let found = values(&reader, all("n", "t")).await;
            assert!(matches!(found.len(), 0 | 2), "{found:?}");
        }
    });
    for _ in 0..100 {
        let rows = vec![at(1, "loss", "a"), at(2, "acc", "b")];
        store.report(report("n", "t", rows)).await.unwrap();
        store.delete(&TrialRef::new("n", "t")).await.unwrap();
    }
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    reads.await.unwrap();
}

async fn a_closed_store_refuses(store: Store) {
    store
        .report(report("n", "t", vec![at(1, "loss", "1")]))
        .await
        .unwrap();
    store.close().await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.get(all("n", "t")).await, Err(StoreError::Closed));
    let late = report("n", "t", vec![at(2, "loss", "2")]);
    assert_eq!(store.report(late).await, Err(StoreError::Closed));
    assert_eq!(store.health().await, Err(StoreError::Closed));
}

/// Runs each behaviour on a fresh store, which `$open` makes; what comes with it is kept until
/// the behaviour was shown. Stores that know no namespaces leave those two out.
macro_rules! conformance {
    ($database:ident, $open:expr) => {
        conformance!(@mod $database, $open,
            namespaces_do_not_mix,
            a_namespace_takes_over_what_came_without_one,
            batches_are_forgotten_after_a_while,
        );
    };
    ($database:ident, $open:expr, without namespaces) => {
        conformance!(@mod $database, $open,);
    };
    (@mod $database:ident, $open:expr, $($behaviour:ident,)*) => {
        mod $database {
            conformance!(@each $open,
                rows_come_back_by_time_then_by_report,
                queries_choose_metric_and_time_with_both_bounds,
                nothing_reported_is_no_error,
                a_report_is_stored_as_a_whole_or_not_at_all,
                large_reports_and_strange_text_survive,
                a_batch_is_stored_once,
                a_stretch_of_a_source_is_stored_once_and_remembered,
                reads_for_people_cover_many_trials,
                summaries_go_on_with_each_report,
                a_log_is_read_page_by_page,
                logs_of_old_trials_are_forgotten,
                reports_at_the_same_time_are_all_kept,
                a_log_that_goes_while_it_is_read_is_whole_or_empty,
                a_closed_store_refuses,
                $($behaviour,)*
            );
        }
    };
    (@each $open:expr, $($behaviour:ident,)*) => {
        $(#[tokio::test]
        async fn $behaviour() {
            let (store, _kept) = $open.await;
            super::$behaviour(store).await;
        })*
    };
}

async fn open_sqlite(path: PathBuf) -> Store {
    store::open(&DatabaseUrl::Sqlite(path)).await.unwrap()
}

async fn sqlite() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = open_sqlite(folder.path().join("log.db")).await;
    (store, folder)
}

/// A store in a new database of a server.
async fn server(kind: Kind, tables: Tables) -> (Store, ()) {
    let server = Server::shared(kind);
    let url = server.database().await;
    if tables != Tables::Diwan {
        server.execute(&url, katib_table(kind)).await;
    }
    let schema = match tables {
        Tables::KatibAlone => Schema::Untouched,
        _ => Schema::Detect,
    };
    (open_server(&url, schema).await.unwrap(), ())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    Diwan,
    /// Katib's table is there already.
    Katib,
    /// And no other may be made.
    KatibAlone,
}

async fn open_server(url: &str, schema: Schema) -> Result<Store, StoreError> {
    let options = OpenOptions {
        schema,
        connect_timeout: Duration::from_secs(20),
        ..OpenOptions::default()
    };
    store::open_with(&parsed(url), options).await
}

conformance!(sqlite, super::sqlite());
conformance!(
    postgres,
    super::server(super::Kind::Postgres, super::Tables::Diwan)
);
conformance!(
    mariadb,
    super::server(super::Kind::Mariadb, super::Tables::Diwan)
);
conformance!(
    katib_postgres,
    super::server(super::Kind::Postgres, super::Tables::Katib),
    without namespaces
);
conformance!(
    katib_mariadb,
    super::server(super::Kind::Mariadb, super::Tables::Katib),
    without namespaces
);
conformance!(
    katib_postgres_alone,
    super::server(super::Kind::Postgres, super::Tables::KatibAlone),
    without namespaces
);
conformance!(
    katib_mariadb_alone,
    super::server(super::Kind::Mariadb, super::Tables::KatibAlone),
    without namespaces
);

#[tokio::test]
async fn sqlite_keeps_what_it_acknowledged_without_being_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let first = open_sqlite(path.clone()).await;
    first
        .report(report("n", "t", vec![at(1, "loss", "1")]))
        .await
        .unwrap();
    // A second opening sees what a killed process would leave behind.
    let second = open_sqlite(path).await;
    assert_eq!(values(&second, all("n", "t")).await, ["1"]);
}

#[tokio::test]
async fn sqlite_names_a_file_that_it_cannot_open() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("missing/log.db"));
    let error = store::open(&url).await.err().unwrap();
    assert!(error.to_string().contains("missing/log.db"), "{error}");
}
