//! One dimension as algorithms see it.
//!
//! A *position* is a place between 0 and 1 along the dimension, linear in the value or, for the
//! logarithmic scales, in its logarithm. Every value of a dimension with steps owns the cell of
//! positions around it, out to half a step beyond the ends, so that evenly drawn positions reach
//! both ends as often as any other value. An *index* counts the values of a finite dimension.

use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Scale, Value};

use crate::math::normal::UnitNormal;

/// The deviation of the normal scales, in positions.
pub(crate) const BELL_DEVIATION: f64 = 1.0 / 6.0;

/// One dimension of the search space.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    domain: Domain,
    count: Option<u64>,
    low: f64,
    high: f64,
    step: f64,
    first: f64,
    logarithmic: bool,
    bell: Option<UnitNormal>,
    /// The list's indices by rising number; empty unless the domain is discrete.
    by_rank: Vec<usize>,
}

/// The dimensions of a space.
pub(crate) fn axes(space: &SearchSpace) -> Vec<Axis> {
    space
        .parameters
        .iter()
        .map(|p| Axis::new(p.domain.clone()))
        .collect()
}

impl Axis {
    fn new(domain: Domain) -> Self {
        let (min, max, step, scale) = match &domain {
            Domain::Double {
                min,
                max,
                step,
                scale,
            } => (*min, *max, *step, *scale),
            Domain::Int {
                min,
                max,
                step,
                scale,
            } => (*min as f64, *max as f64, Some(*step as f64), *scale),
            Domain::Discrete(_) | Domain::Categorical(_) => (0.0, 1.0, None, Scale::Uniform),
        };
        let by_rank = match &domain {
            Domain::Discrete(list) => {
                let mut by_rank: Vec<usize> = (0..list.len()).collect();
                by_rank.sort_by(|a, b| list[*a].0.total_cmp(&list[*b].0));
                by_rank
            }
            _ => Vec::new(),
        };
        let count = if min == max {
            Some(1)
        } else {
            domain.cardinality()
        };
        let logarithmic = matches!(scale, Scale::LogUniform | Scale::LogNormal) && min > 0.0;
        let bell = matches!(scale, Scale::Normal | Scale::LogNormal)
            .then(|| UnitNormal::new(0.5, BELL_DEVIATION));
        let half = step.unwrap_or(0.0) / 2.0;
        let last = match (step, count) {
            (Some(step), Some(count)) => min + (count - 1) as f64 * step,
            _ => max,
        };
        // There is no logarithm below zero: the first cell then begins at the first value.
        let start = if logarithmic && min - half <= 0.0 {
            min
        } else {
            min - half
        };
        let (low, high) = if logarithmic {
            (start.ln(), (last + half).ln())
        } else {
            (start, last + half)
        };
        let step = step.unwrap_or(0.0);
        Self {
            domain,
            count,
            low,
            high,
            step,
            first: min,
            logarithmic,
            bell,
            by_rank,
        }
    }

    /// How many values there are; `None` when they are continuous.
    pub(crate) fn count(&self) -> Option<u64> {
        self.count
    }

