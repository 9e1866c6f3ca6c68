//! The observation log in a PostgreSQL, MySQL or MariaDB server.
//!
//! Each call is a transaction that is tried again while the server is away, first soon and then
//! less often. A report that has no id of its own gets one for this, so that a transaction whose
//! end is not known (the server went away while it committed) is not stored twice.

mod engine;
mod memory;
mod mysql;
mod postgres;
mod reader;
mod schema;
mod tables;
mod writer;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt as _, future::BoxFuture};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    Delivery, Keep, LogQuery, ObservationStore, OpenOptions, Pages, Report, StoreError, Swept,
    TrialRef, bounds, stored_rows,
};
use crate::{
    curve::{Curve, CurveCache},
    summary::Summary,
    url::ServerUrl,
};
use engine::{Engine, Fault, Session};
use memory::Memory;
use reader::{Asked, Wanted};
use schema::Layout;
use writer::Prepared;

/// How many connections a store keeps at most.
const CONNECTIONS: u32 = 16;
/// How long a call waits for one of them before it counts as a failed try.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);
/// The wait after the first failure; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How many pages of a log are read ahead of who reads them.
const PAGES_AHEAD: usize = 2;

/// The observation log in a database server.
pub struct ServerStore {
    inner: Arc<Inner>,
    closed: AtomicBool,
}

/// What is done in a transaction: its result, and the session to commit.
type Work<'a, T> = BoxFuture<'a, Result<(T, Box<dyn Session>), Fault>>;

struct Inner {
    engine: Box<dyn Engine>,
    layout: Layout,
    patience: Duration,
    memory: Mutex<Memory>,
    curves: CurveCache,
}

impl ServerStore {
    /// Connects, waiting for a server that is not there yet, and brings its schema up to date.
    pub async fn open(url: ServerUrl, options: OpenOptions) -> Result<Self, StoreError> {
        let engine = engine_of(&url)?;
        let deadline = Instant::now() + options.connect_timeout;
        let unreachable = |error| StoreError::Database(format!("{url}: {error}"));
        retry(deadline, || Box::pin(engine.reach()))
            .await
            .map_err(unreachable)?;
        let prepare = || Box::pin(schema::prepare(&*engine, options.schema)) as BoxFuture<'_, _>;
        let layout = retry(deadline, prepare)
            .await
            .map_err(|error| match error {
                StoreError::Database(error) => StoreError::Database(format!("{url}: {error}")),
                other => other,
            })?;
        if let Layout::Katib { .. } = layout {
            tracing::info!("{url}: the table observation_logs of Katib is used as it is");
        }
        let inner = Inner {
            engine,
            layout,
            patience: options.patience,
            memory: Mutex::default(),
            curves: CurveCache::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
            closed: AtomicBool::new(false),
        })
    }

    /// Whether rows are kept in Katib's table.
    pub fn uses_katib_table(&self) -> bool {
        self.inner.layout != Layout::Diwan
    }

    fn open_still(&self) -> Result<&Arc<Inner>, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        Ok(&self.inner)
    }
}

fn engine_of(url: &ServerUrl) -> Result<Box<dyn Engine>, StoreError> {
    let refused = |error: sqlx::Error| StoreError::Database(format!("{url}: {error}"));
    Ok(if url.secret().starts_with("mysql") {
        let options = url.secret().parse().map_err(refused)?;
        let engine = mysql::MysqlEngine::new(options, CONNECTIONS, WAIT_FOR_CONNECTION);
        Box::new(engine)
    } else {
        let options = url.secret().parse().map_err(refused)?;
        let engine = postgres::PostgresEngine::new(options, CONNECTIONS, WAIT_FOR_CONNECTION);
        Box::new(engine)
    })
}

/// Tries until it works, fails for good, or the time is up.
async fn retry<'a, T>(
    deadline: Instant,
    work: impl Fn() -> BoxFuture<'a, Result<T, Fault>>,
) -> Result<T, StoreError> {
    let mut wait = FIRST_WAIT;
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(fault) => wait = pause(fault, wait, deadline).await?,
        }
    }
}

