//! Katib's collector container: waits for the processes of its pod, reads what the main one
//! writes, and reports it. Beyond Katib, it reports while the trial runs.

mod flags;
mod processes;
mod wrapped;

use std::{
    future::Future,
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use diwan_api::CollectorKind;
pub use flags::{FlagError, Flags, USAGE};
use processes::End;
pub use processes::Processes;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};

use crate::{
    collect::{CollectError, Outcome, Source, collect},
    endpoint::{Endpoint, EndpointError},
    folder::{EventSource, collect_events},
    journal::{Journal, Manager},
    parse::FileFormat,
    scrape::{DEFAULT_INTERVAL, ScrapeSource, scrape},
    sink::{Batch, Resume, Sink, SinkError},
    stop::{StopRuleError, StopRules},
    tail::{Chunk, Tail},
    watch::Watcher,
};
use wrapped::{State, Wrapped};

/// How long the main process may take to appear.
const APPEARANCE: Duration = Duration::from_mins(1);
/// Longer than any trial.
const FOREVER: Duration = Duration::from_hours(24 * 365);
/// How often it is looked whether a wrapped trial has begun.
const BEGINNING: Duration = Duration::from_millis(100);
/// How long a stopped process may take to end.
const FAREWELL: Duration = Duration::from_mins(1);
/// A report of so many rows is worth its call.
const MANY: usize = 1_000;
/// The least time between two reports while the trial runs.
const GATHERING: Duration = Duration::from_millis(250);
/// Beside the metrics: how far they were reported.
const JOURNAL: &str = ".diwan-metrics-collector.json";

/// The early stopping service.
#[async_trait]
pub trait Stopper: Send + Sync {
    /// Says that a trial was stopped early.
    async fn set_trial_status(&self, namespace: &str, trial: &str) -> Result<(), SinkError>;
}

/// Why the sidecar fails, and its pod with it.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// The rows did not arrive.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// The endpoint can't be asked.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A stop rule can't be used.
    #[error(transparent)]
    Rule(#[from] StopRuleError),
    /// The trial failed, or its processes can't be followed.
    #[error("{0}")]
    Processes(String),
    /// It was told to leave before the trial has ended; what was there is reported.
    #[error("told to end before the trial has ended")]
    Left,
    /// The processes did not end in time.
    #[error("timed out waiting for pids to complete")]
    Timeout,
    /// The early stopping service did not take the news.
    #[error("early stopping service: {0}")]
    Stopper(SinkError),
}

/// Collects until the processes of the pod have ended. Runs on one thread of tokio's.
///
/// `stopper` is needed where the flags have stop rules; `processes` where the trial is not wrapped.
/// When `leave` is ready, the collecting ends with what is there. `echo` gets what the trial writes
/// to a file of lines, for this container's own log.
pub async fn run<M: Manager>(
    flags: &Flags,
    manager: M,
    stopper: Option<&dyn Stopper>,
    processes: &Processes,
    leave: impl Future<Output = ()>,
    echo: &mut (dyn Write + Send),
) -> Result<Outcome, SidecarError> {
    let plan = &flags.plan;
    let rules = StopRules::new(
        &plan.stop_rules,
        &plan.objective,
        plan.objective_type.clone(),
    )?;
    let kind = plan.spec.kind();
    let path = PathBuf::from(&flags.path);
    let folder = marks_folder(flags);
    let (sender, ended) = watch::channel(false);
    let sink = Watched {
        inner: Journal::open(manager, folder.join(JOURNAL)),
        rules: Mutex::new((rules, None)),
        stop: Notify::new(),
        ended: ended.clone(),
        last: Mutex::new(None),
    };
    let collecting = collect_all(flags, &path, ended.clone(), &sink);
    let echoing = async {
        if matches!(kind, CollectorKind::StdOut | CollectorKind::File) {
            copy(&path, ended.clone(), echo).await;
        }
    };
    // Of a wrapped trial: how many of its runs are over.
    let mut judged = None;
    let waiting = async {
        let end = if flags.wrapped {
            let waited = wait_wrapped(flags, &Wrapped::new(&folder), &sink.stop, leave).await;
            waited.and_then(|(runs, end)| {
                judged = Some(runs);
                end.map_err(SidecarError::Processes)
            })
        } else {
            tokio::select! {
                end = wait(flags, processes, &sink.stop) => end,
                () = leave => Err(SidecarError::Left),
            }
        };
        // The rest is read and reported, however the trial ended.
        let _ = sender.send(true);
        end
    };
    let (outcome, (), end) = tokio::join!(collecting, echoing, waiting);
    // What is reported counts as taken note of, whichever way the trial ended.
    if let Some(runs) = judged
        && outcome.is_ok()
        && let Err(error) = Wrapped::new(&folder).take_note(runs)
    {
        tracing::warn!("{}: {error}", folder.display());
    }
    let (end, outcome) = (end?, outcome?);
    if let (End::EarlyStopped, Some(stopper)) = (end, stopper) {
        let told = stopper.set_trial_status(&plan.namespace, &plan.trial).await;
        told.map_err(SidecarError::Stopper)?;
    }
    Ok(outcome)
}

