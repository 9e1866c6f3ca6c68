//! Between the values of a space and the points that the models see: one coordinate for each
//! dimension that has more than one value, in [0, 1] where values are ordered, else the index of
//! the category.

use diwan_api::SearchSpace;
use diwan_api::search_space::Value;
use rand::{Rng, RngExt};

use crate::axis::{Axis, axes};

/// Ordered dimensions with at most this many values are searched value by value.
const MAX_STEPS: u64 = 40;

/// How a coordinate is searched and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Continuous, or with so many values that it may be taken for it.
    Smooth,
    /// So many values in order.
    Steps(u64),
    /// So many values without order.
    Categories(u64),
}

/// The coordinates of a space.
pub(super) struct Coding {
    axes: Vec<Axis>,
    /// Which axis each coordinate stands for.
    places: Vec<usize>,
    kinds: Vec<Kind>,
}

impl Coding {
    pub(super) fn new(space: &SearchSpace) -> Self {
        let axes = axes(space);
        let places: Vec<usize> = (0..axes.len())
            .filter(|place| axes[*place].count() != Some(1))
            .collect();
        let kind = |place: &usize| match axes[*place].count() {
            Some(count) if !axes[*place].is_ordered() => Kind::Categories(count),
            Some(count) if count <= MAX_STEPS => Kind::Steps(count),
            _ => Kind::Smooth,
        };
        let kinds = places.iter().map(kind).collect();
        Self {
            axes,
            places,
            kinds,
        }
    }

    pub(super) fn axes(&self) -> &[Axis] {
        &self.axes
    }

    pub(super) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// The point of a trial; `None` when it lacks a value.
    pub(super) fn encode(&self, values: &[Option<Value>]) -> Option<Vec<f64>> {
        if values.len() != self.axes.len() || values.iter().any(Option::is_none) {
            return None;
        }
        self.places
            .iter()
            .zip(&self.kinds)
            .map(|(place, kind)| {
                let value = values[*place]?;
                Some(match kind {
                    Kind::Categories(_) => self.axes[*place].rank(value) as f64,
                    Kind::Smooth | Kind::Steps(_) => self.axes[*place].position(value),
                })
            })
            .collect()
    }

    /// The values of a point.
    pub(super) fn decode(&self, point: &[f64]) -> Vec<Value> {
        let mut values: Vec<Value> = self.axes.iter().map(|a| a.at_position(0.5)).collect();
        for ((place, kind), x) in self.places.iter().zip(&self.kinds).zip(point) {
            let axis = &self.axes[*place];
            values[*place] = match kind {
                Kind::Categories(_) => axis.at_rank(*x as u64),
                Kind::Smooth | Kind::Steps(_) => axis.at_position(*x),
            };
        }
        values
    }

    /// A point drawn from the distributions of the space.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> Vec<f64> {
        (0..self.kinds.len())
            .map(|d| self.draw_coordinate(d, rng))
            .collect()
    }

    /// One coordinate drawn from its distribution.
    pub(super) fn draw_coordinate(&self, dimension: usize, rng: &mut impl Rng) -> f64 {
        let axis = &self.axes[self.places[dimension]];
        match self.kinds[dimension] {
            Kind::Categories(count) => rng.random_range(0..count) as f64,
            Kind::Smooth | Kind::Steps(_) => axis.position(axis.quantile(rng.random())),
        }
    }

    /// The coordinate of the value of this rank.
    pub(super) fn at_rank(&self, dimension: usize, rank: u64) -> f64 {
        let axis = &self.axes[self.places[dimension]];
        match self.kinds[dimension] {
            Kind::Categories(_) => rank as f64,
            Kind::Smooth | Kind::Steps(_) => axis.position(axis.at_rank(rank)),
        }
    }

    /// The rank of the value that is nearest to a coordinate.
    pub(super) fn rank(&self, dimension: usize, x: f64) -> u64 {
        let axis = &self.axes[self.places[dimension]];
        match self.kinds[dimension] {
            Kind::Categories(_) => x as u64,
            Kind::Smooth | Kind::Steps(_) => axis.rank(axis.at_position(x)),
        }
    }

    /// The coordinate of the value that is nearest.
    pub(super) fn snap(&self, dimension: usize, x: f64) -> f64 {
        match self.kinds[dimension] {
            Kind::Categories(_) => x,
            Kind::Smooth | Kind::Steps(_) => {
                let axis = &self.axes[self.places[dimension]];
                axis.position(axis.at_position(x))
            }
        }
    }
}
