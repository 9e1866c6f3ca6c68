//! A density over a mixed space, estimated from points: a mixture of one product kernel around
//! each point and one prior kernel over everything (Bergstra et al., "Algorithms for
//! Hyper-Parameter Optimization", 2011; the product form: Falkner et al., "BOHB", 2018).
//!
//! A point is one number for each dimension: a position in [0, 1] where the dimension is smooth,
//! else the rank of a cell or of a category. Kernels are stored by dimension, so that scoring a
//! candidate runs along memory.

use std::sync::Arc;

use rand::{Rng, RngExt};

use super::normal::UnitNormal;

/// What the estimator knows of a dimension.
#[derive(Clone, Debug)]
pub(crate) enum Dimension {
    /// A position in [0, 1].
    Smooth {
        /// The prior, when it is not even.
        bell: Option<Bell>,
    },
    /// The rank of a cell among few.
    Cells {
        /// Where the cells begin, and 1.
        borders: Vec<f64>,
        /// The prior, when it is not even.
        bell: Option<Bell>,
    },
    /// The index of a category.
    Categories {
        /// How many there are.
        count: usize,
    },
}

/// A prior that is truncated normal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bell {
    pub(crate) normal: UnitNormal,
    pub(crate) deviation: f64,
}

/// How much kernels are spread out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    /// Deviation of kernels in smooth and cell dimensions, in positions.
    pub(crate) deviation: f64,
    /// How many parts of a categorical kernel each category gets, beside the one part more that
    /// the kernel's own gets.
    pub(crate) categories: f64,
}

/// The estimated density.
#[derive(Clone, Debug)]
pub(crate) struct Estimator {
    dimensions: Vec<Dimension>,
    columns: Vec<Column>,
    /// Logarithm of each kernel's weight and constant factors.
    constants: Vec<f64>,
    /// Running sum of weights.
    cumulative: Vec<f64>,
    prior_weight: f64,
}

/// One dimension of all kernels.
#[derive(Clone, Debug)]
struct Column {
    /// Where kernels of smooth dimensions lie; empty for others.
    centres: Vec<f64>,
    /// At which cell or category kernels lie; empty for smooth dimensions.
    ranks: Vec<u32>,
    deviation: f64,
    /// Of cells and categories: for each centre in use, the logarithm of the mass of every cell.
    table: Vec<Option<Vec<f64>>>,
    /// The same under the prior.
    prior: Vec<f64>,
    categories: f64,
    /// Made when there are many kernels.
    factors: Option<Arc<Factors>>,
}

impl Estimator {
    /// A mixture that has only its prior kernel yet; kernels are spread out by dimension.
    pub(crate) fn new(dimensions: &[Dimension], prior_weight: f64, spreads: &[Spread]) -> Self {
        Self {
            dimensions: dimensions.to_vec(),
            columns: dimensions
                .iter()
                .zip(spreads)
                .map(|(dimension, spread)| Column::new(dimension, *spread))
                .collect(),
            constants: Vec::new(),
            cumulative: Vec::new(),
            prior_weight,
        }
    }

    /// Adds a kernel.
    pub(crate) fn push(&mut self, point: &[f64], weight: f64) {
        let mut constant = weight.ln();
        if self.constants.len() == MANY {
            self.tabulate();
        }
        for ((column, dimension), x) in self.columns.iter_mut().zip(&self.dimensions).zip(point) {
            constant += column.push(dimension, *x);
        }
        self.constants.push(constant);
        let sum = self.cumulative.last().copied().unwrap_or_default();
        self.cumulative.push(sum + weight);
    }

    /// Gives the columns their tables of factors; those that are equally wide share one.
    fn tabulate(&mut self) {
        let mut tables: Vec<(u64, Arc<Factors>)> = Vec::new();
        for (column, dimension) in self.columns.iter_mut().zip(&self.dimensions) {
            if !matches!(dimension, Dimension::Smooth { .. }) {
                continue;
            }
            let bits = column.deviation.to_bits();
            let known = tables.iter().find(|(other, _)| *other == bits);
            let table = known.map_or_else(
                || Arc::new(Factors::new(column.deviation)),
                |(_, table)| table.clone(),
            );
            tables.push((bits, table.clone()));
            column.factors = Some(table);
        }
    }

