//! Reads.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use diwan_api::MetricLog;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;

use super::{
    engine::{Arg, Fault, Kind, Session, placeholders, sql_time},
    schema::Layout,
};
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

/// How many names or ids one query asks for.
const ASKED: usize = 5_000;
/// How many series are held in memory while they are thinned out.
const SERIES: usize = 500;

const TALLY: &[Kind] = &[
    Kind::Int,
    Kind::Text,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Text,
];
const TALLY_AND_ID: &[Kind] = &[
    Kind::Int,
    Kind::Text,
    Kind::Int,
    Kind::Text,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Int,
];
const TALLY_COLUMNS: &str = "trial, metric, points, min, max, first, latest, value";

/// Finds the trial that a name means, and locks it until the transaction ends if so wanted.
pub(super) async fn find(
    session: &mut dyn Session,
    trial: &TrialRef,
    lock: bool,
) -> Result<Option<Known>, Fault> {
    let lock = if lock { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT id, namespace, next_row FROM diwan_trials WHERE name = ?{lock}");
    let shape = &[Kind::Int, Kind::Text, Kind::Int];
    let records = session.fetch(&sql, vec![Arg::from(trial.name.as_str())], shape);
    let known: Vec<Known> = records
        .map_ok(|mut record| Known {
            id: record.int(0),
            namespace: record.text(1),
            next_row: record.int(2),
        })
        .try_collect()
        .await?;
    Ok(pick(trial, known)?)
}

/// Returns a trial with its series.
pub(super) async fn account(session: &mut dyn Session, known: &Known) -> Result<Account, Fault> {
    let mut account = Account::new(known.id, known.next_row);
    let (first, last) = series_ids(known.id);
    let sql = format!(
        "SELECT {TALLY_COLUMNS} FROM diwan_series WHERE id BETWEEN {first} AND {last} ORDER BY id"
    );
    let mut records = session.fetch(&sql, vec![], TALLY);
    while let Some(mut record) = records.try_next().await? {
        let metric = record.text(1);
        account.restore(metric, tally(&mut record));
    }
    Ok(account)
}

/// Returns a trial of no namespace yet with its series.
pub(super) async fn account_by_name(
    session: &mut dyn Session,
    name: &str,
) -> Result<Account, Fault> {
    let sql = "SELECT id, next_row FROM diwan_trials WHERE name = ? ORDER BY namespace LIMIT 1";
    let known = {
        let mut records = session.fetch(sql, vec![Arg::from(name)], &[Kind::Int, Kind::Int]);
        records.try_next().await?.map(|record| Known {
            id: record.int(0),
            namespace: String::new(),
            next_row: record.int(1),
        })
    };
    let gone = || StoreError::Database(format!("trial {name:?} vanished while it was taken over"));
    account(session, &known.ok_or_else(gone)?).await
}

fn tally(record: &mut super::engine::Record) -> TallyRow {
    TallyRow {
        count: record.int(2),
        min: record.take(3),
        max: record.take(4),
        first: record.int(5),
        latest: record.int(6),
        value: record.text(7),
    }
}

/// Returns how far a source was read, if it is known.
pub(super) async fn position(
    session: &mut dyn Session,
    trial: i64,
    source: &str,
) -> Result<Option<u64>, Fault> {
    let sql = "SELECT position FROM diwan_sources WHERE trial = ? AND source = ?";
    let args = vec![trial.into(), Arg::from(source)];
    let mut records = session.fetch(sql, args, &[Kind::Int]);
    Ok(records.try_next().await?.map(|record| record.int(0) as u64))
}

/// Which rows of a trial are asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) trial: TrialRef,
    pub(super) metric: Option<String>,
    pub(super) start: i64,
    pub(super) end: i64,
}

/// Takes pages of a log.
pub(super) type Sender = mpsc::Sender<Result<Vec<MetricLog>, StoreError>>;

