//! Writes. Each is one transaction that may be tried again.

use super::{
    engine::{Arg, Dialect, Entry, Fault, Kind, Load, Session, placeholders},
    reader,
    schema::Layout,
};
use crate::store::{
    Delivery, Keep, Known, Step, StoreError, StoredRow, Swept, TrialRef, account::Account,
    account::series_ids, next_step, now,
};
use futures::TryStreamExt as _;

/// How many series one statement writes: nine arguments each.
const SERIES: usize = 1_000;
/// How many bytes an id of a batch may have, and the longest name of a trial.
const NAME: usize = 255;

/// A report whose times were read.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) trial: TrialRef,
    pub(super) rows: Vec<StoredRow>,
    pub(super) delivery: Delivery,
}

/// Stores a report with all that remembers it.
pub(super) async fn report(
    session: &mut dyn Session,
    layout: Layout,
    report: &Prepared,
) -> Result<(), Fault> {
    for name in [&report.trial.name, &report.trial.namespace] {
        short(name)?;
    }
    let known = claim(session, &report.trial).await?;
    let new = match &report.delivery {
        Delivery::Plain => true,
        Delivery::Batch(batch) => {
            short(batch)?;
            let sql =
                session
                    .dialect()
                    .insert_new("diwan_batches", "trial, batch, stored", "?, ?, ?");
            let args = vec![known.id.into(), batch.as_str().into(), now().into()];
            session.execute(&sql, args).await? == 1
        }
        Delivery::Source(range) => {
            let stored = reader::position(session, known.id, &range.source).await?;
            let step = next_step(range, stored.unwrap_or(0))?;
            if step == Step::Store && range.from != range.to {
                let sql = format!(
                    "INSERT INTO diwan_sources (trial, source, position) VALUES (?, ?, ?){}",
                    session.dialect().upsert("trial, source", &["position"])
                );
                let to = (range.to as i64).into();
                let args = vec![known.id.into(), range.source.as_str().into(), to];
                session.execute(&sql, args).await?;
            }
            step == Step::Store
        }
    };
    if !new {
        return Ok(());
    }
    let missing_only =
        matches!(&report.delivery, Delivery::Source(range) if range.from == range.to);
    if let Layout::Katib { .. } = layout {
        let rows = if missing_only {
            katib_missing(session, &report.trial.name, &report.rows).await?
        } else {
            report.rows.clone()
        };
        add_to_katib(session, &report.trial.name, &rows).await?;
        let sql = "UPDATE diwan_trials SET reported = ? WHERE id = ?";
        let args = vec![now().into(), known.id.into()];
        return session.execute(sql, args).await.map(|_| ());
    }
    let dialect = session.dialect();
    let mut account = reader::account(session, &known).await?;
    if missing_only {
        for row in &report.rows {
            if !is_there(session, &account, row).await? {
                add(session, dialect, &mut account, std::slice::from_ref(row)).await?;
            }
        }
        return Ok(());
    }
    add(session, dialect, &mut account, &report.rows).await
}

/// Adds rows to Katib's table alone.
pub(super) async fn add_to_katib(
    session: &mut dyn Session,
    trial: &str,
    rows: &[StoredRow],
) -> Result<(), Fault> {
    short(trial)?;
    if rows.is_empty() {
        return Ok(());
    }
    session.load(Load::Katib { trial, rows }).await
}

/// Leaves out the rows that Katib's table has.
pub(super) async fn katib_missing(
    session: &mut dyn Session,
    trial: &str,
    rows: &[StoredRow],
) -> Result<Vec<StoredRow>, Fault> {
    let mut missing = Vec::new();
    let sql = format!(
        "SELECT id FROM observation_logs WHERE trial_name = ? AND metric_name = ?
         AND value = ? AND time = {} LIMIT 1",
        session.dialect().katib_time()
    );
    for row in rows {
        let time = super::engine::sql_time(row.micros);
        let texts = [trial, &row.metric, &row.value, &time];
        let args = texts.into_iter().map(Arg::from).collect();
        let mut records = session.fetch(&sql, args, &[]);
        if records.try_next().await?.is_none() {
            missing.push(row.clone());
        }
    }
    Ok(missing)
}

/// Adds rows to a trial, and what they change of it.
pub(super) async fn add(
    session: &mut dyn Session,
    dialect: Dialect,
    account: &mut Account,
    rows: &[StoredRow],
) -> Result<(), Fault> {
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let place = account.place(row)?;
        entries.push(Entry {
            series: place.series,
            time: row.micros,
            id: place.id,
            value: &row.value,
        });
    }
    if !entries.is_empty() {
        session.load(Load::Observations(&entries)).await?;
    }
    let changed: Vec<_> = account.changed().collect();
    for chunk in changed.chunks(SERIES) {
        let mut args = Vec::with_capacity(chunk.len() * 9);
        for (id, metric, tally) in chunk {
            args.extend([(*id).into(), account.trial().into(), Arg::from(*metric)]);
            args.extend([tally.count.into(), tally.min.clone().into()]);
            args.extend([tally.max.clone().into(), tally.first.into()]);
            args.extend([tally.latest.into(), Arg::from(tally.value.as_str())]);
        }
        let row = format!("({})", placeholders(9));
        let sql = format!(
            "INSERT INTO diwan_series
             (id, trial, metric, points, min, max, first, latest, value) VALUES {}{}",
            vec![row.as_str(); chunk.len()].join(","),
            dialect.upsert("id", &["points", "min", "max", "first", "latest", "value"])
        );
        session.execute(&sql, args).await?;
    }
    let sql = "UPDATE diwan_trials SET next_row = ?, reported = ? WHERE id = ?";
    let args = vec![
        account.next_row().into(),
        now().into(),
        account.trial().into(),
    ];
    session.execute(sql, args).await?;
    Ok(())
}

