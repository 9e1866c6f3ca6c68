//! Metrics as numbers: what a trial was reduced to, and the curve it came from.

use std::cmp::Ordering;

use diwan_api::{
    Metric, MetricLog, ObjectiveSpec, ObjectiveType, Observation, StrategyKind, metadata::ZERO_TIME,
};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::observation::TrialMetric;

/// The value that stands for a metric of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct MetricValue {
    /// Name of the metric.
    pub name: String,
    /// Its value; null when it is not a finite number.
    pub value: Option<f64>,
    /// Its value as the trial wrote it, such as `0.98`, `NaN` or `unavailable`.
    pub text: String,
}

/// The values of one metric over time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct MetricSeries {
    /// Name of the metric.
    pub name: String,
    /// Its finite values, thinned out to the requested number.
    pub points: Vec<MetricPoint>,
    /// How many values were reported in all.
    pub reported: usize,
}

/// One metric of the trials of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TrialMetricList {
    /// Name of the metric.
    pub metric: String,
    /// The trials that reported it, oldest first.
    pub items: Vec<TrialMetricRow>,
}

/// One metric of one trial.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TrialMetricRow {
    /// Name of the trial.
    pub trial: String,
    /// How many values were reported in all.
    pub reported: u64,
    /// The smallest number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// The value that was reported last, as the trial wrote it.
    pub latest: String,
    /// Which reports the values are, counted from 0.
    pub steps: Vec<u64>,
    /// Finite values, thinned out to the requested number.
    pub values: Vec<f64>,
}

impl From<TrialMetric> for TrialMetricRow {
    fn from(metric: TrialMetric) -> Self {
        let (steps, values) = metric.points.into_iter().unzip();
        Self {
            trial: metric.trial,
            reported: metric.reported,
            min: metric.min,
            max: metric.max,
            latest: metric.latest,
            steps,
            values,
        }
    }
}

/// One reported value.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct MetricPoint {
    /// Which report of this metric it was, counted from 0.
    pub step: usize,
    /// When it was reported; null when not known.
    pub time: Option<Timestamp>,
    /// The value.
    pub value: f64,
}

/// Parses a metric's text; NaN, infinities and words are not numbers that can be compared.
pub(crate) fn finite(text: &str) -> Option<f64> {
    text.trim()
        .parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
}

/// Reduces an observation to one value for each metric, by the strategies of the objective.
pub(crate) fn values(observation: &Observation, objective: &ObjectiveSpec) -> Vec<MetricValue> {
    let value = |metric: &Metric| {
        let text = chosen(metric, objective).clone();
        MetricValue {
            name: metric.name.clone(),
            value: finite(&text),
            text,
        }
    };
    observation.metrics.iter().map(value).collect()
}

fn chosen<'a>(metric: &'a Metric, objective: &ObjectiveSpec) -> &'a String {
    match strategy(&metric.name, objective) {
        StrategyKind::Min => &metric.min,
        StrategyKind::Max => &metric.max,
        StrategyKind::Latest | StrategyKind::Other(_) => &metric.latest,
    }
}

/// Returns the strategy that is given for a metric, or the one that defaulting would set.
fn strategy(metric: &str, objective: &ObjectiveSpec) -> StrategyKind {
    if let Some(given) = objective.strategy(metric) {
        return given.clone();
    }
    match objective.type_ {
        Some(ObjectiveType::Minimize) => StrategyKind::Min,
        Some(ObjectiveType::Maximize) => StrategyKind::Max,
        Some(ObjectiveType::Other(_)) | None => StrategyKind::Latest,
    }
}

/// Sorts an observation log into one series for each metric, in order of first appearance, each
/// with at most `limit` points.
pub(crate) fn series(rows: &[MetricLog], limit: usize) -> Vec<MetricSeries> {
    let mut by_name = IndexMap::<&str, (usize, Vec<MetricPoint>)>::new();
    for row in rows {
        let (reported, points) = by_name.entry(&row.name).or_default();
        let step = *reported;
        *reported += 1;
        if let Some(value) = finite(&row.value) {
            points.push(MetricPoint {
                step,
                time: time(&row.time_stamp),
                value,
            });
        }
    }
    let named = |(name, (reported, points)): (&str, (usize, Vec<MetricPoint>))| MetricSeries {
        name: name.to_owned(),
        points: thin(points, limit),
        reported,
    };
    by_name.into_iter().map(named).collect()
}

fn time(text: &str) -> Option<Timestamp> {
    if text == ZERO_TIME {
        None
    } else {
        text.parse().ok()
    }
}

