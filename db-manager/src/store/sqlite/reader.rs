//! Reads.

use diwan_api::MetricLog;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    curve::{self, Curve, CurveCache, CurvePoint},
    store::{
        Known, PAGE, StoreError, TrialRef,
        account::{Account, series_ids},
        pick,
    },
    summary::{self, Summary, Tally, TallyRow},
    time,
};

/// Finds the trial that a name means.
pub(super) fn find(connection: &Connection, trial: &TrialRef) -> Result<Option<Known>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, namespace, next_row FROM trials WHERE name = ?1")?;
    let known = statement.query_map([&trial.name], |row| {
        Ok(Known {
            id: row.get(0)?,
            namespace: row.get(1)?,
            next_row: row.get(2)?,
        })
    })?;
    pick(trial, known.collect::<Result<_, _>>()?)
}

/// Returns a trial with its series.
pub(super) fn account(connection: &Connection, trial: i64) -> Result<Account, StoreError> {
    let next_row = connection
        .prepare_cached("SELECT next_row FROM trials WHERE id = ?1")?
        .query_row([trial], |row| row.get(0))?;
    let mut account = Account::new(trial, next_row);
    for (metric, tally) in tallies(connection, trial)? {
        account.restore(metric, tally);
    }
    Ok(account)
}

/// The columns of a tally, from the second on.
fn tally(row: &rusqlite::Row<'_>) -> rusqlite::Result<TallyRow> {
    Ok(TallyRow {
        count: row.get(1)?,
        min: row.get(2)?,
        max: row.get(3)?,
        first: row.get(4)?,
        latest: row.get(5)?,
        value: row.get(6)?,
    })
}

fn tallies(connection: &Connection, trial: i64) -> Result<Vec<(String, TallyRow)>, StoreError> {
    let (first, last) = series_ids(trial);
    let mut statement = connection.prepare_cached(
        "SELECT metric, count, min, max, first, latest, value FROM series
         WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
    )?;
    let rows = statement.query_map([first, last], |row| Ok((row.get(0)?, tally(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns how far a source of a trial was read.
pub(super) fn collected(
    connection: &Connection,
    trial: &TrialRef,
    source: &str,
) -> Result<u64, StoreError> {
    match find(connection, trial)? {
        Some(known) => Ok(position(connection, known.id, source)?.unwrap_or(0)),
        None => Ok(0),
    }
}

/// Returns how far a source was read, if it is known.
pub(super) fn position(
    connection: &Connection,
    trial: i64,
    source: &str,
) -> Result<Option<u64>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT position FROM sources WHERE trial = ?1 AND source = ?2")?;
    let position: Option<i64> = statement
        .query_row(params![trial, source], |row| row.get(0))
        .optional()?;
    Ok(position.map(|position| position as u64))
}

/// Hands over the rows of a trial between two times in the order of their time, page by page,
/// until `take` has enough.
pub(super) fn log(
    connection: &Connection,
    trial: &TrialRef,
    metric: Option<&str>,
    (start, end): (i64, i64),
    mut take: impl FnMut(Vec<MetricLog>) -> bool,
) -> Result<(), StoreError> {
    let Some(known) = find(connection, trial)? else {
        return Ok(());
    };
    let account = account(connection, known.id)?;
    let (mut first, mut last) = series_ids(known.id);
    if let Some(metric) = metric {
        let Some(series) = account.series(metric) else {
            return Ok(());
        };
        (first, last) = (series, series);
    }
    // Two texts, so that one series is read in the order that it is stored in.
    let mut statement = connection.prepare_cached(if metric.is_some() {
        "SELECT series, time, value FROM observations
         WHERE series = ?1 AND ?2 = ?1 AND time >= ?3 AND time <= ?4 ORDER BY time, id"
    } else {
        "SELECT series, time, value FROM observations
         WHERE series BETWEEN ?1 AND ?2 AND time >= ?3 AND time <= ?4 ORDER BY time, id"
    })?;
    let mut rows = statement.query(params![first, last, start, end])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        // A series that came after the account was read is left to the next reader.
        let Some(metric) = account.metric(row.get(0)?) else {
            continue;
        };
        page.push(MetricLog {
            name: metric.to_owned(),
            time_stamp: time::format(row.get(1)?),
            value: row.get(2)?,
        });
        if page.len() == PAGE && !take(std::mem::take(&mut page)) {
            return Ok(());
        }
    }
    if !page.is_empty() {
        take(page);
    }
    Ok(())
}

/// Returns one line per metric and trial.
pub(super) fn summaries(
    connection: &Connection,
    trials: &[TrialRef],
) -> Result<Vec<Summary>, StoreError> {
    let mut lines = Vec::new();
    for trial in trials {
        let Some(known) = find(connection, trial)? else {
            continue;
        };
        for (metric, tally) in tallies(connection, known.id)? {
            lines.push(Tally::from(tally).summary(&trial.name, &metric));
        }
    }
    Ok(lines)
}

/// Returns one curve per trial that reported the metric.
pub(super) fn curves(
    connection: &Connection,
    trials: &[TrialRef],
    metric: &str,
    limit: usize,
    cache: &CurveCache,
) -> Result<Vec<Curve>, StoreError> {
    let mut series = connection.prepare_cached(
        "SELECT id, count, min, max, first, latest, value FROM series
         WHERE id BETWEEN ?1 AND ?2 AND metric = ?3",
    )?;
    let mut curves = Vec::with_capacity(trials.len());
    for trial in trials {
        let Some(known) = find(connection, trial)? else {
            continue;
        };
        let (first, last) = series_ids(known.id);
        let found = series
            .query_row(params![first, last, metric], |row| {
                Ok((row.get(0)?, tally(row)?))
            })
            .optional()?;
        let Some((id, tally)) = found else { continue };
        let key = (id, limit);
        if let Some(curve) = cache.get(key, &tally, &trial.name) {
            curves.push(curve);
            continue;
        }
        let curve = Curve {
            trial: trial.name.clone(),
            points: curve::thin(points(connection, id, tally.count)?, limit),
        };
        cache.put(key, tally, &curve);
        curves.push(curve);
    }
    Ok(curves)
}

fn points(connection: &Connection, series: i64, count: i64) -> Result<Vec<CurvePoint>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT time, value FROM observations WHERE series = ?1 ORDER BY time, id",
    )?;
    let mut rows = statement.query([series])?;
    let mut points = Vec::with_capacity(count as usize);
    let mut step = 0;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if let Some(value) = summary::finite(text) {
            points.push(CurvePoint {
                step,
                time: row.get(0)?,
                value,
            });
        }
        step += 1;
    }
    Ok(points)
}