async fn is_there(
    session: &mut dyn Session,
    account: &Account,
    row: &StoredRow,
) -> Result<bool, Fault> {
    let Some(series) = account.series(&row.metric) else {
        return Ok(false);
    };
    let sql = "SELECT value FROM diwan_observations WHERE series = ? AND time = ?";
    let args = vec![series.into(), row.micros.into()];
    let mut records = session.fetch(sql, args, &[Kind::Text]);
    while let Some(mut record) = records.try_next().await? {
        if record.text(0) == row.value {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Locks the trial that rows are stored under, and makes it if need be. A namespace takes over
/// what was reported before any was known.
async fn claim(session: &mut dyn Session, trial: &TrialRef) -> Result<Known, Fault> {
    if reader::find(session, trial, true).await?.is_none() {
        let sql =
            session
                .dialect()
                .insert_new("diwan_trials", "name, namespace, reported", "?, ?, ?");
        let names = [&trial.name, &trial.namespace];
        let mut args: Vec<Arg> = names.map(|name| Arg::from(name.as_str())).to_vec();
        args.push(now().into());
        session.execute(&sql, args).await?;
    }
    let Some(known) = reader::find(session, trial, true).await? else {
        // Deleted between the two statements.
        return Err(Fault::Passing("the trial has just been deleted".to_owned()));
    };
    if known.namespace.is_empty() && !trial.namespace.is_empty() {
        let sql = "UPDATE diwan_trials SET namespace = ? WHERE id = ?";
        let args = vec![trial.namespace.as_str().into(), known.id.into()];
        session.execute(sql, args).await?;
    }
    Ok(known)
}

fn short(name: &str) -> Result<(), StoreError> {
    if name.len() <= NAME {
        return Ok(());
    }
    let begin: String = name.chars().take(40).collect();
    let error = format!("{begin:?}… has more than {NAME} bytes");
    Err(StoreError::Refused(error))
}

/// Forgets a trial.
pub(super) async fn delete(
    session: &mut dyn Session,
    layout: Layout,
    trial: &TrialRef,
) -> Result<(), Fault> {
    if layout != Layout::Diwan {
        let sql = "DELETE FROM observation_logs WHERE trial_name = ?";
        session
            .execute(sql, vec![trial.name.as_str().into()])
            .await?;
    }
    if layout == (Layout::Katib { notes: false }) {
        return Ok(());
    }
    match reader::find(session, trial, true).await? {
        Some(known) => forget(session, layout, known.id).await,
        None => Ok(()),
    }
}

async fn forget(session: &mut dyn Session, layout: Layout, trial: i64) -> Result<(), Fault> {
    if layout == Layout::Diwan {
        let (first, last) = series_ids(trial);
        for table in ["diwan_observations WHERE series", "diwan_series WHERE id"] {
            let sql = format!("DELETE FROM {table} BETWEEN {first} AND {last}");
            session.execute(&sql, vec![]).await?;
        }
    }
    for table in [
        "diwan_sources WHERE trial",
        "diwan_batches WHERE trial",
        "diwan_trials WHERE id",
    ] {
        let sql = format!("DELETE FROM {table} = ?");
        session.execute(&sql, vec![trial.into()]).await?;
    }
    Ok(())
}

/// Returns the trials whose last report is older than a time.
pub(super) async fn old_trials(
    session: &mut dyn Session,
    layout: Layout,
    since: i64,
) -> Result<Vec<TrialRef>, Fault> {
    let (sql, args) = if layout == Layout::Diwan {
        let sql = "SELECT name, namespace FROM diwan_trials WHERE reported < ?".to_owned();
        (sql, vec![since.into()])
    } else {
        // Rows of the year 1 stand for an unknown time, so they make no trial old.
        let time = session.dialect().katib_time();
        let sql = format!(
            "SELECT trial_name, '' FROM observation_logs GROUP BY trial_name
             HAVING max(time) < {time} AND max(time) > {time}"
        );
        let bounds = [
            super::engine::sql_time(since),
            "1900-01-01 00:00:00".to_owned(),
        ];
        (sql, bounds.map(|bound| Arg::from(bound.as_str())).to_vec())
    };
    let records = session.fetch(&sql, args, &[Kind::Text, Kind::Text]);
    let trials = records.map_ok(|mut record| TrialRef::new(record.text(1), record.text(0)));
    trials.try_collect().await
}

/// Forgets a trial, unless it reported again meanwhile.
pub(super) async fn expire(
    session: &mut dyn Session,
    layout: Layout,
    trial: &TrialRef,
    since: i64,
) -> Result<bool, Fault> {
    if layout != Layout::Diwan {
        delete(session, layout, trial).await?;
        return Ok(true);
    }
    let sql = "SELECT id FROM diwan_trials
               WHERE name = ? AND namespace = ? AND reported < ? FOR UPDATE";
    let args = vec![
        trial.name.as_str().into(),
        trial.namespace.as_str().into(),
        since.into(),
    ];
    let old = {
        let mut records = session.fetch(sql, args, &[Kind::Int]);
        records.try_next().await?.map(|record| record.int(0))
    };
    match old {
        Some(id) => forget(session, layout, id).await.map(|()| true),
        None => Ok(false),
    }
}

/// Forgets ids of batches that were stored before the time given.
pub(super) async fn prune(session: &mut dyn Session, keep: Keep) -> Result<Swept, Fault> {
    let sql = "DELETE FROM diwan_batches WHERE stored < ?";
    let batches = session
        .execute(sql, vec![keep.batches_since.into()])
        .await?;
    Ok(Swept { trials: 0, batches })
}