    /// Whether neighbouring positions have neighbouring values.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self.domain, Domain::Categorical(_))
    }

    /// The distribution of positions, when it is not even.
    pub(crate) fn bell(&self) -> Option<&UnitNormal> {
        self.bell.as_ref()
    }

    /// The value below which the fraction `u` of the dimension's distribution lies.
    pub(crate) fn quantile(&self, u: f64) -> Value {
        self.at_position(self.bell.map_or(u, |bell| bell.quantile(u)))
    }

    /// The value that owns a position.
    pub(crate) fn at_position(&self, position: f64) -> Value {
        let x = self.low + position.clamp(0.0, 1.0) * (self.high - self.low);
        let x = if self.logarithmic { x.exp() } else { x };
        match (&self.domain, self.count) {
            (Domain::Double { min, max, .. }, None) => Value::Double(x.clamp(*min, *max)),
            (Domain::Double { min, .. }, Some(1)) => Value::Double(*min),
            (Domain::Double { .. } | Domain::Int { .. }, Some(_)) => self.at_index(self.nearest(x)),
            // More whole numbers than 64 bits count: no step can matter.
            (Domain::Int { .. }, None) => self.domain.snap(Value::Int(x as i64)),
            (Domain::Discrete(_) | Domain::Categorical(_), count) => {
                let count = count.unwrap_or(1);
                self.at_rank(((position * count as f64) as u64).min(count - 1))
            }
        }
    }

    /// The value that is nearest to a number.
    pub(crate) fn nearest_value(&self, x: f64) -> Value {
        let value = match self.domain {
            Domain::Int { .. } => Value::Int(x.round() as i64),
            _ => Value::Double(x),
        };
        self.domain.snap(value)
    }

    /// The position of a value: the middle of its cell in a list, else where it lies.
    pub(crate) fn position(&self, value: Value) -> f64 {
        let x = match value {
            Value::Double(x) => x,
            Value::Int(n) => n as f64,
            Value::Index(_) => {
                return (self.rank(value) as f64 + 0.5) / self.count.unwrap_or(1) as f64;
            }
        };
        let x = if self.logarithmic {
            x.max(f64::MIN_POSITIVE).ln()
        } else {
            x
        };
        if self.high > self.low {
            ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }

    /// The rank of a value among the values of a finite dimension by rising number, the nearest
    /// one when it lies between two steps.
    pub(crate) fn rank(&self, value: Value) -> u64 {
        match value {
            Value::Double(x) => self.nearest(x),
            Value::Int(n) => self.nearest(n as f64),
            Value::Index(i) if self.by_rank.is_empty() => i as u64,
            Value::Index(i) => self
                .by_rank
                .iter()
                .position(|item| *item == i)
                .unwrap_or_default() as u64,
        }
    }

    /// The value of a rank of a finite dimension.
    pub(crate) fn at_rank(&self, rank: u64) -> Value {
        match usize::try_from(rank)
            .ok()
            .and_then(|rank| self.by_rank.get(rank))
        {
            Some(item) => Value::Index(*item),
            None => self.at_index(rank),
        }
    }

    /// The positions at which the cells of a finite dimension begin, and 1.
    pub(crate) fn borders(&self, count: usize) -> Vec<f64> {
        let inner = |k: usize| match self.domain {
            Domain::Discrete(_) | Domain::Categorical(_) => k as f64 / count as f64,
            _ => {
                let x = self.first + (k as f64 - 0.5) * self.step;
                let x = if self.logarithmic { x.ln() } else { x };
                ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
            }
        };
        std::iter::once(0.0)
            .chain((1..count).map(inner))
            .chain([1.0])
            .collect()
    }

    /// The value of an index of a finite dimension.
    pub(crate) fn at_index(&self, index: u64) -> Value {
        match self.domain {
            Domain::Double { min, .. } if self.count == Some(1) => Value::Double(min),
            _ => self
                .domain
                .value_at(index)
                .expect("the index is below the count"),
        }
    }

    /// The index of a value of a finite dimension; `None` when it lies between two steps.
    pub(crate) fn index(&self, value: Value) -> Option<u64> {
        let count = self.count?;
        let x = match value {
            Value::Index(i) => return (i as u64).lt(&count).then_some(i as u64),
            Value::Double(x) => x,
            Value::Int(n) => n as f64,
        };
        let nearest = self.nearest(x);
        let distance = (x - self.first - nearest as f64 * self.step).abs();
        (count == 1 || distance <= 1e-6 * self.step).then_some(nearest)
    }

    /// The index of the value that is nearest to `x`.
    fn nearest(&self, x: f64) -> u64 {
        if self.step == 0.0 {
            return 0;
        }
        let index = ((x - self.first) / self.step).round().max(0.0) as u64;
        index.min(self.count.unwrap_or(1) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int(min: i64, max: i64, step: i64, scale: Scale) -> Axis {
        Axis::new(Domain::Int {
            min,
            max,
            step,
            scale,
        })
    }

    #[test]
    fn evenly_drawn_positions_reach_every_step_equally_often() {
        let axis = int(1, 10, 3, Scale::Uniform);
        let mut counts = [0; 4];
        for i in 0..400 {
            let value = axis.quantile((f64::from(i) + 0.5) / 400.0);
            counts[axis.index(value).unwrap() as usize] += 1;
        }
        assert_eq!(counts, [100; 4]);
        assert_eq!(axis.at_rank(3), Value::Int(10));
    }

    #[test]
    fn logarithmic_positions_are_even_in_the_logarithm() {
        let (min, max, scale) = (1e-4, 1.0, Scale::LogUniform);
        let axis = Axis::new(Domain::Double {
            min,
            max,
            step: None,
            scale,
        });
        let Value::Double(x) = axis.quantile(0.5) else {
            unreachable!("a double")
        };
        assert!((x - 1e-2).abs() < 1e-12);
        assert!((axis.position(Value::Double(1e-3)) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn normal_scales_stay_inside_and_centre_on_the_middle() {
        let axis = int(0, 100, 1, Scale::Normal);
        assert_eq!(axis.quantile(0.0), Value::Int(0));
        assert_eq!(axis.quantile(0.5), Value::Int(50));
        assert_eq!(axis.quantile(1.0), Value::Int(100));
        let Value::Int(n) = axis.quantile(0.841) else {
            unreachable!("an int")
        };
        assert!((66..=68).contains(&n), "{n}");
    }

    #[test]
    fn discrete_values_are_ordered_by_number() {
        let list = ["10", "2", "5"]
            .map(|t| (t.parse().unwrap(), t.to_owned()))
            .to_vec();
        let axis = Axis::new(Domain::Discrete(list));
        assert_eq!(axis.at_position(0.0), Value::Index(1));
        assert_eq!(axis.at_position(1.0), Value::Index(0));
        assert_eq!(axis.rank(Value::Index(2)), 1);
    }

    #[test]
    fn cells_tile_the_positions() {
        for axis in [
            int(1, 8, 1, Scale::LogUniform),
            int(-3, 9, 4, Scale::Uniform),
        ] {
            let count = axis.count().unwrap() as usize;
            let borders = axis.borders(count);
            for k in 0..count {
                let middle = f64::midpoint(borders[k], borders[k + 1]);
                assert_eq!(axis.rank(axis.at_position(middle)), k as u64);
            }
        }
    }

    #[test]
    fn a_range_of_one_value_is_finite() {
        let (min, max, scale) = (0.5, 0.5, Scale::Uniform);
        let axis = Axis::new(Domain::Double {
            min,
            max,
            step: None,
            scale,
        });
        assert_eq!(axis.count(), Some(1));
        assert_eq!(axis.quantile(0.7), Value::Double(0.5));
        assert_eq!(axis.index(Value::Double(0.5)), Some(0));
    }

    #[test]
    fn a_value_between_two_steps_has_no_index() {
        assert_eq!(int(1, 10, 3, Scale::Uniform).index(Value::Int(5)), None);
    }
}
