//! The thread that writes.

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{Delivery, StoreError, StoredRow, TrialRef, ledger::Ledger, reader};
use crate::store::{Keep, Known, Step, Swept, next_step, now};

/// After how many rows a commit takes no further job.
const ROWS_PER_COMMIT: usize = 50_000;

/// A change of the log.
pub(super) enum Change {
    /// Rows of one trial.
    Report {
        trial: TrialRef,
        rows: Vec<StoredRow>,
        delivery: Delivery,
    },
    /// All of one trial goes.
    Delete(TrialRef),
    /// What is old goes; how much it was comes back by the channel.
    Sweep(Keep, std::sync::mpsc::Sender<Swept>),
    /// Nothing comes after this.
    Close,
}

/// A change, and who waits for it.
pub(super) struct Job {
    pub(super) change: Change,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

/// Commits changes until the store is closed or dropped.
pub(super) fn run(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let (group, closing) = gather(first, &mut jobs);
        commit_group(&mut connection, group);
        if let Some(job) = closing {
            jobs.close();
            while let Some(late) = jobs.blocking_recv() {
                // Who waits may be gone; then nobody is left to tell.
                let _ = late.done.send(Err(StoreError::Closed));
            }
            let closed = connection.close().map_err(|(_, error)| error.into());
            let _ = job.done.send(closed);
            return;
        }
    }
}

/// Takes the jobs that wait already; a job that closes the store ends the group.
fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let mut group = Vec::new();
    let mut rows = 0;
    let mut next = Some(first);
    while let Some(job) = next {
        match &job.change {
            Change::Close => return (group, Some(job)),
            Change::Report { rows: more, .. } => rows += more.len(),
            Change::Delete(_) | Change::Sweep(..) => {}
        }
        group.push(job);
        next = if rows < ROWS_PER_COMMIT {
            jobs.try_recv().ok()
        } else {
            None
        };
    }
    (group, None)
}

/// Commits jobs together, or each for itself if the database refuses them together, so that one
/// bad report does not take others with it.
fn commit_group(connection: &mut Connection, group: Vec<Job>) {
    if group.is_empty() {
        return;
    }
    let changes: Vec<&Change> = group.iter().map(|job| &job.change).collect();
    let outcomes = match commit(connection, &changes) {
        Ok(outcomes) => outcomes,
        Err(error) if group.len() == 1 => vec![Err(error)],
        Err(_) => {
            let alone = changes.iter().map(|change| {
                let outcome = commit(connection, std::slice::from_ref(change))?;
                outcome.into_iter().collect()
            });
            alone.collect()
        }
    };
    for (job, outcome) in group.into_iter().zip(outcomes) {
        let _ = job.done.send(outcome);
    }
}

/// Applies changes in one transaction. The outer error means that none of them was stored.
fn commit(
    connection: &mut Connection,
    changes: &[&Change],
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut outcomes = Vec::with_capacity(changes.len());
    let mut ledger = Ledger::new(&transaction);
    for change in changes {
        match apply(&mut ledger, change) {
            Err(error @ (StoreError::Database(_) | StoreError::Refused(_))) => return Err(error),
            outcome => outcomes.push(outcome),
        }
    }
    ledger.settle(now())?;
    transaction.commit()?;
    Ok(outcomes)
}

/// Refusals other than the database's own come before the first write of a change.
fn apply(ledger: &mut Ledger<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Report {
            trial,
            rows,
            delivery,
        } => report(ledger, trial, rows, delivery),
        Change::Delete(trial) => match reader::find(ledger.transaction(), trial)? {
            Some(known) => ledger.delete(known.id),
            None => Ok(()),
        },
        Change::Sweep(keep, swept) => sweep(ledger, *keep, swept),
        Change::Close => Ok(()),
    }
}

fn report(
    ledger: &mut Ledger<'_>,
    trial: &TrialRef,
    rows: &[StoredRow],
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let transaction = ledger.transaction();
    let known = reader::find(transaction, trial)?;
    if let Delivery::Source(range) = delivery {
        let stored = match &known {
            Some(known) => reader::position(transaction, known.id, &range.source)?.unwrap_or(0),
            None => 0,
        };
        if next_step(range, stored)? == Step::Done {
            return Ok(());
        }
    }
    let id = claim(ledger, trial, known)?;
    match delivery {
        Delivery::Plain => ledger.insert(id, rows),
        Delivery::Batch(batch) => {
            let new = transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO batches (trial, batch, stored) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![id, batch, now()])?;
            if new == 1 {
                ledger.insert(id, rows)
            } else {
                Ok(())
            }
        }
        Delivery::Source(range) if range.from == range.to => ledger.insert_new(id, rows),
        Delivery::Source(range) => {
            transaction
                .prepare_cached(
                    "INSERT INTO sources (trial, source, position) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET position = excluded.position",
                )?
                .execute(params![id, range.source, range.to as i64])?;
            ledger.insert(id, rows)
        }
    }
}

/// Returns the id of the trial that rows are stored under; a namespace takes over what was
/// reported before any was known.
fn claim(ledger: &Ledger<'_>, trial: &TrialRef, known: Option<Known>) -> Result<i64, StoreError> {
    let transaction = ledger.transaction();
    let Some(known) = known else {
        transaction
            .prepare_cached("INSERT INTO trials (name, namespace) VALUES (?1, ?2)")?
            .execute(params![trial.name, trial.namespace])?;
        return Ok(transaction.last_insert_rowid());
    };
    if known.namespace.is_empty() && !trial.namespace.is_empty() {
        transaction
            .prepare_cached("UPDATE trials SET namespace = ?2 WHERE id = ?1")?
            .execute(params![known.id, trial.namespace])?;
    }
    Ok(known.id)
}

fn sweep(
    ledger: &mut Ledger<'_>,
    keep: Keep,
    swept: &std::sync::mpsc::Sender<Swept>,
) -> Result<(), StoreError> {
    let transaction = ledger.transaction();
    let batches = transaction
        .prepare_cached("DELETE FROM batches WHERE stored < ?1")?
        .execute([keep.batches_since])? as u64;
    let mut trials = 0;
    if let Some(since) = keep.logs_since {
        let mut statement =
            transaction.prepare_cached("SELECT id FROM trials WHERE reported < ?1")?;
        let old = statement.query_map([since], |row| row.get(0))?;
        for trial in old.collect::<Result<Vec<i64>, _>>()? {
            ledger.delete(trial)?;
            trials += 1;
        }
    }
    // Who asked may be gone.
    let _ = swept.send(Swept { trials, batches });
    Ok(())
}
