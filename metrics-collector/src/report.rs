//! Hands rows to a sink: tries again while it is away, and says at the end what never came.

use std::time::Duration;

use diwan_api::{
    MetricLog,
    metadata::{UNAVAILABLE, ZERO_TIME},
    metrics_collector::CollectorPlan,
};
use tokio::time::Instant;

use crate::{
    absence::Absence,
    collect::{CollectError, Outcome},
    sink::{Batch, Resume, Sink, SinkError},
};

/// The wait after the first failure of a sink; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A sink that is away for longer than this is worth a word.
const NOTICEABLE: Duration = Duration::from_secs(2);
/// How long a sink may be away before the rows are given up.
const PATIENCE: Duration = Duration::from_mins(10);

/// A stretch of a source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch<'a> {
    pub(crate) source: &'a str,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) rewound: bool,
}

/// Reports the rows of one trial. While a report is under way nothing is read, so what waits in
/// memory is bounded.
pub(crate) struct Reporter<'a> {
    plan: &'a CollectorPlan,
    sink: &'a dyn Sink,
    rows: u64,
    objective_seen: bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(plan: &'a CollectorPlan, sink: &'a dyn Sink) -> Self {
        Self {
            plan,
            sink,
            rows: 0,
            objective_seen: false,
        }
    }

    /// Asks how far a source was read before.
    pub(crate) async fn resume(&mut self, source: &str) -> Result<Resume, CollectError> {
        let plan = self.plan;
        let mut retry = Retry::start();
        loop {
            let asked = self
                .sink
                .resume(&plan.namespace, &plan.trial, source, &plan.objective);
            match asked.await {
                Ok(known) => {
                    self.objective_seen |= known.objective_seen;
                    return Ok(known);
                }
                Err(error) => retry.wait(plan, error).await?,
            }
        }
    }

    pub(crate) async fn report(
        &mut self,
        stretch: Stretch<'_>,
        rows: Vec<MetricLog>,
    ) -> Result<(), CollectError> {
        let batch = Batch {
            namespace: self.plan.namespace.clone(),
            trial: self.plan.trial.clone(),
            source: stretch.source.to_owned(),
            from: stretch.from,
            to: stretch.to,
            rewound: stretch.rewound,
            rows,
        };
        let mut retry = Retry::start();
        while let Err(error) = self.sink.report(&batch).await {
            retry.wait(self.plan, error).await?;
        }
        self.rows += batch.rows.len() as u64;
        let objective = &self.plan.objective;
        self.objective_seen |= batch.rows.iter().any(|row| row.name == *objective);
        Ok(())
    }

    pub(crate) fn objective_seen(&self) -> bool {
        self.objective_seen
    }

    /// Ends the report: the lack of the objective is a row, too.
    pub(crate) async fn end(
        mut self,
        source: &str,
        at: u64,
        absence: Option<Absence>,
    ) -> Result<Outcome, CollectError> {
        let objective_seen = self.objective_seen;
        if !objective_seen {
            let row = MetricLog {
                time_stamp: ZERO_TIME.to_owned(),
                name: self.plan.objective.clone(),
                value: UNAVAILABLE.to_owned(),
            };
            let stretch = Stretch {
                source,
                from: at,
                to: at,
                rewound: false,
            };
            self.report(stretch, vec![row]).await?;
        }
        Ok(Outcome {
            rows: self.rows,
            objective_seen,
            absence: absence.filter(|_| !objective_seen),
        })
    }
}

/// The waits between tries.
struct Retry {
    wait: Duration,
    begun: Instant,
    told: bool,
}

impl Retry {
    fn start() -> Self {
        Self {
            wait: FIRST_WAIT,
            begun: Instant::now(),
            told: false,
        }
    }

    /// Waits before the next try, or returns the error if there is to be none.
    async fn wait(&mut self, plan: &CollectorPlan, error: SinkError) -> Result<(), CollectError> {
        let away = matches!(error, SinkError::Away(_));
        let waited = self.begun.elapsed();
        if !away || waited + self.wait > PATIENCE {
            return Err(CollectError::Sink {
                trial: plan.trial.clone(),
                error,
            });
        }
        if waited >= NOTICEABLE && !self.told {
            let minutes = PATIENCE.as_secs() / 60;
            tracing::warn!(
                trial.name = plan.trial,
                "metrics can't be stored, and are tried again for {minutes} minutes: {error}"
            );
            self.told = true;
        }
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}