/// Collects from what the plan names until the trial has ended.
async fn collect_all(
    flags: &Flags,
    path: &Path,
    ended: watch::Receiver<bool>,
    sink: &dyn Sink,
) -> Result<Outcome, SidecarError> {
    let plan = &flags.plan;
    let key = "sidecar".to_owned();
    let outcome = match plan.spec.kind() {
        CollectorKind::TensorFlowEvent => {
            let source = EventSource {
                key,
                folder: path.to_owned(),
                resumed: true,
            };
            collect_events(plan, &source, ended, sink).await?
        }
        CollectorKind::PrometheusMetric => {
            let source = ScrapeSource {
                key,
                // The containers of a pod share their network.
                endpoint: Endpoint::of(&plan.spec, "127.0.0.1", |_| None)?,
                interval: DEFAULT_INTERVAL,
                resumed: true,
            };
            scrape(plan, &source, ended, sink).await?
        }
        _ => {
            let format = FileFormat::of(&plan.spec).map_err(CollectError::from)?;
            let source = Source {
                key,
                path: path.to_owned(),
                format: format.unwrap_or(FileFormat::Text),
                resumed: true,
            };
            collect(&Watcher::new(), plan, &source, ended, sink).await?
        }
    };
    Ok(outcome)
}

/// Returns the folder in which the main process leaves its mark: the one that is given, that of the
/// metrics file, or the folder of event files.
pub fn marks_folder(flags: &Flags) -> PathBuf {
    if let Some(marks) = &flags.marks {
        return PathBuf::from(marks);
    }
    let path = Path::new(&flags.path);
    if flags.plan.spec.kind() == CollectorKind::TensorFlowEvent {
        path.to_owned()
    } else {
        path.parent().unwrap_or(path).to_owned()
    }
}

/// Waits for the end of a wrapped trial, and stops it when told; returns how often the program has
/// run, and how that ended. Until it begins there is no limit
/// but the flags': an image may take long to come.
async fn wait_wrapped(
    flags: &Flags,
    trial: &Wrapped,
    stop: &Notify,
    leave: impl Future<Output = ()>,
) -> Result<(usize, Result<End, String>), SidecarError> {
    let begin = Instant::now();
    let failed = SidecarError::Processes;
    let mut deadline = flags.timeout.map(|timeout| begin + timeout);
    let mut stopped = false;
    let mut leave = std::pin::pin!(leave);
    let mut leaving = false;
    loop {
        let state = trial.state().map_err(|error| failed(error.to_string()))?;
        if let State::Ended(runs, end) = state {
            return Ok((runs, end));
        }
        if leaving {
            return Err(SidecarError::Left);
        }
        let left = deadline.map_or(FOREVER, |deadline| deadline - Instant::now());
        if left.is_zero() {
            return Err(SidecarError::Timeout);
        }
        let changed = async {
            if state == State::Running {
                trial.changed(left).await;
            } else {
                sleep(BEGINNING.min(left)).await;
            }
        };
        tokio::select! {
            () = changed => {}
            // The pod ends; the trial may have ended just now.
            () = &mut leave, if !leaving => leaving = true,
            () = stop.notified(), if !stopped => {
                trial.stop().map_err(failed)?;
                stopped = true;
                deadline = Some(Instant::now() + FAREWELL);
            }
        }
    }
}

