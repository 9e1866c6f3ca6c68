//! What a trial reported, and what it was reduced to.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ObjectiveSpec, StrategyKind, metadata::UNAVAILABLE};

/// One value of one metric at one time, as it is stored and sent. Values are opaque text:
/// `0.98`, `NaN`, `unavailable`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricLog {
    /// RFC 3339 with up to nine decimals, UTC; [`crate::metadata::ZERO_TIME`] when not known.
    pub time_stamp: String,
    /// Name of the metric.
    pub name: String,
    /// Value, as the trial wrote it.
    pub value: String,
}

/// An observation log reduced to numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Observation {
    /// One entry for each metric that has a strategy, the objective first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
}

/// What a metric's values were reduced to. Text as the trial wrote it, or `unavailable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Metric {
    /// Name of the metric.
    pub name: String,
    /// Smallest value.
    pub min: String,
    /// Largest value.
    pub max: String,
    /// Value with the latest time stamp.
    pub latest: String,
}

/// Reduces an observation log to one entry for each metric of the objective that has a strategy,
/// the objective first. Texts stay as the trial wrote them. Only finite numbers count for `min`
/// and `max`; `latest` is the value with the greatest time stamp, of equal ones the later row,
/// whatever its text. A row whose time stamp can't be read counts as older than all others.
pub fn observe(logs: &[MetricLog], objective: &ObjectiveSpec) -> Observation {
    let named = |name: &&str| !name.is_empty() && objective.strategy(name).is_some();
    let metrics = objective
        .metric_names()
        .filter(named)
        .map(|name| reduce(name, logs))
        .collect();
    Observation { metrics }
}

fn reduce(name: &str, logs: &[MetricLog]) -> Metric {
    let mut min: Option<(f64, &str)> = None;
    let mut max: Option<(f64, &str)> = None;
    let mut latest: Option<(Option<Timestamp>, &str)> = None;
    for log in logs
        .iter()
        .filter(|l| l.name == name && l.value != UNAVAILABLE)
    {
        let time = log.time_stamp.parse().ok();
        if latest.is_none_or(|(newest, _)| time >= newest) {
            latest = Some((time, &log.value));
        }
        if let Some(x) = finite(&log.value) {
            if min.is_none_or(|(least, _)| x < least) {
                min = Some((x, &log.value));
            }
            if max.is_none_or(|(greatest, _)| x > greatest) {
                max = Some((x, &log.value));
            }
        }
    }
    let text = |value: Option<&str>| value.unwrap_or(UNAVAILABLE).to_owned();
    Metric {
        name: name.to_owned(),
        min: text(min.map(|(_, text)| text)),
        max: text(max.map(|(_, text)| text)),
        latest: text(latest.map(|(_, text)| text)),
    }
}

/// The number that stands for the objective metric, by its strategy. `None` when it is not there
/// or not finite, so that such a trial can never become the best.
pub fn objective_value(observation: &Observation, objective: &ObjectiveSpec) -> Option<f64> {
    let name = &objective.objective_metric_name;
    finite(observation.metric(name)?.value(objective.strategy(name)?))
}

impl Observation {
    /// The entry of a metric.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|m| m.name == name)
    }

    /// Whether the objective metric was reported at all, be it as something that is no number.
    pub fn is_available(&self, objective: &ObjectiveSpec) -> bool {
        self.metric(&objective.objective_metric_name)
            .is_some_and(|m| m.latest != UNAVAILABLE)
    }
}

