//! Follows one source of one trial and reports its rows while the trial runs.

use std::{io, path::PathBuf};

use diwan_api::{CollectorKind, MetricLog, metrics_collector::CollectorPlan};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    absence::Absence,
    endpoint::EndpointError,
    parse::{FileFormat, ParseError, Parser},
    report::{Reporter, Stretch},
    sink::{Sink, SinkError},
    tail::{Chunk, Tail},
    watch::Watcher,
};

/// How many rows are gathered before they are reported although more are waiting.
pub(crate) const ROWS_PER_BATCH: usize = 5_000;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many rows were reported by this call.
    pub rows: u64,
    /// Whether the objective metric was found, by this call or before it.
    pub objective_seen: bool,
    /// Why the objective metric is unavailable, if it is.
    pub absence: Option<Absence>,
}

/// Why collecting ended early.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The plan can't be followed.
    #[error(transparent)]
    Plan(#[from] ParseError),
    /// The endpoint can't be asked.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
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
    reporter: Reporter<'a>,
    parser: Parser,
    /// Where in the source the parser began.
    origin: u64,
    /// Up to where the sink has rows.
    reported: u64,
    rewound: bool,
    pending: Vec<MetricLog>,
}

impl<'a> Session<'a> {
    async fn start(
        plan: &'a CollectorPlan,
        source: &'a Source,
        parser: Parser,
        sink: &'a dyn Sink,
    ) -> Result<Self, CollectError> {
        let mut reporter = Reporter::new(plan, sink);
        let position = if source.resumed {
            reporter.resume(&source.key).await?.position
        } else {
            0
        };
        Ok(Self {
            plan,
            source,
            reporter,
            parser,
            origin: position,
            reported: position,
            rewound: false,
            pending: Vec::new(),
        })
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
        let stretch = Stretch {
            source: &self.source.key,
            from: self.reported,
            to: self.origin + self.parser.settled(),
            rewound: self.rewound,
        };
        let rows = std::mem::take(&mut self.pending);
        self.reporter.report(stretch, rows).await?;
        (self.reported, self.rewound) = (stretch.to, false);
        Ok(())
    }

    async fn end(mut self) -> Result<Outcome, CollectError> {
        self.pending.extend(self.parser.finish(Timestamp::now()));
        self.flush().await?;
        let absence = if self.reporter.objective_seen() {
            None
        } else {
            absence(self.plan, self.source).await
        };
        let key = &self.source.key;
        self.reporter.end(key, self.reported, absence).await
    }

    fn unreadable(&self, error: io::Error) -> CollectError {
        CollectError::Read {
            path: self.source.path.clone(),
            error,
        }
    }
}

/// Looks for what the source has in place of the objective metric.
async fn absence(plan: &CollectorPlan, source: &Source) -> Option<Absence> {
    let place = match (plan.spec.kind(), plan.spec.path()) {
        (CollectorKind::StdOut, _) => format!("the output of container {}", plan.primary_container),
        // As the user calls it.
        (_, Some(given)) if !given.path.is_empty() => format!("file {}", given.path),
        _ => format!("file {}", source.path.display()),
    };
    let (metric, path, format) = (plan.objective.clone(), source.path.clone(), source.format);
    let look =
        tokio::task::spawn_blocking(move || Absence::of_file(&metric, &place, &path, format));
    look.await.ok()
}
