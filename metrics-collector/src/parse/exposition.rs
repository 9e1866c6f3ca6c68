//! Metrics in what an endpoint shows: the text format of Prometheus (0.0.4, and quoted names of
//! 1.0.0) and OpenMetrics. Source: prometheus.io, "Exposition formats", "OpenMetrics".
//!
//! A metric `loss` is the sample of that name without labels; where all have labels, the one with
//! the latest time stamp, or the first. A metric `loss{phase="val"}` is the first sample of that
//! name that has these labels among its own.

use std::{borrow::Cow, iter::Peekable, str::Chars};

use diwan_api::{MetricLog, metrics_collector::CollectorPlan};
use jiff::Timestamp;

use super::stamp;

/// Finds the wanted metrics in one answer after another.
#[derive(Debug)]
pub struct ExpositionParser {
    metrics: Vec<Metric>,
    objective: String,
    objective_seen: bool,
}

#[derive(Debug)]
struct Metric {
    name: String,
    series: Series,
    /// The last value and its own time.
    last: Option<(String, Option<Timestamp>)>,
}

/// The name and labels of a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
}

#[derive(Debug)]
struct Sample<'a> {
    series: Series,
    value: &'a str,
    time: Option<Timestamp>,
}

impl ExpositionParser {
    /// Makes a parser for the metrics that a plan names.
    pub fn new(plan: &CollectorPlan) -> Self {
        let metric = |name: String| {
            let series = match series(&name) {
                Some((series, "")) => series,
                _ => Series {
                    name: name.clone(),
                    labels: Vec::new(),
                },
            };
            Metric {
                name,
                series,
                last: None,
            }
        };
        Self {
            metrics: super::names(plan).into_iter().map(metric).collect(),
            objective: plan.objective.clone(),
            objective_seen: false,
        }
    }

    /// Returns the rows of the metrics that have changed since the last answer: another value, or
    /// another time stamp of their own. `now` is the time of those that have none.
    pub fn read(&mut self, answer: &[u8], now: Timestamp) -> Vec<MetricLog> {
        let text = String::from_utf8_lossy(answer);
        let seconds = text.trim_end().ends_with("# EOF");
        let mut found: Vec<Option<Sample<'_>>> = self.metrics.iter().map(|_| None).collect();
        for line in text.lines() {
            // Most lines are of other metrics: no need to take them apart.
            let wanted = self
                .metrics
                .iter()
                .any(|metric| line.contains(&metric.series.name));
            if !wanted {
                continue;
            }
            let Some(sample) = sample(line, seconds) else {
                continue;
            };
            for (metric, best) in self.metrics.iter().zip(&mut found) {
                if metric.series.takes(&sample.series)
                    && best.as_ref().is_none_or(|best| better(&sample, best))
                {
                    *best = Some(Sample {
                        series: sample.series.clone(),
                        ..sample
                    });
                }
            }
        }
        let mut rows = Vec::new();
        for (metric, sample) in self.metrics.iter_mut().zip(found) {
            let Some(sample) = sample else { continue };
            let current = (sample.value.to_owned(), sample.time);
            if metric.last.as_ref() == Some(&current) {
                continue;
            }
            let time = stamp::print(sample.time.unwrap_or(now));
            rows.extend(super::row(&time, &metric.name, current.0.clone()));
            metric.last = Some(current);
            self.objective_seen |= metric.name == self.objective;
        }
        rows
    }

    /// Returns whether a row of the objective metric was returned.
    pub fn objective_seen(&self) -> bool {
        self.objective_seen
    }
}

impl Series {
    fn takes(&self, other: &Self) -> bool {
        self.name == other.name && self.labels.iter().all(|label| other.labels.contains(label))
    }
}

fn better(sample: &Sample<'_>, than: &Sample<'_>) -> bool {
    match (
        sample.series.labels.is_empty(),
        than.series.labels.is_empty(),
    ) {
        (true, false) => true,
        (false, true) => false,
        _ => sample.time > than.time,
    }
}

/// Returns the names of all samples of an answer, in their order.
pub(crate) fn names(answer: &str) -> impl Iterator<Item = String> {
    answer
        .lines()
        .filter_map(|line| sample(line, false))
        .map(|sample| sample.series.name)
}

/// Reads one line: `name{label="value",…} value [time] [# exemplar]`.
fn sample(line: &str, seconds: bool) -> Option<Sample<'_>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (series, rest) = series(line)?;
    let rest = rest.split_once(" # ").map_or(rest, |(rest, _)| rest);
    let mut parts = rest.split_ascii_whitespace();
    let value = parts.next().filter(|value| value.parse::<f64>().is_ok())?;
    let time = match parts.next() {
        Some(time) if seconds => Some(time_of(time.parse().ok()?)?),
        Some(time) => Some(Timestamp::from_millisecond(time.parse().ok()?).ok()?),
        None => None,
    };
    Some(Sample {
        series,
        value,
        time,
    })
}

fn time_of(seconds: f64) -> Option<Timestamp> {
    Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()
}

/// Reads a name and its labels; returns what follows them.
fn series(text: &str) -> Option<(Series, &str)> {
    let end = text
        .find(|c: char| c == '{' || c.is_ascii_whitespace())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut series = Series {
        name: name.to_owned(),
        labels: Vec::new(),
    };
    let behind = rest.trim_start();
    let rest = if let Some(labels) = behind.strip_prefix('{') {
        let mut chars = labels.chars().peekable();
        labels_of(&mut chars, &mut series)?;
        let left: usize = chars.map(char::len_utf8).sum();
        &labels[labels.len() - left..]
    } else {
        rest
    };
    (!series.name.is_empty()).then_some((series, rest))
}

