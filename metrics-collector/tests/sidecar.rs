//! The collector container beside processes that leave Katib's marks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use diwan_api::MetricLog;
use diwan_metrics_collector::{
    Batch, Journal, Manager, Sink, SinkError,
    sidecar::{Flags, Processes, SidecarError, Stopper, run},
};

/// A DB manager that stores a report once per id.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    ids: BTreeSet<String>,
    rows: Vec<String>,
    /// The next reports are stored, but the answer is lost.
    losses: usize,
    stopped: Vec<String>,
}

#[async_trait]
impl Manager for Store {
    async fn report(
        &self,
        _: &str,
        _: &str,
        rows: &[MetricLog],
        id: &str,
    ) -> Result<(), SinkError> {
        let mut stored = self.0.lock().unwrap();
        if stored.ids.insert(id.to_owned()) {
            let rows = rows.iter().map(|row| format!("{}={}", row.name, row.value));
            stored.rows.extend(rows);
        }
        if stored.losses > 0 {
            stored.losses -= 1;
            return Err(SinkError::Away("the answer is lost".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Stopper for Store {
    async fn set_trial_status(&self, _: &str, trial: &str) -> Result<(), SinkError> {
        self.0.lock().unwrap().stopped.push(trial.to_owned());
        Ok(())
    }
}

impl Store {
    fn rows(&self) -> Vec<String> {
        self.0.lock().unwrap().rows.clone()
    }
}

/// A pod: what `/proc` shows of it, and the folder of its metrics.
struct Pod {
    folder: tempfile::TempDir,
}

impl Pod {
    /// With the pause container, a main process 40 and, beside it, one of a proxy, 30.
    fn new() -> Self {
        let pod = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(pod.marks()).unwrap();
        pod.process(1, "pause", 0, "/pause");
        pod.process(30, "proxy", 0, "proxy");
        let mark = format!(
            "sh\0-c\0python x.py && echo completed > {}/$$.pid",
            pod.marks().display()
        );
        pod.process(40, "sh (a) b", 0, &mark);
        pod
    }

    fn marks(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    fn process(&self, pid: u32, name: &str, parent: u32, line: &str) {
        let folder = self.folder.path().join("proc").join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(
            folder.join("stat"),
            format!("{pid} ({name}) S {parent} 1 1 0"),
        )
        .unwrap();
        fs::write(folder.join("cmdline"), line).unwrap();
    }

    fn end(&self, pid: u32, mark: &str) {
        if !mark.is_empty() {
            fs::write(self.marks().join(format!("{pid}.pid")), mark).unwrap();
        }
        fs::remove_dir_all(self.folder.path().join("proc").join(pid.to_string())).unwrap();
    }

    fn write(&self, text: &str) {
        use std::io::Write;
        let path = self.marks().join("metrics.log");
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn flags(&self, more: &str) -> Flags {
        let path = self.marks().join("metrics.log");
        let line = format!(
            "-t trial -m loss;acc -o-type minimize -s-db x:1 -format TEXT -p 10ms -path {} {more}",
            path.display()
        );
        Flags::parse(line.split_whitespace().map(Into::into)).unwrap()
    }

    async fn run(&self, more: &str, store: &Store) -> Result<String, SidecarError> {
        let flags = self.flags(more);
        let processes = Processes::new(self.folder.path().join("proc"), self.marks());
        let mut echo = Vec::new();
        run(
            &flags,
            store.clone(),
            Some(store),
            &processes,
            std::future::pending(),
            &mut echo,
        )
        .await?;
        Ok(String::from_utf8(echo).unwrap())
    }
}

async fn moment() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

#[tokio::test]
async fn what_a_trial_writes_is_reported_and_echoed_until_all_its_processes_have_ended() {
    let (pod, store) = (Pod::new(), Store::default());
    let script = async {
        pod.write("loss=2\n");
        while store.rows().is_empty() {
            moment().await;
        }
        pod.write("loss=1\nbye");
        pod.end(40, "completed\n");
        moment().await;
        pod.write("\nacc=1\n");
        pod.end(30, "");
    };
    let (echo, ()) = tokio::join!(pod.run("", &store), script);
    assert_eq!(echo.unwrap(), "loss=2\nloss=1\nbye\nacc=1\n");
    assert_eq!(store.rows(), ["loss=2", "loss=1", "acc=1"]);
}

#[tokio::test]
async fn a_proxy_that_stays_is_not_waited_for_when_told_so() {
    let (pod, store) = (Pod::new(), Store::default());
    pod.write("acc=1\n");
    let script = async {
        moment().await;
        pod.end(40, "completed");
    };
    let (echo, ()) = tokio::join!(pod.run("-w false", &store), script);
    echo.unwrap();
    assert_eq!(store.rows(), ["acc=1", "loss=unavailable"]);
}

#[tokio::test]
async fn a_failed_trial_fails_the_sidecar_after_its_rows_are_reported() {
    for (mark, expected) in [("", "can't be read"), ("oops", "holds \"oops\"")] {
        let (pod, store) = (Pod::new(), Store::default());
        pod.write("loss=2\n");
        let script = async {
            moment().await;
            pod.end(40, mark);
        };
        let (result, ()) = tokio::join!(pod.run("", &store), script);
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with("training container is failed: "),
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
        assert_eq!(store.rows(), ["loss=2"]);
    }
}

#[tokio::test]
async fn waiting_ends_after_the_timeout() {
    let (pod, store) = (Pod::new(), Store::default());
    let error = pod.run("-timeout 50ms", &store).await.unwrap_err();
    assert_eq!(error.to_string(), "timed out waiting for pids to complete");
}

#[tokio::test]
async fn rules_that_are_met_stop_the_child_of_the_main_process() {
    let (pod, store) = (Pod::new(), Store::default());
    let mut child: Child = Command::new("sleep").arg("600").spawn().unwrap();
    pod.process(child.id(), "python", 40, "python x.py");
    pod.write("loss=1\nloss=9\n");
    let script = async {
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            moment().await;
        };
        assert!(!status.success());
        let mark = fs::read_to_string(pod.marks().join("40.pid")).unwrap();
        assert_eq!(mark.trim(), "early-stopped");
        // Katib's wrapper goes on to its last command.
        pod.end(40, "completed");
    };
    let rules = "-stop-rule loss;0.5;greater;2 -s-earlystop es:1";
    let (result, ()) = tokio::join!(pod.run(rules, &store), script);
    result.unwrap();
    assert_eq!(store.rows(), ["loss=1", "loss=9"]);
    assert_eq!(store.0.lock().unwrap().stopped, ["trial"]);
}

#[tokio::test]
async fn a_sidecar_that_starts_again_repeats_nothing_and_one_that_is_late_reads_all() {
    let (pod, store) = (Pod::new(), Store::default());
    pod.write("loss=2\n");
    // Stored, but the sidecar is killed before it knows.
    store.0.lock().unwrap().losses = usize::MAX;
    let killed = tokio::time::timeout(Duration::from_secs(1), pod.run("", &store)).await;
    assert!(killed.is_err());
    store.0.lock().unwrap().losses = 0;
    pod.write("loss=1\n");
    pod.end(40, "completed");
    pod.end(30, "");
    pod.run("", &store).await.unwrap();
    assert_eq!(store.rows(), ["loss=2", "loss=1"]);
}

fn batch(from: u64, to: u64, rows: usize) -> Batch {
    let row = |at: usize| MetricLog {
        time_stamp: "2026-01-01T00:00:00Z".into(),
        name: "loss".into(),
        value: format!("{}", from as usize + at),
    };
    Batch {
        trial: "trial".into(),
        source: "s".into(),
        from,
        to,
        rows: (0..rows).map(row).collect(),
        ..Batch::default()
    }
}

#[tokio::test]
async fn a_journal_sends_large_batches_in_parts_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("journal");
    let store = Store::default();
    let journal = Journal::open(store.clone(), path);
    store.0.lock().unwrap().losses = 2;
    let large = batch(0, 12_000, 12_000);
    assert!(journal.report(&large).await.is_err());
    assert!(journal.report(&large).await.is_err());
    journal.report(&large).await.unwrap();
    journal.report(&batch(12_000, 12_001, 1)).await.unwrap();
    let expected: Vec<String> = (0..12_001).map(|at| format!("loss={at}")).collect();
    assert_eq!(store.rows(), expected);
    let again = Journal::open(store.clone(), path);
    let known = again.resume("", "trial", "s", "loss").await.unwrap();
    assert_eq!((known.position, known.objective_seen), (12_001, true));
}
