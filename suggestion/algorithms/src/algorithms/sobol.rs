//! Sobol search: a low-discrepancy sequence that covers the space more evenly than random points.
//!
//! The sequence is scrambled by Owen's method in the hashed form of Burley ("Practical Hash-based
//! Owen Scrambling", 2020), so that it begins at no corner and two seeds give two sequences. The
//! `n`th assignment of an experiment is the `n`th point, which makes the sequence continue after
//! any interruption. Both ends of integer ranges are reached, which Katib's service misses at the
//! upper end.

use diwan_api::search_space::Value;

use crate::axis::Axis;
use crate::fresh::Fresh;
use crate::math::{normal, stream};
use crate::sequence::Sequence;
use crate::{Algorithm, Capability, UnknownSettings, algorithms::random};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "sobol",
    aliases: &[],
    summary: "covers the space evenly with a scrambled Sobol sequence",
    settings: &[random::RANDOM_STATE],
    // As Katib's service does.
    unknown_settings: UnknownSettings::Ignored,
    supports: &[
        Capability::Parallel,
        Capability::Distributions,
        Capability::Exhausts,
    ],
    build: |problem| Ok(Box::new(Sequence::new(problem, draw))),
};

/// How many points and dimensions one sequence of the generator has.
const POINTS: usize = 1 << 16;
const DIMENSIONS: usize = 256;

/// How many further points of the sequence are tried in place of a repeated one.
const ATTEMPTS: usize = 64;

/// Takes the `index`th point of the sequence, or one of the next if that was proposed already;
/// `None` when the space is exhausted.
pub(super) fn draw(
    axes: &[Axis],
    fresh: &mut Fresh,
    seed: u64,
    index: usize,
) -> Option<Vec<Value>> {
    for index in index..index + ATTEMPTS {
        if fresh.is_exhausted() {
            return None;
        }
        let point: Vec<Value> = axes
            .iter()
            .enumerate()
            .map(|(dimension, axis)| axis.quantile(coordinate(seed, index, dimension)))
            .collect();
        if fresh.insert(axes, &point) {
            return Some(point);
        }
    }
    random::draw(axes, fresh, seed, index)
}

/// The deviation around the middle, in positions, of the points with which a search begins.
const START_DEVIATION: f64 = 0.2;

/// Takes the `index`th point of a design that is spread evenly over a normal distribution around
/// the middle of the space, since people choose ranges around what they believe. Where that was
/// proposed already it gives way to [`draw`].
pub(super) fn draw_around_middle(
    axes: &[Axis],
    fresh: &mut Fresh,
    seed: u64,
    index: usize,
) -> Option<Vec<Value>> {
    let value = |(dimension, axis): (usize, &Axis)| {
        let u = coordinate(seed, index, dimension);
        if !axis.is_ordered() {
            return axis.quantile(u);
        }
        let z = if index == 0 { 0.0 } else { normal::quantile(u) };
        axis.at_position((0.5 + START_DEVIATION * z).clamp(0.0, 1.0))
    };
    let point: Vec<Value> = axes.iter().enumerate().map(value).collect();
    if !fresh.is_exhausted() && fresh.insert(axes, &point) {
        return Some(point);
    }
    draw(axes, fresh, seed, index)
}

/// One coordinate of one point, between 0 and 1 (exclusive). Blocks of points and of dimensions
/// beyond the generator's limits are sequences with seeds of their own.
pub(super) fn coordinate(seed: u64, index: usize, dimension: usize) -> f64 {
    let block = (index / POINTS) as u64 | (((dimension / DIMENSIONS) as u64) << 32);
    let u = sobol_burley::sample(
        (index % POINTS) as u32,
        (dimension % DIMENSIONS) as u32,
        stream::short_seed(seed, block),
    );
    f64::from(u)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::axes;

    #[test]
    fn the_design_around_the_middle_begins_there_and_stays_inside() {
        use diwan_api::SearchSpace;
        use diwan_api::search_space::{Domain, Parameter, Scale};
        let (min, max, step, scale) = (1.0, 100.0, None, Scale::LogUniform);
        let domain = Domain::Double {
            min,
            max,
            step,
            scale,
        };
        let name = String::new();
        let axes = axes(&SearchSpace {
            parameters: vec![Parameter { name, domain }],
        });
        let mut fresh = Fresh::new(&axes);
        let mut draw = |index| match draw_around_middle(&axes, &mut fresh, 3, index).as_deref() {
            Some([Value::Double(x)]) => *x,
            other => panic!("{other:?}"),
        };
        assert!((draw(0) - 10.0).abs() < 1e-9);
        let above = (1..=200).filter(|index| draw(*index) > 10.0).count();
        assert!((90..=110).contains(&above), "{above}");
    }

    #[test]
    fn every_block_of_the_sequence_is_even() {
        for (first, dimension) in [(0, 0), (64, 3), (POINTS - 64, 255), (POINTS, 300)] {
            let mut cells = [0; 64];
            for index in first..first + 64 {
                cells[(coordinate(7, index, dimension) * 64.0) as usize] += 1;
            }
            assert_eq!(cells, [1; 64], "from {first} in dimension {dimension}");
        }
    }
}
