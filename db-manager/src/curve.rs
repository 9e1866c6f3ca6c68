//! One metric of one trial as points to draw, thinned out without losing its shape.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::summary::TallyRow;

/// The values of one metric of one trial over its reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Name of the trial.
    pub trial: String,
    /// Finite values in the order of their time.
    pub points: Vec<CurvePoint>,
}

/// One value of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Number of the report among those of its metric, from 0; values that are no finite numbers
    /// count too, so that gaps stay visible.
    pub step: u64,
    /// Microseconds since 1970.
    pub time: i64,
    /// The value.
    pub value: f64,
}

/// Curves that were drawn before. A curve is drawn anew when the tally of its series has changed,
/// which databases keep together with the rows; so those of trials that have ended are drawn once.
#[derive(Debug, Default)]
pub(crate) struct CurveCache {
    drawn: Mutex<HashMap<(i64, usize), (TallyRow, Curve)>>,
}

impl CurveCache {
    /// How many curves are kept; with 200 points each they take about 50 MB.
    const CURVES: usize = 10_000;

    /// Returns the curve of a series as it was drawn from rows with this tally.
    pub(crate) fn get(&self, key: (i64, usize), tally: &TallyRow, trial: &str) -> Option<Curve> {
        let drawn = self.lock();
        let (of, curve) = drawn.get(&key)?;
        (of == tally && curve.trial == trial).then(|| curve.clone())
    }

    /// Keeps a curve. `tally` was read before its rows.
    pub(crate) fn put(&self, key: (i64, usize), tally: TallyRow, curve: &Curve) {
        let mut drawn = self.lock();
        if drawn.len() >= Self::CURVES {
            drawn.clear();
        }
        drawn.insert(key, (tally, curve.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(i64, usize), (TallyRow, Curve)>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps `limit` points (at least 2) that draw nearly the same line: the first, the last, and from
/// each stretch between them the point that spans the largest triangle with its neighbours
/// (Steinarsson 2013, largest triangle three buckets). Fewer points come back unchanged.
pub(crate) fn thin(points: Vec<CurvePoint>, limit: usize) -> Vec<CurvePoint> {
    let limit = limit.max(2);
    if points.len() <= limit {
        return points;
    }
    let buckets = limit - 2;
    // Inner points are spread over the buckets; bucket i covers bounds(i)..bounds(i + 1).
    let bound = |i: usize| 1 + i * (points.len() - 2) / buckets.max(1);
    let mut kept = Vec::with_capacity(limit);
    kept.push(points[0]);
    for i in 0..buckets {
        let next = if i + 1 < buckets {
            centre(&points[bound(i + 1)..bound(i + 2)])
        } else {
            centre(&points[points.len() - 1..])
        };
        let left = kept[kept.len() - 1];
        let bucket = &points[bound(i)..bound(i + 1)];
        let widest = bucket
            .iter()
            .max_by(|a, b| triangle(left, **a, next).total_cmp(&triangle(left, **b, next)));
        kept.extend(widest);
    }
    kept.push(points[points.len() - 1]);
    kept
}

fn centre(points: &[CurvePoint]) -> (f64, f64) {
    let n = points.len() as f64;
    let (x, y) = points
        .iter()
        .fold((0.0, 0.0), |(x, y), p| (x + p.step as f64, y + p.value));
    (x / n, y / n)
}

/// Twice the area of the triangle.
fn triangle(a: CurvePoint, b: CurvePoint, c: (f64, f64)) -> f64 {
    let (ax, bx) = (a.step as f64, b.step as f64);
    ((ax - c.0) * (b.value - a.value) - (ax - bx) * (c.1 - a.value)).abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curve(values: impl IntoIterator<Item = f64>) -> Vec<CurvePoint> {
        let numbered = values.into_iter().zip(0..);
        numbered
            .map(|(value, step)| CurvePoint {
                step,
                time: step as i64,
                value,
            })
            .collect()
    }

    #[test]
    fn a_spike_survives() {
        let flat = (0..1000).map(|i| if i == 423 { 50.0 } else { 1.0 });
        let kept = thin(curve(flat), 20);
        assert_eq!(kept.len(), 20);
        assert!(kept.iter().any(|p| p.step == 423));
    }

    #[test]
    fn a_curve_is_kept_until_its_tally_changes() {
        let tally = |count| TallyRow {
            count,
            min: None,
            max: None,
            first: 0,
            latest: 1,
            value: "1".into(),
        };
        let cache = CurveCache::default();
        let drawn = Curve {
            trial: "t".into(),
            points: curve([1.0, 2.0]),
        };
        cache.put((7, 200), tally(2), &drawn);
        assert_eq!(cache.get((7, 200), &tally(2), "t"), Some(drawn));
        assert_eq!(cache.get((7, 200), &tally(3), "t"), None);
        assert_eq!(cache.get((7, 200), &tally(2), "another"), None);
        assert_eq!(cache.get((7, 100), &tally(2), "t"), None);
        for series in 0..CurveCache::CURVES as i64 {
            let empty = Curve {
                trial: "t".into(),
                points: Vec::new(),
            };
            cache.put((series, 100), tally(0), &empty);
        }
        assert!(cache.lock().len() <= CurveCache::CURVES);
    }

    proptest! {
        #[test]
        fn thinning_keeps_the_ends_the_order_and_the_limit(
            values in proptest::collection::vec(-1e6..1e6, 0..400usize), limit in 0..50usize,
        ) {
            let all = curve(values);
            let kept = thin(all.clone(), limit);
            prop_assert_eq!(kept.len(), all.len().min(limit.max(2)));
            prop_assert_eq!(kept.first(), all.first());
            prop_assert_eq!(kept.last(), all.last());
            prop_assert!(kept.windows(2).all(|w| w[0].step < w[1].step));
        }
    }
}
