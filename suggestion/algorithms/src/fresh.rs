//! Keeps points of a finite space from being proposed twice.

use std::collections::HashSet;

use diwan_api::search_space::Value;

use crate::Trial;
use crate::axis::Axis;

/// The points of a finite space that were proposed already. In a space with a continuous
/// dimension every point is new.
#[derive(Clone)]
pub(crate) struct Fresh {
    finite: bool,
    /// How many points there are; `None` when there is no end to them.
    size: Option<u64>,
    seen: HashSet<u128>,
}

impl Fresh {
    /// Nothing was proposed yet.
    pub(crate) fn new(axes: &[Axis]) -> Self {
        let size = axes
            .iter()
            .try_fold(1u64, |n, axis| n.checked_mul(axis.count()?));
        let finite = axes.iter().all(|axis| axis.count().is_some());
        Self {
            finite,
            size,
            seen: HashSet::new(),
        }
    }

    /// Whether points are ever anything but new.
    pub(crate) fn is_finite(&self) -> bool {
        self.finite
    }

    /// Whether every point was proposed.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.size.is_some_and(|size| self.seen.len() as u64 >= size)
    }

    /// How many points are left, as far as 64 bits count.
    pub(crate) fn left(&self) -> u64 {
        self.size
            .map_or(u64::MAX, |size| size.saturating_sub(self.seen.len() as u64))
    }

    /// Takes in the points of trials.
    pub(crate) fn observe(&mut self, axes: &[Axis], trials: &[Trial]) {
        if !self.finite {
            return;
        }
        for trial in trials {
            let code = axes
                .iter()
                .zip(&trial.values)
                .try_fold(0u128, |code, (axis, value)| {
                    push(code, axis, axis.index((*value)?)?)
                });
            if let Some(code) = code.filter(|_| trial.values.len() == axes.len()) {
                self.seen.insert(code);
            }
        }
    }

    /// Whether a point was not proposed yet.
    pub(crate) fn is_new(&self, axes: &[Axis], point: &[Value]) -> bool {
        !self.finite || code(axes, point).is_none_or(|code| !self.seen.contains(&code))
    }

    /// Whether the `code`th [`combination`] was not proposed yet.
    pub(crate) fn is_new_combination(&self, code: u64) -> bool {
        !self.seen.contains(&u128::from(code))
    }

    /// Marks a point as proposed and returns whether it was new.
    pub(crate) fn insert(&mut self, axes: &[Axis], point: &[Value]) -> bool {
        !self.finite || code(axes, point).is_none_or(|code| self.seen.insert(code))
    }

    /// Marks the first new point at or after the place `start` (from 0 to 1) in the order of the
    /// combinations, going round, and returns it. `None` when there is none.
    pub(crate) fn take_from(&mut self, axes: &[Axis], start: f64) -> Option<Vec<Value>> {
        let size = self.size?;
        if self.is_exhausted() {
            return None;
        }
        let start = ((start * size as f64) as u64).min(size - 1);
        let code = (start..size)
            .chain(0..start)
            .find(|c| self.is_new_combination(*c))?;
        self.seen.insert(u128::from(code));
        Some(combination(axes, code))
    }
}

/// The `code`th combination, the last dimension changing fastest.
pub(crate) fn combination(axes: &[Axis], mut code: u64) -> Vec<Value> {
    let mut point: Vec<Value> = axes
        .iter()
        .rev()
        .map(|axis| {
            let count = axis.count().unwrap_or(1);
            let value = axis.at_index(code % count);
            code /= count;
            value
        })
        .collect();
    point.reverse();
    point
}

/// The number of a point in the order of the combinations. Where that exceeds 128 bits it wraps
/// and serves as a hash.
fn code(axes: &[Axis], point: &[Value]) -> Option<u128> {
    axes.iter().zip(point).try_fold(0, |code, (axis, value)| {
        push(code, axis, axis.index(*value)?)
    })
}

fn push(code: u128, axis: &Axis, index: u64) -> Option<u128> {
    Some(
        code.wrapping_mul(u128::from(axis.count()?))
            .wrapping_add(u128::from(index)),
    )
}