/// Waits after a failure that may pass; returns how long to wait after the next one.
async fn pause(fault: Fault, wait: Duration, deadline: Instant) -> Result<Duration, StoreError> {
    match fault {
        Fault::Lasting(error) => Err(error),
        Fault::Passing(error) if Instant::now() + wait > deadline => {
            Err(StoreError::Database(error))
        }
        Fault::Passing(error) => {
            tracing::debug!(error, "the database is tried again");
            tokio::time::sleep(wait).await;
            Ok((wait * 2).min(LONGEST_WAIT))
        }
    }
}

impl Inner {
    /// Runs a transaction until it is committed. `work` hands the session back with its result.
    async fn transact<'a, T: Send + 'a>(
        &'a self,
        work: impl Fn(Box<dyn Session>) -> Work<'a, T> + Sync,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.patience;
        let mut wait = FIRST_WAIT;
        loop {
            let once = async {
                let session = self.engine.begin().await?;
                let (done, session) = work(session).await?;
                session.commit().await?;
                Ok(done)
            };
            match once.await {
                Ok(done) => return Ok(done),
                Err(fault) => wait = pause(fault, wait, deadline).await?,
            }
        }
    }

    fn has_notes(&self) -> bool {
        self.layout != Layout::Katib { notes: false }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a report where the database has no room for what remembers it. The end of a
    /// transaction whose commit failed can't be known here, so it is not tried again.
    async fn report_unnoted(&self, report: &Prepared) -> Result<(), StoreError> {
        if self.memory().has(report)? {
            return Ok(());
        }
        let missing_only =
            matches!(&report.delivery, Delivery::Source(range) if range.from == range.to);
        let once = || -> BoxFuture<'_, Result<Box<dyn Session>, Fault>> {
            Box::pin(async move {
                let mut session = self.engine.begin().await?;
                let name = &report.trial.name;
                if missing_only {
                    let rows = writer::katib_missing(&mut *session, name, &report.rows).await?;
                    writer::add_to_katib(&mut *session, name, &rows).await?;
                } else {
                    writer::add_to_katib(&mut *session, name, &report.rows).await?;
                }
                Ok(session)
            })
        };
        let session = retry(Instant::now() + self.patience, once).await?;
        session.commit().await.map_err(|fault| match fault {
            Fault::Lasting(error) => error,
            Fault::Passing(error) => StoreError::Database(format!(
                "it is not known whether the report was stored: {error}"
            )),
        })?;
        self.memory().note(report);
        Ok(())
    }
}

#[async_trait]
impl ObservationStore for ServerStore {
    async fn report(&self, report: Report) -> Result<(), StoreError> {
        let inner = self.open_still()?;
        let rows = stored_rows(report.rows)?;
        if rows.is_empty() && !matches!(report.delivery, Delivery::Source(_)) {
            return Ok(());
        }
        let mut report = Prepared {
            trial: inner.trial(report.trial),
            rows,
            delivery: report.delivery,
        };
        if !inner.has_notes() {
            return inner.report_unnoted(&report).await;
        }
        if report.delivery == Delivery::Plain {
            report.delivery = Delivery::Batch(uuid::Uuid::now_v7().to_string());
        }
        let (layout, report) = (inner.layout, &report);
        inner
            .transact(|mut session| {
                Box::pin(async move {
                    writer::report(&mut *session, layout, report).await?;
                    Ok(((), session))
                })
            })
            .await
    }

    async fn collected(&self, trial: &TrialRef, source: &str) -> Result<u64, StoreError> {
        let inner = self.open_still()?;
        let trial = &inner.trial(trial.clone());
        if !inner.has_notes() {
            return Ok(inner.memory().position(&trial.name, source).unwrap_or(0));
        }
        inner
            .transact(|mut session| {
                Box::pin(async move {
                    let Some(known) = reader::find(&mut *session, trial, false).await? else {
                        return Ok((0, session));
                    };
                    let position = reader::position(&mut *session, known.id, source).await?;
                    Ok((position.unwrap_or(0), session))
                })
            })
            .await
    }