    /// Draws a point of the prior.
    pub(crate) fn sample_prior(&self, rng: &mut impl Rng) -> Vec<f64> {
        self.columns
            .iter()
            .zip(&self.dimensions)
            .map(|(column, dimension)| column.sample(dimension, usize::MAX, rng.random()))
            .collect()
    }

    /// Draws a point.
    pub(crate) fn sample(&self, rng: &mut impl Rng) -> Vec<f64> {
        let total = self.cumulative.last().copied().unwrap_or_default();
        let at = rng.random::<f64>() * (total + self.prior_weight);
        let kernel = self.cumulative.partition_point(|sum| *sum <= at);
        let draw = |(column, dimension): (&Column, &Dimension)| {
            column.sample(dimension, kernel, rng.random())
        };
        self.columns
            .iter()
            .zip(&self.dimensions)
            .map(draw)
            .collect()
    }

    /// The logarithm of the density at a point.
    pub(crate) fn log_density(&self, point: &[f64], scratch: &mut Vec<f64>) -> f64 {
        let mut prior = self.prior_weight.ln();
        for ((column, dimension), x) in self.columns.iter().zip(&self.dimensions).zip(point) {
            prior += column.log_prior(dimension, *x);
        }
        let (mut top, mut sum) = (prior, 1.0);
        for (block, constants) in self.constants.chunks(BLOCK).enumerate() {
            scratch.clear();
            scratch.extend_from_slice(constants);
            let begin = block * BLOCK;
            for ((column, dimension), x) in self.columns.iter().zip(&self.dimensions).zip(point) {
                column.accumulate(dimension, *x, begin, scratch);
            }
            let highest = scratch.iter().copied().fold(top, f64::max);
            sum *= (top - highest).exp();
            top = highest;
            // Most kernels are far away, and what is this small changes no digit of the sum.
            let near = scratch.iter().filter(|s| **s > top - NEGLIGIBLE);
            sum += near.map(|s| (s - top).exp()).sum::<f64>();
        }
        let total = self.cumulative.last().copied().unwrap_or_default() + self.prior_weight;
        top + sum.ln() - total.ln()
    }
}

/// How many kernels are scored at a time: as many as stay in the fastest memory.
const BLOCK: usize = 1024;
/// A part whose logarithm is so much below the largest is nothing beside it.
const NEGLIGIBLE: f64 = 40.0;
/// With so many kernels a table of factors costs less than computing each.
const MANY: usize = 256;
/// Places of the table within one deviation: what is read between two is right to 4 digits more
/// than matter.
const PLACES: f64 = 64.0;

/// The logarithm of the factor before the exponential of a kernel, by its centre.
#[derive(Clone, Debug)]
struct Factors {
    logs: Vec<f64>,
}

impl Factors {
    fn new(deviation: f64) -> Self {
        let cells = (PLACES / deviation).ceil().clamp(8.0, 16_384.0) as usize;
        let log = |i: usize| UnitNormal::new(i as f64 / cells as f64, deviation).log_factor();
        Self {
            logs: (0..=cells).map(log).collect(),
        }
    }

    fn at(&self, centre: f64) -> f64 {
        let cells = self.logs.len() - 1;
        let place = centre * cells as f64;
        let below = (place as usize).min(cells - 1);
        let share = place - below as f64;
        self.logs[below] * (1.0 - share) + self.logs[below + 1] * share
    }
}

