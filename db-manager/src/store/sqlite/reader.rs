//! Reads.

use diwan_api::MetricLog;
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    curve::{self, Curve, CurvePoint},
    store::{StoreError, TrialRef},
    summary::{self, Summary},
    time,
};

/// A trial that the database knows.
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) namespace: String,
}

/// Finds the trial that a name means: the one of its namespace, else the one of no namespace yet.
/// Without a namespace it is the only one of that name.
pub(super) fn find(connection: &Connection, trial: &TrialRef) -> Result<Option<Known>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, namespace FROM trials WHERE name = ?1")?;
    let known = statement.query_map([&trial.name], |row| {
        Ok(Known {
            id: row.get(0)?,
            namespace: row.get(1)?,
        })
    })?;
    let mut known: Vec<Known> = known.collect::<Result<_, _>>()?;
    if trial.namespace.is_empty() {
        if known.len() > 1 {
            let namespaces = known.into_iter().map(|known| known.namespace).collect();
            return Err(StoreError::Ambiguous {
                name: trial.name.clone(),
                namespaces,
            });
        }
        return Ok(known.pop());
    }
    let exact = known
        .iter()
        .position(|known| known.namespace == trial.namespace);
    let found = exact.or_else(|| known.iter().position(|known| known.namespace.is_empty()));
    Ok(found.map(|at| known.swap_remove(at)))
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

/// Returns the rows of a trial between two times, in the order of their time.
pub(super) fn log(
    connection: &Connection,
    trial: &TrialRef,
    metric: Option<&str>,
    (start, end): (i64, i64),
) -> Result<Vec<MetricLog>, StoreError> {
    let Some(known) = find(connection, trial)? else {
        return Ok(Vec::new());
    };
    // Two texts rather than an optional condition, so that each uses the index.
    let mut statement = connection.prepare_cached(match metric {
        Some(_) => {
            "SELECT metric, time, value FROM observations
             WHERE trial = ?1 AND time >= ?2 AND time <= ?3 AND metric = ?4 ORDER BY time, id"
        }
        None => {
            "SELECT metric, time, value FROM observations
             WHERE trial = ?1 AND time >= ?2 AND time <= ?3 ORDER BY time, id"
        }
    })?;
    let rows = match metric {
        Some(metric) => statement.query_map(params![known.id, start, end, metric], metric_log)?,
        None => statement.query_map(params![known.id, start, end], metric_log)?,
    };
    Ok(rows.collect::<Result<_, _>>()?)
}

fn metric_log(row: &rusqlite::Row<'_>) -> rusqlite::Result<MetricLog> {
    Ok(MetricLog {
        name: row.get(0)?,
        time_stamp: time::format(row.get(1)?),
        value: row.get(2)?,
    })
}

/// Returns one line per metric and trial.
pub(super) fn summaries(
    connection: &Connection,
    trials: &[TrialRef],
) -> Result<Vec<Summary>, StoreError> {
    let mut lines = Vec::new();
    for trial in trials {
        let rows = log(connection, trial, None, (i64::MIN, i64::MAX))?;
        lines.extend(summary::summarize(&trial.name, rows));
    }
    Ok(lines)
}

/// Returns one curve per trial that reported the metric.
pub(super) fn curves(
    connection: &Connection,
    trials: &[TrialRef],
    metric: &str,
    limit: usize,
) -> Result<Vec<Curve>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT time, value FROM observations WHERE trial = ?1 AND metric = ?2 ORDER BY time, id",
    )?;
    let mut curves = Vec::new();
    for trial in trials {
        let Some(known) = find(connection, trial)? else {
            continue;
        };
        let mut rows = statement.query(params![known.id, metric])?;
        let mut points = Vec::new();
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
        if step > 0 {
            curves.push(Curve {
                trial: trial.name.clone(),
                points: curve::thin(points, limit),
            });
        }
    }
    Ok(curves)
}