    async fn stream(&self, query: LogQuery) -> Result<Pages, StoreError> {
        let (start, end) = bounds(&query)?;
        let inner = Arc::clone(self.open_still()?);
        let asked = Asked {
            trial: query.trial,
            metric: query.metric,
            start,
            end,
        };
        let (pages, read) = mpsc::channel(PAGES_AHEAD);
        tokio::spawn(async move {
            let (begun, layout) = (&AtomicBool::new(false), inner.layout);
            let (asked, to) = (&asked, &pages);
            let outcome = inner.transact(|mut session| {
                Box::pin(async move {
                    // What was handed over can't be taken back, so only the first page is tried
                    // for again.
                    let done = reader::log(&mut *session, layout, asked, to, begun).await;
                    done.map_err(|fault| match fault {
                        Fault::Passing(error) if begun.load(Ordering::Relaxed) => {
                            Fault::Lasting(StoreError::Database(error))
                        }
                        fault => fault,
                    })?;
                    Ok(((), session))
                })
            });
            if let Err(error) = outcome.await {
                // Who reads may be gone.
                let _ = pages.send(Err(error)).await;
            }
        });
        Ok(ReceiverStream::new(read).boxed())
    }

    async fn delete(&self, trial: &TrialRef) -> Result<(), StoreError> {
        let inner = self.open_still()?;
        let (layout, trial) = (inner.layout, &inner.trial(trial.clone()));
        inner
            .transact(|mut session| {
                Box::pin(async move {
                    let done = writer::delete(&mut *session, layout, trial).await?;
                    Ok((done, session))
                })
            })
            .await?;
        inner.memory().forget(&trial.name);
        Ok(())
    }

    async fn summaries(
        &self,
        namespace: &str,
        trials: &[String],
    ) -> Result<Vec<Summary>, StoreError> {
        let inner = self.open_still()?;
        let layout = inner.layout;
        inner
            .transact(|mut session| {
                Box::pin(async move {
                    let done = reader::summaries(&mut *session, layout, namespace, trials).await?;
                    Ok((done, session))
                })
            })
            .await
    }

    async fn curves(
        &self,
        namespace: &str,
        trials: &[String],
        metric: &str,
        points: usize,
    ) -> Result<Vec<Curve>, StoreError> {
        let inner = self.open_still()?;
        let layout = inner.layout;
        let wanted = Wanted {
            namespace,
            trials,
            metric,
            points,
        };
        inner
            .transact(|mut session| {
                Box::pin(async move {
                    let done = reader::curves(&mut *session, layout, wanted, &inner.curves).await?;
                    Ok((done, session))
                })
            })
            .await
    }

    async fn sweep(&self, keep: Keep) -> Result<Swept, StoreError> {
        let inner = self.open_still()?;
        let layout = inner.layout;
        let mut swept = Swept::default();
        if inner.has_notes() {
            swept = inner
                .transact(|mut session| {
                    Box::pin(async move {
                        let done = writer::prune(&mut *session, keep).await?;
                        Ok((done, session))
                    })
                })
                .await?;
        }
        let Some(since) = keep.logs_since else {
            return Ok(swept);
        };
        let old = inner
            .transact(|mut session| {
                Box::pin(async move {
                    let done = writer::old_trials(&mut *session, layout, since).await?;
                    Ok((done, session))
                })
            })
            .await?;
        for trial in &old {
            let gone = inner
                .transact(|mut session| {
                    Box::pin(async move {
                        let done = writer::expire(&mut *session, layout, trial, since).await?;
                        Ok((done, session))
                    })
                })
                .await?;
            swept.trials += u64::from(gone);
        }
        Ok(swept)
    }

    /// Is not tried again: who asks wants to know how it is now.
    async fn health(&self) -> Result<(), StoreError> {
        let inner = self.open_still()?;
        let ask = async {
            let mut session = inner.engine.begin().await?;
            session.execute("SELECT 1", vec![]).await?;
            session.commit().await
        };
        ask.await.map_err(|fault| match fault {
            Fault::Passing(error) => StoreError::Database(error),
            Fault::Lasting(error) => error,
        })
    }

    async fn close(&self) -> Result<(), StoreError> {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.inner.engine.close().await;
        }
        Ok(())
    }
}

impl Inner {
    /// Katib's table knows no namespaces.
    fn trial(&self, mut trial: TrialRef) -> TrialRef {
        if self.layout != Layout::Diwan {
            trial.namespace.clear();
        }
        trial
    }
}