/// Waits for the processes of the pod, and stops the main one when told.
async fn wait(flags: &Flags, processes: &Processes, stop: &Notify) -> Result<End, SidecarError> {
    let begin = Instant::now();
    let failed = |problem: String| SidecarError::Processes(problem);
    let (main, mut left) = loop {
        match processes
            .of_pod()
            .map_err(|error| failed(error.to_string()))?
        {
            Some(found) => break found,
            None if processes.completed_before() => return Ok(End::Completed),
            None if begin.elapsed() > APPEARANCE => {
                return Err(failed(
                    "the main process of the trial is not found".to_owned(),
                ));
            }
            None => sleep(flags.poll).await,
        }
    };
    let mut end = None;
    let mut deadline = flags.timeout.map(|timeout| begin + timeout);
    let mut stopped = false;
    loop {
        if !processes.is_alive(main) && left.remove(&main) {
            end = Some(processes.end_of(main).map_err(failed)?);
        }
        left.retain(|pid| *pid == main || processes.is_alive(*pid));
        if let Some(end) = end
            && (left.is_empty() || !flags.wait_all || stopped)
        {
            let end = if stopped { End::EarlyStopped } else { end };
            return Ok(end);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(SidecarError::Timeout);
        }
        tokio::select! {
            () = sleep(flags.poll) => {}
            () = stop.notified(), if !stopped && end.is_none() => {
                processes.stop(main).map_err(failed)?;
                stopped = true;
                deadline = Some(Instant::now() + FAREWELL);
            }
        }
    }
}

/// Copies what is written to a file until it has ended.
async fn copy(path: &Path, mut ended: watch::Receiver<bool>, to: &mut (dyn Write + Send)) {
    let mut tail = Tail::new(Watcher::new(), path, 0);
    loop {
        let over = *ended.borrow() || ended.has_changed().is_err();
        match tail.read().await {
            Ok(Chunk::Bytes(bytes)) => {
                // A log that is not read doesn't end the collecting.
                let _ = to.write_all(&bytes);
            }
            Ok(Chunk::Rewound) => {}
            Ok(Chunk::Nothing) if !over => {
                let _ = to.flush();
                tail.wait(&mut ended).await;
            }
            Ok(Chunk::Nothing) | Err(_) => {
                let _ = to.flush();
                return;
            }
        }
    }
}

/// A sink that tests the rows against the stop rules as they pass.
struct Watched<S> {
    inner: S,
    /// The rules, and up to where of which source they were tested.
    rules: Mutex<(StopRules, Option<(String, u64)>)>,
    stop: Notify,
    /// Whether the trial is over, and nothing is to be waited for any more.
    ended: watch::Receiver<bool>,
    /// When the last report was sent.
    last: Mutex<Option<Instant>>,
}

impl<S> Watched<S> {
    /// Lets lines gather where reports follow each other fast: a call for each line would be most of
    /// what a collector costs.
    async fn gather(&self) {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = last else { return };
        let mut ended = self.ended.clone();
        tokio::select! {
            () = tokio::time::sleep_until(last + GATHERING) => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }
}

#[async_trait]
impl<S: Sink> Sink for Watched<S> {
    async fn resume(
        &self,
        namespace: &str,
        trial: &str,
        source: &str,
        objective: &str,
    ) -> Result<Resume, SinkError> {
        self.inner.resume(namespace, trial, source, objective).await
    }

    async fn report(&self, batch: &Batch) -> Result<(), SinkError> {
        {
            let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
            let stretch = Some((batch.source.clone(), batch.to));
            // A batch that is tried again was tested before.
            if rules.1 != stretch {
                rules.1 = stretch;
                let mut met = false;
                for row in &batch.rows {
                    met |= rules.0.observe(&row.name, &row.value);
                }
                if met {
                    self.stop.notify_one();
                }
            }
        }
        let reported = self.inner.report(batch).await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if batch.rows.len() < MANY {
            self.gather().await;
        }
        reported
    }
}
