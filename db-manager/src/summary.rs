//! One metric of one trial in a line: for tables that people read.

use diwan_api::MetricLog;

/// What one metric of one trial amounts to. Values are text as the trial wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Name of the trial.
    pub trial: String,
    /// Name of the metric.
    pub metric: String,
    /// How many values were reported, whatever they are.
    pub count: u64,
    /// The smallest finite number; none when there is no such value.
    pub min: Option<String>,
    /// The largest finite number; none when there is no such value.
    pub max: Option<String>,
    /// The value with the latest time stamp; of equal ones, the last reported.
    pub latest: String,
    /// The earliest time stamp, RFC 3339 in UTC.
    pub first_time: String,
    /// The latest time stamp, RFC 3339 in UTC.
    pub last_time: String,
}

/// Reduces the log of one trial to one line per metric, in the order in which metrics first
/// occur. Rows of one metric come in the order of their time.
pub(crate) fn summarize(trial: &str, rows: Vec<MetricLog>) -> Vec<Summary> {
    let mut lines: Vec<Fold> = Vec::new();
    for row in rows {
        match lines
            .iter_mut()
            .find(|line| line.summary.metric == row.name)
        {
            Some(line) => line.add(row),
            None => lines.push(Fold::new(trial, row)),
        }
    }
    lines.into_iter().map(|line| line.summary).collect()
}

/// The number that a value is, if it is finite.
pub(crate) fn finite(value: &str) -> Option<f64> {
    value
        .trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

struct Fold {
    summary: Summary,
    min: f64,
    max: f64,
}

impl Fold {
    fn new(trial: &str, row: MetricLog) -> Self {
        let summary = Summary {
            trial: trial.to_owned(),
            metric: row.name.clone(),
            first_time: row.time_stamp.clone(),
            ..Summary::default()
        };
        let mut fold = Self {
            summary,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        };
        fold.add(row);
        fold
    }

    fn add(&mut self, row: MetricLog) {
        let line = &mut self.summary;
        line.count += 1;
        if let Some(number) = finite(&row.value) {
            if number < self.min {
                self.min = number;
                line.min = Some(row.value.clone());
            }
            if number > self.max {
                self.max = number;
                line.max = Some(row.value.clone());
            }
        }
        line.last_time = row.time_stamp;
        line.latest = row.value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(second: u32, name: &str, value: &str) -> MetricLog {
        MetricLog {
            time_stamp: format!("2026-01-01T00:00:{second:02}Z"),
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn min_and_max_are_of_finite_numbers_and_latest_is_any_text() {
        let rows = vec![
            row(1, "loss", "NaN"),
            row(2, "loss", "0.50"),
            row(2, "acc", "unavailable"),
            row(3, "loss", "-inf"),
            row(4, "loss", "2e-1"),
            row(5, "loss", "nan"),
        ];
        let lines = summarize("t", rows);
        let expected = Summary {
            trial: "t".into(),
            metric: "loss".into(),
            count: 5,
            min: Some("2e-1".into()),
            max: Some("0.50".into()),
            latest: "nan".into(),
            first_time: "2026-01-01T00:00:01Z".into(),
            last_time: "2026-01-01T00:00:05Z".into(),
        };
        assert_eq!(lines[0], expected);
        assert_eq!(
            (lines[1].min.as_ref(), lines[1].latest.as_str()),
            (None, "unavailable")
        );
        assert_eq!(lines.len(), 2);
    }
}