/// Reads labels up to the closing brace. A quoted text without a value is the name.
fn labels_of(chars: &mut Peekable<Chars<'_>>, series: &mut Series) -> Option<()> {
    loop {
        while chars
            .next_if(|c| c.is_ascii_whitespace() || *c == ',')
            .is_some()
        {}
        let label = match chars.peek()? {
            '}' => {
                chars.next();
                return Some(());
            }
            '"' => quoted(chars)?,
            _ => {
                let mut label = String::new();
                while let Some(c) = chars.next_if(|c| !matches!(c, '=' | '}' | ',' | '"')) {
                    label.push(c);
                }
                label.trim_end().to_owned()
            }
        };
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        if chars.next_if_eq(&'=').is_some() {
            while chars.next_if(char::is_ascii_whitespace).is_some() {}
            series.labels.push((label, quoted(chars)?));
        } else if series.name.is_empty() {
            series.name = label;
        } else {
            return None;
        }
    }
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    chars.next_if_eq(&'"')?;
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                c => text.push(c),
            },
            c => text.push(c),
        }
    }
}

/// The part of a metric's name that stands before its labels.
pub(crate) fn plain_name(metric: &str) -> Cow<'_, str> {
    series(metric).map_or(Cow::Borrowed(metric), |(series, _)| Cow::Owned(series.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diwan_api::{MetricsCollectorSpec, ObjectiveType};
    use proptest::prelude::*;

    fn parser(metrics: &[&str]) -> ExpositionParser {
        ExpositionParser::new(&CollectorPlan {
            trial: "trial".into(),
            namespace: "default".into(),
            primary_container: "main".into(),
            objective: metrics[0].into(),
            additional: metrics[1..].iter().map(ToString::to_string).collect(),
            objective_type: ObjectiveType::Maximize,
            spec: MetricsCollectorSpec::default(),
            stop_rules: vec![],
        })
    }

    fn show(rows: &[MetricLog]) -> String {
        let rows = rows.iter().map(|row| {
            let time = row.time_stamp.strip_prefix("1970-01-01T00:00:00Z");
            let time = time.unwrap_or(&row.time_stamp);
            format!("{}={}{time}", row.name, row.value)
        });
        rows.collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(metrics: &[&str], answers: &[(&str, &str)]) {
        let mut parser = parser(metrics);
        for (answer, expected) in answers {
            let rows = parser.read(answer.as_bytes(), Timestamp::UNIX_EPOCH);
            assert_eq!(show(&rows), *expected, "{answer}");
        }
    }

    #[test]
    fn what_changes_is_reported() {
        let help = "# HELP loss The loss.\n# TYPE loss gauge\n";
        check(
            &["loss", "acc"],
            &[
                ("", ""),
                (&format!("{help}loss 0.5\nacc 1e-3\n"), "loss=0.5 acc=1e-3"),
                (&format!("{help}loss 0.5\r\nacc 2\r\n"), "acc=2"),
                ("acc 2\n", ""),
                ("loss NaN\nacc +Inf\n", "loss=NaN acc=+Inf"),
                ("loss NaN\n", ""),
                ("loss 1 1700000000123\n", "loss=12023-11-14T22:13:20.123Z"),
                ("loss 1 1700000000123\n", ""),
                ("loss 1 1700000001123\n", "loss=12023-11-14T22:13:21.123Z"),
                (
                    "loss 1 1700000002.5\n# EOF\n",
                    "loss=12023-11-14T22:13:22.5Z",
                ),
                ("lossy 1\nmy_loss 2\nloss\nloss x\nloss 3 soon\n", ""),
            ],
        );
    }

    #[test]
    fn labels_choose_a_series() {
        let answer =
            "loss{phase=\"train\",fold=\"1\"} 1\nloss{ phase = \"val\" , fold=\"2\", } 2\n";
        check(&["loss"], &[(answer, "loss=1")]);
        check(
            &["loss{phase=\"val\"}"],
            &[(answer, "loss{phase=\"val\"}=2")],
        );
        check(&["loss{phase=\"test\"}"], &[(answer, "")]);
        let plain = format!("{answer}loss 3\nloss{{a=\"b\"}} 4\n");
        check(&["loss"], &[(&plain, "loss=3")]);
        let timed = "loss{a=\"1\"} 1 1000\nloss{a=\"2\"} 2 3000\nloss{a=\"3\"} 3 2000\n";
        check(&["loss"], &[(timed, "loss=21970-01-01T00:00:03Z")]);
        let escaped = "loss{a=\"} \\\" \\\\ \\n\"} 5 # {id=\"x\"} 0.1\n";
        check(&["loss"], &[(escaped, "loss=5")]);
        let quoted = "{\"val/loss\", a=\"b\"} 6\n";
        check(&["val/loss", "acc"], &[(quoted, "val/loss=6")]);
        check(
            &["job:loss:mean"],
            &[("job:loss:mean 7", "job:loss:mean=7")],
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[lo{}\"\\\\=, a1.#\ne+é]{0,60}") {
            let rows = parser(&["lo", "a{l=\"o\"}"]).read(text.as_bytes(), Timestamp::UNIX_EPOCH);
            prop_assert!(rows.iter().all(|row| row.value.parse::<f64>().is_ok()));
        }
    }
}
