//! Collecting from real files that grow, appear late, are emptied or replaced.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    sync::Mutex,
    time::Duration,
};

use async_trait::async_trait;
use diwan_api::{MetricsCollectorSpec, ObjectiveType, metrics_collector::CollectorPlan};
use diwan_metrics_collector::{
    Batch, CollectError, FileFormat, Outcome, Resume, Sink, SinkError, Source, Watcher, collect,
};
use tokio::sync::watch;

/// A sink that keeps rows in memory by the contract of [`Batch`].
#[derive(Default)]
struct Memory {
    kept: Mutex<Kept>,
    changed: tokio::sync::Notify,
}

#[derive(Default)]
struct Kept {
    position: u64,
    rows: Vec<(String, String)>,
    batches: usize,
    failures: usize,
    refuse: bool,
}

#[async_trait]
impl Sink for Memory {
    async fn resume(
        &self,
        _: &str,
        _: &str,
        _: &str,
        objective: &str,
    ) -> Result<Resume, SinkError> {
        let kept = self.kept.lock().unwrap();
        let objective_seen = kept.rows.iter().any(|(name, _)| name == objective);
        Ok(Resume {
            position: kept.position,
            objective_seen,
        })
    }

    async fn report(&self, batch: &Batch) -> Result<(), SinkError> {
        let mut kept = self.kept.lock().unwrap();
        if kept.refuse {
            return Err(SinkError::Refused("no".into()));
        }
        if kept.failures > 0 {
            kept.failures -= 1;
            return Err(SinkError::Away("later".into()));
        }
        assert!(
            batch.rewound || batch.from == kept.position,
            "{batch:?} at {}",
            kept.position
        );
        assert!(
            !batch.rows.is_empty() && batch.to >= batch.from,
            "{batch:?}"
        );
        kept.position = batch.to;
        kept.batches += 1;
        kept.rows.extend(
            batch
                .rows
                .iter()
                .map(|row| (row.name.clone(), row.value.clone())),
        );
        self.changed.notify_waiters();
        Ok(())
    }
}

impl Memory {
    fn values(&self) -> Vec<String> {
        self.kept
            .lock()
            .unwrap()
            .rows
            .iter()
            .map(|(_, value)| value.clone())
            .collect()
    }

    /// Waits until these are the values.
    async fn until(&self, expected: &[&str]) {
        let reached = async {
            loop {
                let changed = self.changed.notified();
                if self.values() == expected {
                    return;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), reached).await;
        assert!(
            waited.is_ok(),
            "{:?} instead of {expected:?}",
            self.values()
        );
    }
}

fn plan() -> CollectorPlan {
    CollectorPlan {
        trial: "trial".into(),
        namespace: "default".into(),
        primary_container: "main".into(),
        objective: "loss".into(),
        additional: vec!["acc".into()],
        objective_type: ObjectiveType::Minimize,
        spec: MetricsCollectorSpec::default(),
        stop_rules: vec![],
    }
}

fn source(path: &Path, resumed: bool) -> Source {
    Source {
        key: "pod/main".into(),
        path: path.into(),
        format: FileFormat::Text,
        resumed,
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Collects a file that nobody writes any more.
async fn collect_rest(path: &Path, resumed: bool, sink: &Memory) -> Result<Outcome, CollectError> {
    let (_sender, ended) = watch::channel(true);
    collect(
        &Watcher::new(),
        &plan(),
        &source(path, resumed),
        ended,
        sink,
    )
    .await
}

/// Runs `script` while a file is collected, then ends the writing.
async fn following(path: &Path, sink: &Memory, script: impl Future<Output = ()>) -> Outcome {
    let (sender, ended) = watch::channel(false);
    let (watcher, plan, source) = (Watcher::new(), plan(), source(path, false));
    let scripted = async {
        script.await;
        sender.send(true).unwrap();
    };
    let collecting = collect(&watcher, &plan, &source, ended, sink);
    let (outcome, ()) = tokio::join!(collecting, scripted);
    outcome.unwrap()
}

#[tokio::test]
async fn a_finished_log_is_read_at_once_in_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "loss=2\nacc=0.1\nnoise\nloss=1").unwrap();
    let sink = Memory::default();
    let outcome = collect_rest(&path, false, &sink).await.unwrap();
    assert_eq!(
        outcome,
        Outcome {
            rows: 3,
            objective_seen: true,
            absence: None
        }
    );
    assert_eq!(sink.values(), ["2", "0.1", "1"]);
    assert_eq!(sink.kept.lock().unwrap().batches, 1);
}

#[tokio::test]
async fn the_lack_of_the_objective_is_one_row_even_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for content in [None, Some("acc=0.5\nloss=\n")] {
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let sink = Memory::default();
        let outcome = collect_rest(&path, false, &sink).await.unwrap();
        assert!(!outcome.objective_seen);
        let expected: &[&str] = if content.is_some() {
            &["0.5", "unavailable"]
        } else {
            &["unavailable"]
        };
        assert_eq!(sink.values(), expected);
        let said = outcome.absence.unwrap().to_string();
        let expected_text = if content.is_some() {
            "the output of container main has 2 lines without it, but \"acc\"; write it as loss=0.5 on a line"
        } else {
            "the output of container main was never written"
        };
        assert_eq!(
            said,
            format!("metric \"loss\" is unavailable: {expected_text}")
        );
        collect_rest(&path, true, &sink).await.unwrap();
        assert_eq!(sink.values(), expected);
    }
}