/// Sends the rows of a trial between two times in the order of their time, page by page, until
/// nobody takes them. `begun` tells that a page was sent.
pub(super) async fn log(
    session: &mut dyn Session,
    layout: Layout,
    asked: &Asked,
    pages: &Sender,
    begun: &AtomicBool,
) -> Result<(), Fault> {
    match layout {
        Layout::Diwan => {
            let Some(known) = find(session, &asked.trial, false).await? else {
                return Ok(());
            };
            let account = account(session, &known).await?;
            let (mut first, mut last) = series_ids(known.id);
            if let Some(metric) = &asked.metric {
                let Some(series) = account.series(metric) else {
                    return Ok(());
                };
                (first, last) = (series, series);
            }
            let which = if first == last {
                format!("series = {first}")
            } else {
                format!("series BETWEEN {first} AND {last}")
            };
            let sql = format!(
                "SELECT series, time, value FROM diwan_observations
                 WHERE {which} AND time >= ? AND time <= ? ORDER BY time, id"
            );
            let args = vec![asked.start.into(), asked.end.into()];
            let records = session.fetch(&sql, args, &[Kind::Int, Kind::Int, Kind::Text]);
            let rows = records.try_filter_map(|mut record| {
                // A series that came after the account was read is left to the next reader.
                let row = account.metric(record.int(0)).map(|metric| MetricLog {
                    name: metric.to_owned(),
                    time_stamp: time::format(record.int(1)),
                    value: record.text(2),
                });
                async { Ok(row) }
            });
            send(std::pin::pin!(rows), pages, begun).await
        }
        Layout::Katib { .. } => {
            let dialect = session.dialect();
            let mut args = vec![Arg::from(asked.trial.name.as_str())];
            let mut sql = format!(
                "SELECT metric_name, {}, value FROM observation_logs
                 WHERE trial_name = ? AND time IS NOT NULL",
                dialect.katib_micros()
            );
            if let Some(metric) = &asked.metric {
                sql.push_str(" AND metric_name = ?");
                args.push(metric.as_str().into());
            }
            for (bound, operator) in [(asked.start, ">="), (asked.end, "<=")] {
                if !matches!(bound, i64::MIN | i64::MAX) {
                    sql = format!("{sql} AND time {operator} {}", dialect.katib_time());
                    args.push(sql_time(bound).as_str().into());
                }
            }
            sql.push_str(" ORDER BY time, id");
            let records = session.fetch(&sql, args, &[Kind::Text, Kind::Int, Kind::Text]);
            let rows = records.try_filter_map(|mut record| {
                // MySQL may take names for equal that differ in case.
                let name = record.text(0);
                let wanted = asked.metric.as_ref().is_none_or(|metric| *metric == name);
                let row = wanted.then(|| MetricLog {
                    name,
                    time_stamp: time::format(record.int(1)),
                    value: record.text(2),
                });
                async { Ok(row) }
            });
            send(std::pin::pin!(rows), pages, begun).await
        }
    }
}

async fn send(
    mut rows: impl Stream<Item = Result<MetricLog, Fault>> + Unpin,
    pages: &Sender,
    begun: &AtomicBool,
) -> Result<(), Fault> {
    let mut page = Vec::new();
    while let Some(row) = rows.next().await {
        page.push(row?);
        if page.len() == PAGE {
            begun.store(true, Ordering::Relaxed);
            if pages.send(Ok(std::mem::take(&mut page))).await.is_err() {
                return Ok(());
            }
        }
    }
    if !page.is_empty() {
        // Who reads may be gone.
        let _ = pages.send(Ok(page)).await;
    }
    Ok(())
}

/// Returns one line per metric for each of the trials.
pub(super) async fn summaries(
    session: &mut dyn Session,
    layout: Layout,
    namespace: &str,
    trials: &[String],
) -> Result<Vec<Summary>, Fault> {
    if layout != Layout::Diwan {
        return katib_summaries(session, trials).await;
    }
    let named = resolve(session, namespace, trials).await?;
    let mut lines: HashMap<i64, Vec<Summary>> = HashMap::new();
    for ids in named.chunks(ASKED) {
        let names: HashMap<i64, &str> = ids.iter().map(|(id, name)| (*id, *name)).collect();
        let ranges = series_of(ids.iter().map(|(id, _)| *id));
        let sql = format!("SELECT {TALLY_COLUMNS} FROM diwan_series WHERE {ranges} ORDER BY id");
        let mut records = session.fetch(&sql, vec![], TALLY);
        while let Some(mut record) = records.try_next().await? {
            let trial = record.int(0);
            let Some(name) = names.get(&trial) else {
                continue;
            };
            let metric = record.text(1);
            let line = Tally::from(tally(&mut record)).summary(name, &metric);
            lines.entry(trial).or_default().push(line);
        }
    }
    let in_order = named.iter().filter_map(|(id, _)| lines.remove(id));
    Ok(in_order.flatten().collect())
}

