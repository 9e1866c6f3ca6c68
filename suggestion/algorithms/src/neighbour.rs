//! Small steps through a space.

use diwan_api::search_space::Value;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use crate::axis::Axis;
use crate::math::normal;

/// How far steps along a number go, in parts of its range: anything between, evenly in the
/// logarithm.
const REACH: (f64, f64) = (0.03, 0.4);
/// How often a step that led nowhere is made anew.
const ATTEMPTS: usize = 16;

/// Dimensions that have more than one value.
pub(crate) fn varied(axes: &[Axis]) -> Vec<usize> {
    let varied = |place: &usize| axes[*place].count() != Some(1);
    (0..axes.len()).filter(varied).collect()
}

/// Another value: any other of a list without order, one nearby of numbers.
pub(crate) fn step(axis: &Axis, value: Value, rng: &mut Pcg64Mcg) -> Value {
    if let Some(count) = axis.count().filter(|n| *n <= 2 || !axis.is_ordered()) {
        let here = axis.index(value).unwrap_or_default();
        let ahead = 1 + rng.random_range(0..count.max(2) - 1);
        return axis.at_index((here + ahead) % count);
    }
    let (shortest, longest) = REACH;
    let here = axis.position(value);
    for _ in 0..ATTEMPTS {
        let reach = shortest * (longest / shortest).powf(rng.random());
        let there = here + reach * normal::quantile(rng.random_range(1e-9..1.0));
        // A step beyond an end comes back inside.
        let there = if there < 0.0 { -there } else { there };
        let there = if there > 1.0 { 2.0 - there } else { there };
        let next = axis.at_position(there);
        if next != value {
            return next;
        }
    }
    value
}

/// A point with one value changed.
pub(crate) fn changed(
    axes: &[Axis],
    varied: &[usize],
    point: &[Value],
    rng: &mut Pcg64Mcg,
) -> Vec<Value> {
    let mut point = point.to_vec();
    if !varied.is_empty() {
        let place = varied[rng.random_range(0..varied.len())];
        point[place] = step(&axes[place], point[place], rng);
    }
    point
}