#[tokio::test]
async fn rows_arrive_while_the_file_grows_and_half_lines_wait() {
    let folder = tempfile::tempdir().unwrap();
    // The folder of the file appears later than the collector, too.
    let path = folder.path().join("a/b/log");
    let sink = Memory::default();
    let outcome = following(&path, &sink, async {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        append(&path, "loss=3\nlo");
        sink.until(&["3"]).await;
        append(&path, "ss=2\n50%\rloss=1.5\rloss=1");
        sink.until(&["3", "2", "1.5"]).await;
        append(&path, ".25");
    })
    .await;
    assert_eq!(
        outcome,
        Outcome {
            rows: 4,
            objective_seen: true,
            absence: None
        }
    );
    assert_eq!(sink.values(), ["3", "2", "1.5", "1.25"]);
}

#[tokio::test]
async fn a_file_that_is_emptied_or_replaced_is_read_from_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = Memory::default();
    following(&path, &sink, async {
        append(&path, "first line of some length\nloss=1\n");
        sink.until(&["1"]).await;
        File::create(&path).unwrap().write_all(b"loss=2\n").unwrap();
        sink.until(&["1", "2"]).await;
        let other = folder.path().join("other");
        fs::write(&other, "loss=3\nand a line longer than all before\n").unwrap();
        fs::rename(&other, &path).unwrap();
        sink.until(&["1", "2", "3"]).await;
        fs::remove_file(&path).unwrap();
        append(&path, "loss=4\n");
        sink.until(&["1", "2", "3", "4"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_collector_that_is_killed_anywhere_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let sink = Memory::default();
    let mut expected = Vec::new();
    for round in 0..5 {
        append(
            &path,
            &format!("loss={round}\nhalf a line of round {round}"),
        );
        expected.push(round.to_string());
        let (_sender, ended) = watch::channel(false);
        let (watcher, plan, source) = (Watcher::new(), plan(), source(&path, true));
        let values: Vec<&str> = expected.iter().map(String::as_str).collect();
        tokio::select! {
            outcome = collect(&watcher, &plan, &source, ended, &sink) => panic!("{outcome:?}"),
            () = sink.until(&values) => {}
        }
        append(&path, ", the other half\n");
    }
    collect_rest(&path, true, &sink).await.unwrap();
    assert_eq!(sink.values(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_away_for_minutes_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "loss=1\n").unwrap();
    let sink = Memory::default();
    sink.kept.lock().unwrap().failures = 40;
    collect_rest(&path, false, &sink).await.unwrap();
    assert_eq!(sink.values(), ["1"]);

    sink.kept.lock().unwrap().failures = usize::MAX;
    append(&path, "loss=2\n");
    let error = collect_rest(&path, true, &sink).await.unwrap_err();
    assert_eq!(error.to_string(), "report of trial \"trial\": later");
}

#[tokio::test]
async fn what_cannot_go_on_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let error = collect_rest(folder.path(), false, &Memory::default())
        .await
        .unwrap_err();
    assert!(error.to_string().ends_with("not a regular file"), "{error}");

    let path = folder.path().join("log");
    fs::write(&path, "loss=1\n").unwrap();
    let sink = Memory::default();
    sink.kept.lock().unwrap().refuse = true;
    let error = collect_rest(&path, false, &sink).await.unwrap_err();
    assert_eq!(error.to_string(), "report of trial \"trial\": no");
}

#[tokio::test]
async fn hundreds_of_files_in_one_folder_share_one_watch() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, ended) = watch::channel(false);
    let watcher = Watcher::new();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..300 {
        let (watcher, ended) = (watcher.clone(), ended.clone());
        let path = folder.path().join(format!("log-{i}"));
        tasks.spawn(async move {
            let sink = Memory::default();
            collect(&watcher, &plan(), &source(&path, false), ended, &sink)
                .await
                .unwrap();
            assert_eq!(sink.values(), [i.to_string(), "0.5".into()]);
        });
    }
    for i in 0..300 {
        append(
            &folder.path().join(format!("log-{i}")),
            &format!("loss={i}\nacc=0.5\n"),
        );
    }
    sender.send(true).unwrap();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