impl Column {
    fn new(dimension: &Dimension, spread: Spread) -> Self {
        let prior: Vec<f64> = match dimension {
            Dimension::Smooth { .. } => Vec::new(),
            Dimension::Cells {
                borders,
                bell: Some(bell),
            } => log_masses(borders, |x| bell.normal.between(0.0, x)),
            Dimension::Cells {
                borders,
                bell: None,
            } => log_masses(borders, |x| x),
            Dimension::Categories { count } => vec![-(*count as f64).ln(); *count],
        };
        let table = vec![None; prior.len()];
        let Spread {
            deviation,
            categories,
        } = spread;
        Self {
            centres: Vec::new(),
            ranks: Vec::new(),
            deviation,
            table,
            prior,
            categories,
            factors: None,
        }
    }

    /// Adds a kernel and returns the logarithm of the factor before its exponential.
    fn push(&mut self, dimension: &Dimension, centre: f64) -> f64 {
        if let Dimension::Smooth { .. } = dimension {
            self.centres.push(centre);
            return match &self.factors {
                Some(factors) => factors.at(centre),
                None => UnitNormal::new(centre, self.deviation).log_factor(),
            };
        }
        self.ranks.push(centre as u32);
        let masses = &mut self.table[centre as usize];
        match dimension {
            Dimension::Cells { borders, .. } if masses.is_none() => {
                let cell = centre as usize;
                let middle = f64::midpoint(borders[cell], borders[cell + 1]);
                let kernel = UnitNormal::new(middle, self.deviation);
                *masses = Some(log_masses(borders, |x| kernel.between(0.0, x)));
            }
            Dimension::Categories { count } if masses.is_none() => {
                let total = 1.0 + self.categories * *count as f64;
                let mut logs = vec![(self.categories / total).ln(); *count];
                logs[centre as usize] = ((1.0 + self.categories) / total).ln();
                *masses = Some(logs);
            }
            _ => {}
        }
        0.0
    }

    /// The logarithm of the mass of every cell under the kernel at this cell.
    fn masses(&self, rank: u32) -> &[f64] {
        self.table[rank as usize]
            .as_deref()
            .expect("made when the kernel was added")
    }

    /// Draws a coordinate from a kernel, or from the prior where there is none.
    fn sample(&self, dimension: &Dimension, kernel: usize, u: f64) -> f64 {
        if let Dimension::Smooth { bell } = dimension {
            return match (self.centres.get(kernel), bell) {
                (Some(centre), _) => UnitNormal::new(*centre, self.deviation).quantile(u),
                (None, Some(bell)) => bell.normal.quantile(u),
                (None, None) => u,
            };
        }
        match self.ranks.get(kernel) {
            Some(rank) => pick(u, self.masses(*rank)),
            None => pick(u, &self.prior),
        }
    }

    /// The share of this dimension in the logarithm of the prior at `x`.
    fn log_prior(&self, dimension: &Dimension, x: f64) -> f64 {
        match dimension {
            Dimension::Smooth { bell } => bell.map_or(0.0, |b| {
                b.normal.log_factor() - 0.5 * ((x - 0.5) / b.deviation).powi(2)
            }),
            _ => self.prior[x as usize],
        }
    }

    /// Adds this dimension's share to the logarithm of the kernels from `begin` on at `x`.
    fn accumulate(&self, dimension: &Dimension, x: f64, begin: usize, logs: &mut [f64]) {
        if let Dimension::Smooth { .. } = dimension {
            let precision = 0.5 / (self.deviation * self.deviation);
            for (log, centre) in logs.iter_mut().zip(&self.centres[begin..]) {
                let distance = x - centre;
                *log -= precision * distance * distance;
            }
            return;
        }
        // What the kernel of each cell gives this one.
        let at = |masses: &Option<Vec<f64>>| masses.as_ref().map_or(0.0, |m| m[x as usize]);
        let row: Vec<f64> = self.table.iter().map(at).collect();
        for (log, rank) in logs.iter_mut().zip(&self.ranks[begin..]) {
            *log += row[*rank as usize];
        }
    }
}

