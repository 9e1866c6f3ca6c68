//! Follows one source of one trial and reports its rows while the trial runs.

use std::{io, path::PathBuf, time::Duration};

use diwan_api::{
    MetricLog,
    metadata::{UNAVAILABLE, ZERO_TIME},
    metrics_collector::CollectorPlan,
};
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use crate::{
    parse::{FileFormat, ParseError, Parser},
    sink::{Batch, Resume, Sink, SinkError},
    tail::{Chunk, Tail},
    watch::Watcher,
};

/// How many rows are gathered before they are reported although more are waiting.
const ROWS_PER_BATCH: usize = 5_000;
/// The wait after the first failure of a sink; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a sink may be away before the rows are given up.
const PATIENCE: Duration = Duration::from_mins(10);

/// Where a trial's metrics are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Names the source within its trial, for good: such as pod and container.
    pub key: String,
    /// The file, which need not exist yet.
    pub path: PathBuf,
    /// How it is written.
    pub format: FileFormat,
    /// It may have been collected in part by an earlier process, so the sink is asked how far.
    pub resumed: bool,
}

/// What was collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many rows were reported by this call.
    pub rows: u64,
    /// Whether the objective metric was found, by this call or before it.
    pub objective_seen: bool,
}

/// Why collecting ended early.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The plan can't be followed.
    #[error(transparent)]
    Plan(#[from] ParseError),
    /// The source can't be read.
    #[error("metrics source {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The rows were not taken.
    #[error("report of trial {trial:?}: {error}")]
    Sink {
        /// The trial.
        trial: String,
        /// What the sink says.
        error: SinkError,
    },
}

/// Reads a source until `ended` says (with true, or by losing its sender) that nobody writes it any
/// more and its end is reached. Rows are reported as soon as the source is idle, in larger batches
/// while it is not. If the objective metric never appears, one row says so at the end.
///
/// Nothing is reported twice, even if a process was killed at any point before.
pub async fn collect(
    watcher: &Watcher,
    plan: &CollectorPlan,
    source: &Source,
    mut ended: watch::Receiver<bool>,
    sink: &dyn Sink,
) -> Result<Outcome, CollectError> {
    let parser = Parser::new(plan, source.format)?;
    let mut session = Session::start(plan, source, parser, sink).await?;
    let mut tail = Tail::new(watcher.clone(), &source.path, session.origin);
    loop {
        // Asked before looking: what was written before the end is seen by the look.
        let over = *ended.borrow() || ended.has_changed().is_err();
        match tail
            .read()
            .await
            .map_err(|error| session.unreadable(error))?
        {
            Chunk::Bytes(bytes) => session.take(&bytes).await?,
            Chunk::Rewound => session.rewind().await?,
            Chunk::Nothing if over => return session.end().await,
            Chunk::Nothing => {
                session.flush().await?;
                tail.wait(&mut ended).await;
            }
        }
    }
}

/// One run over one source.
struct Session<'a> {
    plan: &'a CollectorPlan,
    source: &'a Source,
    sink: &'a dyn Sink,
    parser: Parser,
    /// Where in the source the parser began.
    origin: u64,
    /// Up to where the sink has rows.
    reported: u64,
    rewound: bool,
    pending: Vec<MetricLog>,
    seen_before: bool,
    rows: u64,
}

impl<'a> Session<'a> {
    async fn start(
        plan: &'a CollectorPlan,
        source: &'a Source,
        parser: Parser,
        sink: &'a dyn Sink,
    ) -> Result<Self, CollectError> {
        let mut session = Self {
            plan,
            source,
            sink,
            parser,
            origin: 0,
            reported: 0,
            rewound: false,
            pending: Vec::new(),
            seen_before: false,
            rows: 0,
        };
        if source.resumed {
            let known = session.resume().await?;
            session.origin = known.position;
            session.reported = known.position;
            session.seen_before = known.objective_seen;
        }
        Ok(session)
    }

    async fn resume(&self) -> Result<Resume, CollectError> {
        let (plan, source) = (self.plan, self.source);
        let mut retry = Retry::start();
        loop {
            let asked =
                self.sink
                    .resume(&plan.namespace, &plan.trial, &source.key, &plan.objective);
            match asked.await {
                Ok(known) => return Ok(known),
                Err(error) => retry.wait(plan, error).await?,
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), CollectError> {
        self.pending
            .extend(self.parser.push(bytes, Timestamp::now()));
        if self.pending.len() >= ROWS_PER_BATCH {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Ends the old content and begins the new one.
    async fn rewind(&mut self) -> Result<(), CollectError> {
        self.pending.extend(self.parser.finish(Timestamp::now()));
        self.flush().await?;
        self.parser.rewind();
        (self.origin, self.reported, self.rewound) = (0, 0, true);
        Ok(())
    }

    /// Reports the rows that are waiting.
    async fn flush(&mut self) -> Result<(), CollectError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let to = self.origin + self.parser.settled();
        let rows = std::mem::take(&mut self.pending);
        self.report(to, rows).await
    }

    async fn end(mut self) -> Result<Outcome, CollectError> {
        self.pending.extend(self.parser.finish(Timestamp::now()));
        self.flush().await?;
        let objective_seen = self.seen_before || self.parser.objective_seen();
        if !objective_seen {
            let row = MetricLog {
                time_stamp: ZERO_TIME.to_owned(),
                name: self.plan.objective.clone(),
                value: UNAVAILABLE.to_owned(),
            };
            self.report(self.reported, vec![row]).await?;
        }
        Ok(Outcome {
            rows: self.rows,
            objective_seen,
        })
    }

    async fn report(&mut self, to: u64, rows: Vec<MetricLog>) -> Result<(), CollectError> {
        let batch = Batch {
            namespace: self.plan.namespace.clone(),
            trial: self.plan.trial.clone(),
            source: self.source.key.clone(),
            from: self.reported,
            to,
            rewound: self.rewound,
            rows,
        };
        let mut retry = Retry::start();
        while let Err(error) = self.sink.report(&batch).await {
            retry.wait(self.plan, error).await?;
        }
        self.rows += batch.rows.len() as u64;
        (self.reported, self.rewound) = (to, false);
        Ok(())
    }

    fn unreadable(&self, error: io::Error) -> CollectError {
        CollectError::Read {
            path: self.source.path.clone(),
            error,
        }
    }
}

/// The waits between tries.
struct Retry {
    wait: Duration,
    deadline: Instant,
}

impl Retry {
    fn start() -> Self {
        Self {
            wait: FIRST_WAIT,
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Waits before the next try, or returns the error if there is to be none.
    async fn wait(&mut self, plan: &CollectorPlan, error: SinkError) -> Result<(), CollectError> {
        let away = matches!(error, SinkError::Away(_));
        if !away || Instant::now() + self.wait > self.deadline {
            return Err(CollectError::Sink {
                trial: plan.trial.clone(),
                error,
            });
        }
        tracing::debug!(trial.name = plan.trial, %error, "the report is tried again");
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}