impl Metric {
    /// The text that counts by a strategy: `latest` where there is no minimum or maximum, the
    /// empty text for a strategy that is not known.
    pub fn value(&self, strategy: &StrategyKind) -> &str {
        match strategy {
            StrategyKind::Min if self.min != UNAVAILABLE => &self.min,
            StrategyKind::Max if self.max != UNAVAILABLE => &self.max,
            StrategyKind::Min | StrategyKind::Max | StrategyKind::Latest => &self.latest,
            StrategyKind::Other(_) => "",
        }
    }
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|x: &f64| x.is_finite())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::{Metric, MetricLog, Observation, objective_value, observe};
    use crate::{MetricStrategy, ObjectiveSpec, StrategyKind, metadata::ZERO_TIME};

    fn objective(strategy: StrategyKind) -> ObjectiveSpec {
        ObjectiveSpec {
            objective_metric_name: "loss".into(),
            additional_metric_names: vec!["accuracy".into(), "ignored".into()],
            metric_strategies: vec![
                MetricStrategy {
                    name: "accuracy".into(),
                    value: StrategyKind::Max,
                },
                MetricStrategy {
                    name: "loss".into(),
                    value: strategy,
                },
            ],
            ..ObjectiveSpec::default()
        }
    }

    fn logs(rows: &[(&str, &str, &str)]) -> Vec<MetricLog> {
        let log = |&(time_stamp, name, value): &(&str, &str, &str)| MetricLog {
            time_stamp: time_stamp.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        rows.iter().map(log).collect()
    }

    fn metric(name: &str, min: &str, max: &str, latest: &str) -> Metric {
        Metric {
            name: name.into(),
            min: min.into(),
            max: max.into(),
            latest: latest.into(),
        }
    }

    #[track_caller]
    fn check(rows: &[(&str, &str, &str)], loss: Metric, accuracy: Metric) {
        let observation = observe(&logs(rows), &objective(StrategyKind::Min));
        assert_eq!(
            observation,
            Observation {
                metrics: vec![loss, accuracy]
            }
        );
    }

    const T1: &str = "2026-01-01T00:00:01Z";
    const T2: &str = "2026-01-01T00:00:02.5Z";

    #[test]
    fn keeps_texts_and_the_objective_first() {
        let none = "unavailable";
        check(
            &[],
            metric("loss", none, none, none),
            metric("accuracy", none, none, none),
        );
        check(
            &[
                (T1, "accuracy", "0.50"),
                (T2, "loss", "1e-1"),
                (T1, "loss", "0.20"),
                (T1, "x", "1"),
            ],
            metric("loss", "1e-1", "0.20", "1e-1"),
            metric("accuracy", "0.50", "0.50", "0.50"),
        );
    }

    #[test]
    fn of_equal_times_the_later_row_is_latest() {
        check(
            &[
                (ZERO_TIME, "loss", "3"),
                (ZERO_TIME, "loss", "1"),
                ("soon", "accuracy", "1"),
                (ZERO_TIME, "accuracy", "2"),
                ("later", "accuracy", "3"),
            ],
            metric("loss", "1", "3", "1"),
            metric("accuracy", "1", "3", "2"),
        );
    }

    #[test]
    fn what_is_no_finite_number_is_latest_at_most() {
        check(
            &[
                (T1, "loss", "NaN"),
                (T1, "accuracy", "0.1"),
                (T2, "accuracy", "inf"),
                (T2, "loss", ""),
            ],
            metric("loss", "unavailable", "unavailable", ""),
            metric("accuracy", "0.1", "0.1", "inf"),
        );
        check(
            &[(T1, "loss", "2"), (T2, "loss", "unavailable")],
            metric("loss", "2", "2", "2"),
            metric("accuracy", "unavailable", "unavailable", "unavailable"),
        );
    }

    #[test]
    fn the_value_that_counts_follows_the_strategy() {
        let observation = observe(
            &logs(&[(T1, "loss", "1"), (T1, "loss", "3"), (T2, "loss", "2")]),
            &objective(StrategyKind::Min),
        );
        let value = |strategy| objective_value(&observation, &objective(strategy));
        assert_eq!(value(StrategyKind::Min), Some(1.0));
        assert_eq!(value(StrategyKind::Max), Some(3.0));
        assert_eq!(value(StrategyKind::Latest), Some(2.0));
        assert_eq!(value(StrategyKind::Other("mean".into())), None);
        let nan = observe(&logs(&[(T1, "loss", "nan")]), &objective(StrategyKind::Max));
        assert_eq!(objective_value(&nan, &objective(StrategyKind::Max)), None);
        assert!(nan.is_available(&objective(StrategyKind::Max)));
        assert!(
            !observe(&[], &objective(StrategyKind::Max))
                .is_available(&objective(StrategyKind::Max))
        );
    }
}