/// The logarithms of what lies between neighbouring borders, given what lies below each.
fn log_masses(borders: &[f64], below: impl Fn(f64) -> f64) -> Vec<f64> {
    let below: Vec<f64> = borders.iter().map(|x| below(*x)).collect();
    // Far from a narrow kernel nothing is left of the difference; the logarithm stays finite.
    below
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).max(1e-100).ln())
        .collect()
}

/// The cell in which the fraction `u` of the mass is reached.
fn pick(u: f64, log_masses: &[f64]) -> f64 {
    let mut left = u;
    for (x, log_mass) in log_masses.iter().enumerate() {
        left -= log_mass.exp();
        if left < 0.0 {
            return x as f64;
        }
    }
    (log_masses.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::stream;

    fn dimensions() -> Vec<Dimension> {
        vec![
            Dimension::Smooth { bell: None },
            Dimension::Cells {
                borders: vec![0.0, 0.2, 0.5, 1.0],
                bell: None,
            },
            Dimension::Categories { count: 4 },
        ]
    }

    fn estimator(points: &[([f64; 3], f64)], prior_weight: f64) -> Estimator {
        let spread = Spread {
            deviation: 0.2,
            categories: 0.25,
        };
        let mut estimator = Estimator::new(&dimensions(), prior_weight, &[spread; 3]);
        for (point, weight) in points {
            estimator.push(point, *weight);
        }
        estimator
    }

    #[test]
    fn the_density_sums_to_one() {
        let estimator = estimator(&[([0.1, 0.0, 3.0], 1.0), ([0.9, 2.0, 1.0], 2.0)], 0.5);
        let mut sum = 0.0;
        for i in 0..1000 {
            for cell in 0..3 {
                for category in 0..4 {
                    let point = [
                        (f64::from(i) + 0.5) / 1000.0,
                        f64::from(cell),
                        f64::from(category),
                    ];
                    sum += estimator.log_density(&point, &mut Vec::new()).exp() / 1000.0;
                }
            }
        }
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }

    #[test]
    fn a_table_of_factors_is_as_good_as_each_of_them() {
        for deviation in [0.01, 0.07, 0.3, 1.0] {
            let factors = Factors::new(deviation);
            for i in 0..=997 {
                let centre = f64::from(i) / 997.0;
                let exact = UnitNormal::new(centre, deviation).log_factor();
                assert!(
                    (factors.at(centre) - exact).abs() < 1e-4,
                    "{deviation} {centre}"
                );
            }
        }
    }

    #[test]
    fn many_kernels_weigh_as_much_as_the_sum_of_few() {
        let point = |i: usize| {
            let part = |m: usize| (i * m % 97) as f64 / 97.0;
            [part(31), (i % 3) as f64, (i % 4) as f64]
        };
        let spread = Spread {
            deviation: 0.1,
            categories: 0.25,
        };
        let whole = |indices: std::ops::Range<usize>| {
            let mut estimator = Estimator::new(&dimensions(), 1e-9, &[spread; 3]);
            indices.for_each(|i| estimator.push(&point(i), 1.0));
            estimator
                .log_density(&[0.4, 1.0, 2.0], &mut Vec::new())
                .exp()
        };
        let parts: f64 = (0..3000)
            .step_by(100)
            .map(|i| whole(i..i + 100) * 100.0)
            .sum();
        let sum = whole(0..3000) * 3000.0;
        assert!((sum / parts - 1.0).abs() < 1e-4, "{sum} {parts}");
    }

    #[test]
    fn samples_follow_the_density() {
        let estimator = estimator(&[([0.1, 0.0, 3.0], 9.0)], 1.0);
        let mut rng = stream::rng(1, 0);
        let n = 4000;
        let hits = (0..n)
            .filter(|_| estimator.sample(&mut rng)[2] == 3.0)
            .count();
        // 0.9 × 1.25 / 2 + 0.1 / 4 = 0.5875; the deviation of the share is 0.008.
        assert!((hits as f64 / f64::from(n) - 0.5875).abs() < 0.03, "{hits}");
    }
}