/// Which curves are asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) namespace: &'a str,
    pub(super) trials: &'a [String],
    pub(super) metric: &'a str,
    pub(super) points: usize,
}

/// Returns one curve per trial that reported the metric.
pub(super) async fn curves(
    session: &mut dyn Session,
    layout: Layout,
    wanted: Wanted<'_>,
    cache: &CurveCache,
) -> Result<Vec<Curve>, Fault> {
    if layout != Layout::Diwan {
        return katib_curves(session, wanted).await;
    }
    let named = resolve(session, wanted.namespace, wanted.trials).await?;
    let mut series: HashMap<i64, (i64, TallyRow)> = HashMap::new();
    for ids in named.chunks(ASKED) {
        let ranges = series_of(ids.iter().map(|(id, _)| *id));
        let sql =
            format!("SELECT {TALLY_COLUMNS}, id FROM diwan_series WHERE metric = ? AND {ranges}");
        let mut records = session.fetch(&sql, vec![Arg::from(wanted.metric)], TALLY_AND_ID);
        while let Some(mut record) = records.try_next().await? {
            let found = (record.int(8), tally(&mut record));
            series.insert(record.int(0), found);
        }
    }
    let mut curves: HashMap<i64, Curve> = HashMap::new();
    let mut missing = Vec::new();
    for (trial, name) in &named {
        let Some((id, tally)) = series.get(trial) else {
            continue;
        };
        match cache.get((*id, wanted.points), tally, name) {
            Some(curve) => drop(curves.insert(*trial, curve)),
            None => missing.push((*trial, *id, *name)),
        }
    }
    for chunk in missing.chunks(SERIES) {
        let mut rows = rows_of(session, chunk.iter().map(|(_, id, _)| *id)).await?;
        for (trial, id, name) in chunk {
            let mut rows = rows.remove(id).unwrap_or_default();
            rows.sort_unstable_by_key(|(time, id, _)| (*time, *id));
            let values = rows.into_iter().map(|(time, _, value)| (time, value));
            let curve = drawn(name, values, wanted.points);
            if let Some((id, tally)) = series.remove(trial) {
                cache.put((id, wanted.points), tally, &curve);
            }
            curves.insert(*trial, curve);
        }
    }
    let in_order = named.iter().filter_map(|(trial, _)| curves.remove(trial));
    Ok(in_order.collect())
}

/// Reads the rows of series, in any order: time, id, and the value or NaN.
async fn rows_of(
    session: &mut dyn Session,
    series: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, Vec<(i64, i64, f64)>>, Fault> {
    let sql = format!(
        "SELECT series, time, id, value FROM diwan_observations WHERE series IN ({})",
        list(series)
    );
    let shape = &[Kind::Int, Kind::Int, Kind::Int, Kind::Text];
    let mut records = session.fetch(&sql, vec![], shape);
    let mut rows: HashMap<i64, Vec<(i64, i64, f64)>> = HashMap::new();
    while let Some(mut record) = records.try_next().await? {
        let value = summary::finite(&record.text(3)).unwrap_or(f64::NAN);
        let of_series = rows.entry(record.int(0)).or_default();
        of_series.push((record.int(1), record.int(2), value));
    }
    Ok(rows)
}

/// Draws the values of one series, in the order of their time; NaN stands for what is no number.
fn drawn(trial: &str, values: impl Iterator<Item = (i64, f64)>, limit: usize) -> Curve {
    let points = (0..).zip(values).filter_map(|(step, (time, value))| {
        value
            .is_finite()
            .then_some(CurvePoint { step, time, value })
    });
    Curve {
        trial: trial.to_owned(),
        points: curve::thin(points.collect(), limit),
    }
}

/// Finds the trials that names mean, in the order of the names.
async fn resolve<'a>(
    session: &mut dyn Session,
    namespace: &str,
    trials: &'a [String],
) -> Result<Vec<(i64, &'a str)>, Fault> {
    let mut known: HashMap<String, Vec<Known>> = HashMap::new();
    for names in trials.chunks(ASKED) {
        let sql = format!(
            "SELECT name, id, namespace FROM diwan_trials WHERE name IN ({})",
            placeholders(names.len())
        );
        let args = names.iter().map(|name| Arg::from(name.as_str())).collect();
        let mut records = session.fetch(&sql, args, &[Kind::Text, Kind::Int, Kind::Text]);
        while let Some(mut record) = records.try_next().await? {
            let found = Known {
                id: record.int(1),
                namespace: record.text(2),
                next_row: 0,
            };
            known.entry(record.text(0)).or_default().push(found);
        }
    }
    let mut named = Vec::with_capacity(trials.len());
    for name in trials {
        let Some(known) = known.remove(name) else {
            continue;
        };
        if let Some(found) = pick(&TrialRef::new(namespace, name), known)? {
            named.push((found.id, name.as_str()));
        }
    }
    Ok(named)
}