/// Thins a curve out: of each stretch the smallest and the largest value stay, so that no spike is
/// lost, and the first and the last point.
fn thin(points: Vec<MetricPoint>, limit: usize) -> Vec<MetricPoint> {
    if points.len() <= limit || limit < 4 {
        return points;
    }
    let inner = &points[1..points.len() - 1];
    let stretch = inner.len().div_ceil((limit - 2) / 2);
    let mut kept = vec![points[0].clone()];
    for part in inner.chunks(stretch) {
        kept.extend(extremes(part));
    }
    kept.extend(points.last().cloned());
    kept
}

fn extremes(part: &[MetricPoint]) -> impl Iterator<Item = MetricPoint> {
    let by_value = |a: &&MetricPoint, b: &&MetricPoint| {
        a.value.partial_cmp(&b.value).unwrap_or(Ordering::Equal)
    };
    let low = part.iter().min_by(by_value);
    let high = part
        .iter()
        .max_by(by_value)
        .filter(|high| Some(*high) != low);
    let mut both = low.into_iter().chain(high).cloned().collect::<Vec<_>>();
    both.sort_by_key(|point| point.step);
    both.into_iter()
}

#[cfg(test)]
mod tests {
    use diwan_api::MetricStrategy;
    use proptest::prelude::*;

    use super::*;

    fn row(name: &str, time_stamp: &str, value: &str) -> MetricLog {
        MetricLog {
            time_stamp: time_stamp.into(),
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn words_and_infinities_are_not_numbers() {
        for (text, value) in [
            ("0.98", Some(0.98)),
            (" 1e-3 ", Some(0.001)),
            ("NaN", None),
            ("inf", None),
            ("unavailable", None),
            ("", None),
        ] {
            assert_eq!(finite(text), value, "{text:?}");
        }
    }

    #[test]
    fn each_metric_follows_its_strategy() {
        let metric = |name: &str| Metric {
            name: name.into(),
            min: "1".into(),
            max: "3".into(),
            latest: "2".into(),
        };
        let observation = Observation {
            metrics: ["loss", "speed", "epoch"].map(metric).into(),
        };
        let strategy = |name: &str, value| MetricStrategy {
            name: name.into(),
            value,
        };
        let objective = ObjectiveSpec {
            type_: Some(ObjectiveType::Minimize),
            objective_metric_name: "loss".into(),
            metric_strategies: vec![
                strategy("speed", StrategyKind::Max),
                strategy("epoch", StrategyKind::Latest),
            ],
            ..ObjectiveSpec::default()
        };
        let texts = values(&observation, &objective)
            .into_iter()
            .map(|value| value.text);
        assert_eq!(texts.collect::<Vec<_>>(), ["1", "3", "2"]);
    }

    #[test]
    fn a_log_becomes_one_series_per_metric() {
        let rows = [
            row("loss", "2026-01-01T00:00:00.5Z", "2"),
            row("accuracy", ZERO_TIME, "0.1"),
            row("loss", "2026-01-01T00:00:01Z", "NaN"),
            row("loss", "2026-01-01T00:00:02Z", "1"),
        ];
        let series = series(&rows, 100);
        let shape = series
            .iter()
            .map(|s| (s.name.as_str(), s.reported, s.points.len()));
        assert_eq!(
            shape.collect::<Vec<_>>(),
            [("loss", 3, 2), ("accuracy", 1, 1)]
        );
        assert_eq!(
            series[0].points[1].step, 2,
            "a value that is no number still counts"
        );
        assert_eq!(series[1].points[0].time, None);
    }

    proptest! {
        #[test]
        fn thinning_keeps_the_ends_and_the_extremes(
            values in prop::collection::vec(-1e6..1e6_f64, 1..600),
            limit in 4_usize..100,
        ) {
            let points = values.iter().enumerate();
            let points = points.map(|(step, value)| MetricPoint { step, time: None, value: *value });
            let points = points.collect::<Vec<_>>();
            let kept = thin(points.clone(), limit);
            prop_assert!(kept.len() <= limit);
            prop_assert_eq!(kept.first(), points.first());
            prop_assert_eq!(kept.last(), points.last());
            prop_assert!(kept.is_sorted_by(|a, b| a.step < b.step));
            let range = |points: &[MetricPoint]| points.iter().fold(
                (f64::INFINITY, f64::NEG_INFINITY),
                |(low, high), point| (low.min(point.value), high.max(point.value)),
            );
            prop_assert_eq!(range(&kept), range(&points));
        }
    }
}
