//! Metrics in TensorFlow event files: scalars and tensors of one element, each with its wall time.
//! Source: TensorFlow, `core/util/event.proto`.

mod record;
mod scalar;
mod series;
mod wire;

use std::collections::HashMap;

use diwan_api::{MetricLog, metrics_collector::CollectorPlan};
use jiff::Timestamp;

pub use record::Damage;
use record::Records;
use wire::{Fields, Wire};

/// How many tags a file may have before those that came first are forgotten.
const TAGS: usize = 10_000;

/// Reads the rows of the wanted metrics out of one event file.
#[derive(Debug)]
pub struct EventParser {
    records: Records,
    series: Series,
    objective: String,
    objective_seen: bool,
}

impl EventParser {
    /// Makes a parser for the metrics that a plan names, in a file of a folder, from a byte on that
    /// is between two records.
    pub fn new(plan: &CollectorPlan, folder: &str, offset: u64) -> Self {
        Self {
            records: Records::at(offset),
            series: Series {
                names: super::names(plan),
                folder: folder.to_owned(),
                tags: HashMap::new(),
                second: (i64::MIN, String::new()),
            },
            objective: plan.objective.clone(),
            objective_seen: false,
        }
    }

    /// Takes the next bytes of the file and returns the rows of the records that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<MetricLog> {
        let mut rows = Vec::new();
        let series = &mut self.series;
        self.records
            .push(bytes, &mut |event| series.event(event, &mut rows));
        self.objective_seen |= rows.iter().any(|row| row.name == self.objective);
        rows
    }

    /// Returns the byte of the file behind the records that were read.
    pub fn settled(&self) -> u64 {
        self.records.settled()
    }

    /// Returns whether a row of the objective metric was returned.
    pub fn objective_seen(&self) -> bool {
        self.objective_seen
    }

    /// Returns where the file was first found damaged.
    pub fn damage(&self) -> Option<Damage> {
        self.records.damage()
    }

    /// Returns the tags of scalars that were met.
    pub fn tags(&self) -> impl Iterator<Item = String> {
        let tags = self.series.tags.keys();
        tags.map(|tag| String::from_utf8_lossy(tag).into_owned())
    }
}

#[derive(Debug)]
struct Series {
    names: Vec<String>,
    folder: String,
    /// Which of the names each tag stands for.
    tags: HashMap<Box<[u8]>, Vec<usize>>,
    /// The second of the last row, and how it is printed.
    second: (i64, String),
}

impl Series {
    fn event(&mut self, event: &[u8], rows: &mut Vec<MetricLog>) {
        let mut time = 0.0;
        for (field, value) in Fields(event) {
            match (field, value) {
                (1, Wire::Eight(bytes)) => time = f64::from_le_bytes(bytes),
                (5, Wire::Bytes(summary)) => {
                    for (field, value) in Fields(summary) {
                        if let (1, Wire::Bytes(value)) = (field, value) {
                            self.value(value, time, rows);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn value(&mut self, value: &[u8], time: f64, rows: &mut Vec<MetricLog>) {
        let (mut tag, mut scalar, mut tensor): (&[u8], _, _) = (&[], None, None);
        for (field, value) in Fields(value) {
            match (field, value) {
                (1, Wire::Bytes(bytes)) => tag = bytes,
                (2, Wire::Four(bytes)) => scalar = Some(f32::from_le_bytes(bytes)),
                (8, Wire::Bytes(message)) => tensor = Some(message),
                _ => {}
            }
        }
        if scalar.is_none() && tensor.is_none() {
            return;
        }
        if !self.tags.contains_key(tag) {
            self.learn(tag);
        }
        let Some(metrics) = self.tags.get(tag).filter(|metrics| !metrics.is_empty()) else {
            return;
        };
        let value = match (scalar, tensor) {
            (Some(scalar), _) => Some(scalar::float(scalar)),
            (None, Some(tensor)) => scalar::tensor(tensor),
            (None, None) => None,
        };
        let Some(value) = value else { return };
        let Some(time) = print(time, &mut self.second) else {
            return;
        };
        for metric in metrics {
            rows.extend(super::row(&time, &self.names[*metric], value.clone()));
        }
    }

    fn learn(&mut self, tag: &[u8]) {
        let text = String::from_utf8_lossy(tag);
        let metrics = self.names.iter().enumerate();
        let metrics = metrics
            .filter(|(_, name)| series::is_metric(name, &self.folder, &text))
            .map(|(at, _)| at)
            .collect();
        if self.tags.len() == TAGS {
            self.tags.clear();
        }
        self.tags.insert(tag.into(), metrics);
    }
}

/// Prints seconds since 1970 with microseconds, which is how exact the writers' clock is.
fn print(seconds: f64, last: &mut (i64, String)) -> Option<String> {
    let micros = (seconds * 1e6).round() as i64;
    let (second, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    if last.0 != second {
        let mut text = Timestamp::from_second(second).ok()?.to_string();
        text.truncate(text.len() - 1);
        *last = (second, text);
    }
    if fraction == 0 {
        return Some(format!("{}Z", last.1));
    }
    let digits = format!("{fraction:06}");
    Some(format!("{}.{}Z", last.1, digits.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_times_are_printed_with_microseconds() {
        let mut last = (i64::MIN, String::new());
        for (seconds, expected) in [
            (1_638_422_847.287_21, Some("2021-12-02T05:27:27.28721Z")),
            (1_638_422_847.0, Some("2021-12-02T05:27:27Z")),
            (1_638_422_847.000_001, Some("2021-12-02T05:27:27.000001Z")),
            (0.0, Some("1970-01-01T00:00:00Z")),
            (f64::NAN, Some("1970-01-01T00:00:00Z")),
            (1e300, None),
        ] {
            assert_eq!(print(seconds, &mut last).as_deref(), expected);
        }
    }
}
