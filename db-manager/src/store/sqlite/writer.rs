//! The thread that writes.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use super::{
    Delivery, SourceRange, StoreError, StoredRow, TrialRef,
    reader::{self, Known},
};

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
            Change::Delete(_) => {}
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
    for change in changes {
        match apply(&transaction, change) {
            Err(StoreError::Database(error)) => return Err(StoreError::Database(error)),
            outcome => outcomes.push(outcome),
        }
    }
    transaction.commit()?;
    Ok(outcomes)
}

/// Refusals other than the database's own come before the first write of a change.
fn apply(transaction: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Report {
            trial,
            rows,
            delivery,
        } => report(transaction, trial, rows, delivery),
        Change::Delete(trial) => delete(transaction, trial),
        Change::Close => Ok(()),
    }
}

fn report(
    transaction: &Transaction<'_>,
    trial: &TrialRef,
    rows: &[StoredRow],
    delivery: &Delivery,
) -> Result<(), StoreError> {
    let known = reader::find(transaction, trial)?;
    if let (Delivery::Source(range), known) = (delivery, &known) {
        let stored = match known {
            Some(known) => reader::position(transaction, known.id, &range.source)?.unwrap_or(0),
            None => 0,
        };
        match next(range, stored)? {
            Step::Done => return Ok(()),
            Step::Store => {}
        }
    }
    let id = claim(transaction, trial, known)?;
    match delivery {
        Delivery::Plain => insert(transaction, id, rows),
        Delivery::Batch(batch) => {
            let new = transaction
                .prepare_cached("INSERT OR IGNORE INTO batches (trial, batch) VALUES (?1, ?2)")?
                .execute(params![id, batch])?;
            if new == 1 {
                insert(transaction, id, rows)
            } else {
                Ok(())
            }
        }
        Delivery::Source(range) if range.from == range.to => insert_new(transaction, id, rows),
        Delivery::Source(range) => {
            transaction
                .prepare_cached(
                    "INSERT INTO sources (trial, source, position) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET position = excluded.position",
                )?
                .execute(params![id, range.source, range.to as i64])?;
            insert(transaction, id, rows)
        }
    }
}

/// What a stretch of a source means after what was stored of it.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Store,
    Done,
}

fn next(range: &SourceRange, stored: u64) -> Result<Step, StoreError> {
    if range.rewound || range.from == stored {
        Ok(Step::Store)
    } else if range.from < stored && range.to <= stored {
        Ok(Step::Done)
    } else {
        let (source_key, from) = (range.source.clone(), range.from);
        Err(StoreError::Gap {
            source_key,
            stored,
            from,
        })
    }
}

/// Returns the id of the trial that rows are stored under; a namespace takes over what was
/// reported before any was known.
fn claim(
    transaction: &Transaction<'_>,
    trial: &TrialRef,
    known: Option<Known>,
) -> Result<i64, StoreError> {
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

fn insert(transaction: &Transaction<'_>, id: i64, rows: &[StoredRow]) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO observations (trial, metric, time, value) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for row in rows {
        statement.execute(params![id, row.metric, row.micros, row.value])?;
    }
    Ok(())
}

/// Stores rows that are not there yet.
fn insert_new(
    transaction: &Transaction<'_>,
    id: i64,
    rows: &[StoredRow],
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO observations (trial, metric, time, value) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM observations
             WHERE trial = ?1 AND metric = ?2 AND time = ?3 AND value = ?4)",
    )?;
    for row in rows {
        statement.execute(params![id, row.metric, row.micros, row.value])?;
    }
    Ok(())
}

fn delete(transaction: &Transaction<'_>, trial: &TrialRef) -> Result<(), StoreError> {
    let Some(known) = reader::find(transaction, trial)? else {
        return Ok(());
    };
    for statement in [
        "DELETE FROM observations WHERE trial = ?1",
        "DELETE FROM sources WHERE trial = ?1",
        "DELETE FROM batches WHERE trial = ?1",
        "DELETE FROM trials WHERE id = ?1",
    ] {
        transaction.prepare_cached(statement)?.execute([known.id])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_follows_repeats_or_leaves_a_gap() {
        let range = |from, to, rewound| SourceRange {
            source: "log".into(),
            from,
            to,
            rewound,
        };
        let gap = |stored, from| {
            Err(StoreError::Gap {
                source_key: "log".into(),
                stored,
                from,
            })
        };
        for (given, stored, expected) in [
            (range(0, 10, false), 0, Ok(Step::Store)),
            (range(10, 20, false), 10, Ok(Step::Store)),
            (range(10, 10, false), 10, Ok(Step::Store)),
            (range(0, 10, false), 10, Ok(Step::Done)),
            (range(0, 10, false), 30, Ok(Step::Done)),
            (range(0, 10, false), 5, gap(5, 0)),
            (range(20, 30, false), 10, gap(10, 20)),
            (range(0, 5, true), 30, Ok(Step::Store)),
        ] {
            assert_eq!(next(&given, stored), expected, "{given:?} after {stored}");
        }
    }
}