/// A condition for the series of trials.
fn series_of(trials: impl Iterator<Item = i64>) -> String {
    format!("trial IN ({})", list(trials))
}

fn list(ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    ids.join(",")
}

async fn katib_summaries(
    session: &mut dyn Session,
    trials: &[String],
) -> Result<Vec<Summary>, Fault> {
    let mut lines: HashMap<String, Vec<(String, Tally)>> = HashMap::new();
    for names in trials.chunks(ASKED) {
        let sql = format!(
            "SELECT trial_name, metric_name, {}, value FROM observation_logs
             WHERE trial_name IN ({}) AND time IS NOT NULL ORDER BY id",
            session.dialect().katib_micros(),
            placeholders(names.len())
        );
        let args = names.iter().map(|name| Arg::from(name.as_str())).collect();
        let shape = &[Kind::Text, Kind::Text, Kind::Int, Kind::Text];
        let mut records = session.fetch(&sql, args, shape);
        while let Some(mut record) = records.try_next().await? {
            let (micros, metric, value) = (record.int(2), record.text(1), record.text(3));
            let of_trial = lines.entry(record.text(0)).or_default();
            let at = of_trial.iter().position(|(name, _)| *name == metric);
            let at = at.unwrap_or_else(|| {
                of_trial.push((metric, Tally::empty()));
                of_trial.len() - 1
            });
            of_trial[at].1.add(micros, &value);
        }
    }
    let in_order = trials
        .iter()
        .filter_map(|name| Some((name, lines.remove(name)?)));
    let summaries = in_order.flat_map(|(name, lines)| {
        let summary = move |(metric, tally): (String, Tally)| tally.summary(name, &metric);
        lines.into_iter().map(summary)
    });
    Ok(summaries.collect())
}

async fn katib_curves(session: &mut dyn Session, wanted: Wanted<'_>) -> Result<Vec<Curve>, Fault> {
    let (trials, metric, limit) = (wanted.trials, wanted.metric, wanted.points);
    let mut rows: HashMap<String, Vec<(i64, f64)>> = HashMap::new();
    for names in trials.chunks(ASKED) {
        let sql = format!(
            "SELECT trial_name, {}, value FROM observation_logs
             WHERE metric_name = ? AND trial_name IN ({}) AND time IS NOT NULL ORDER BY time, id",
            session.dialect().katib_micros(),
            placeholders(names.len())
        );
        let names = names.iter().map(String::as_str);
        let args = std::iter::once(metric)
            .chain(names)
            .map(Arg::from)
            .collect();
        let mut records = session.fetch(&sql, args, &[Kind::Text, Kind::Int, Kind::Text]);
        while let Some(mut record) = records.try_next().await? {
            let value = summary::finite(&record.text(2)).unwrap_or(f64::NAN);
            let of_trial = rows.entry(record.text(0)).or_default();
            of_trial.push((record.int(1), value));
        }
    }
    let in_order = trials
        .iter()
        .filter_map(|name| Some((name, rows.remove(name)?)));
    Ok(in_order
        .map(|(name, rows)| drawn(name, rows.into_iter(), limit))
        .collect())
}
