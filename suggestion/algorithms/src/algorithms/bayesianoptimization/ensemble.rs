//! Models made of many trees: random forests (Breiman, "Random Forests", 2001), extremely
//! randomized trees (Geurts et al., 2006) and gradient boosted quantiles (Friedman, "Greedy
//! Function Approximation", 2001). Their deviation is that between and within trees (Hutter et
//! al., "Sequential Model-Based Optimization for General Algorithm Configuration", 2011), or the
//! distance of quantiles.

use std::cmp::Ordering;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::coding::Kind;
use super::surrogate::{Slope, Surrogate};
use super::tree::{Growth, Sample, Tree};
use crate::math::stream;

/// Which trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// The best splits of drawn points.
    RandomForest,
    /// Drawn splits of all points.
    ExtraTrees,
    /// Each tree corrects those before it.
    Boosting,
}

/// Trees of a forest, and of each of the three boosted quantiles.
const TREES: usize = 60;
const STAGES: usize = 30;

/// By which part of itself each stage corrects the ones before.
const LEARNING_RATE: f64 = 0.1;

/// What is below a normal value's mean less its deviation, below the mean, and below their sum.
const QUANTILES: [f64; 3] = [0.16, 0.5, 0.84];

/// The least deviation, so that no point is taken for certain.
const LEAST: f64 = 1e-3;

/// A model that has grown.
pub(super) struct Ensemble {
    family: Family,
    kinds: Vec<Kind>,
    points: Vec<Vec<f64>>,
    targets: Vec<f64>,
    seed: u64,
    grown: Grown,
}

enum Grown {
    Forest(Vec<Tree>),
    Boosted(Vec<Boosted>),
}

/// One quantile.
struct Boosted {
    first: f64,
    stages: Vec<Tree>,
}

impl Ensemble {
    pub(super) fn new(
        family: Family,
        kinds: &[Kind],
        points: &[&[f64]],
        targets: &[f64],
        seed: u64,
    ) -> Self {
        let mut ensemble = Self {
            family,
            kinds: kinds.to_vec(),
            points: points.iter().map(|p| p.to_vec()).collect(),
            targets: targets.to_vec(),
            seed,
            grown: Grown::Forest(Vec::new()),
        };
        ensemble.grow();
        ensemble
    }

    fn grow(&mut self) {
        let sample = Sample {
            kinds: &self.kinds,
            points: &self.points,
            targets: &self.targets,
        };
        let n = self.points.len();
        let tree = |index: usize| {
            let mut rng = stream::rng(self.seed, index);
            let bootstrap = self.family == Family::RandomForest;
            let rows = if bootstrap {
                (0..n).map(|_| rng.random_range(0..n)).collect()
            } else {
                (0..n).collect()
            };
            let growth = Growth {
                by_chance: !bootstrap,
                leaf: if bootstrap { 2 } else { 1 },
                depth: 30,
            };
            Tree::grow(sample, rows, growth, &mut rng)
        };
        self.grown = match self.family {
            Family::RandomForest | Family::ExtraTrees => {
                Grown::Forest((0..TREES).map(tree).collect())
            }
            Family::Boosting => {
                let rng = &mut stream::rng(self.seed, 0);
                Grown::Boosted(QUANTILES.map(|q| Boosted::new(sample, q, rng)).into())
            }
        };
    }
}

impl Boosted {
    fn new(sample: Sample<'_>, quantile: f64, rng: &mut Pcg64Mcg) -> Self {
        let growth = Growth {
            by_chance: false,
            leaf: 1,
            depth: 3,
        };
        let first = quantile_of(sample.targets.to_vec(), quantile);
        let mut fitted = vec![first; sample.targets.len()];
        let mut stages = Vec::with_capacity(STAGES);
        for _ in 0..STAGES {
            // The slope of the quantile's loss.
            let pull: Vec<f64> = sample
                .targets
                .iter()
                .zip(&fitted)
                .map(|(y, f)| match y.total_cmp(f) {
                    Ordering::Greater => quantile,
                    Ordering::Equal => 0.0,
                    Ordering::Less => quantile - 1.0,
                })
                .collect();
            let pulled = Sample {
                targets: &pull,
                ..sample
            };
            let mut tree = Tree::grow(pulled, (0..fitted.len()).collect(), growth, rng);
            for leaf in tree.leaves_mut() {
                let rest = leaf.rows.iter().map(|r| sample.targets[*r] - fitted[*r]);
                leaf.mean = LEARNING_RATE * quantile_of(rest.collect(), quantile);
                leaf.rows.iter().for_each(|r| fitted[*r] += leaf.mean);
            }
            stages.push(tree);
        }
        Self { first, stages }
    }

    fn predict(&self, point: &[f64]) -> f64 {
        let corrections = self.stages.iter().map(|tree| tree.leaf(point).mean);
        self.first + corrections.sum::<f64>()
    }
}

fn quantile_of(mut values: Vec<f64>, quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = quantile * values.len().saturating_sub(1) as f64;
    let at = |place: f64| values.get(place as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

impl Surrogate for Ensemble {
    fn predict(&self, point: &[f64]) -> (f64, f64) {
        match &self.grown {
            Grown::Forest(trees) => {
                let n = trees.len().max(1) as f64;
                let (mut mean, mut square) = (0.0, 0.0);
                for leaf in trees.iter().map(|tree| tree.leaf(point)) {
                    mean += leaf.mean / n;
                    square += (leaf.variance + leaf.mean * leaf.mean) / n;
                }
                (mean, (square - mean * mean).max(LEAST * LEAST).sqrt())
            }
            Grown::Boosted(quantiles) => {
                let at = |i: usize| quantiles[i].predict(point);
                (at(1), (0.5 * (at(2) - at(0)).abs()).max(LEAST))
            }
        }
    }

    fn slope(&self, _point: &[f64]) -> Option<Slope> {
        None
    }

    fn imagine(&mut self, point: &[f64]) {
        // As good as the best: where trials run, nothing better is expected.
        let best = self.targets.iter().copied().fold(f64::INFINITY, f64::min);
        self.points.push(point.to_vec());
        self.targets.push(best);
        self.grow();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_learns_a_step_and_a_category() {
        let kinds = [Kind::Smooth, Kind::Categories(3)];
        let points: Vec<Vec<f64>> = (0..60)
            .map(|i| vec![f64::from(i) / 60.0, f64::from(i % 3)])
            .collect();
        let target = |p: &[f64]| f64::from(u8::from(p[0] > 0.5)) - f64::from(u8::from(p[1] == 2.0));
        let targets: Vec<f64> = points.iter().map(|p| target(p)).collect();
        let points: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        for family in [Family::RandomForest, Family::ExtraTrees, Family::Boosting] {
            let model = Ensemble::new(family, &kinds, &points, &targets, 5);
            for point in [[0.2, 0.0], [0.8, 1.0], [0.2, 2.0], [0.8, 2.0]] {
                let (mean, deviation) = model.predict(&point);
                let error = (mean - target(&point)).abs();
                assert!(error < 0.2, "{family:?} {point:?} {mean}");
                assert!(deviation > 0.0);
            }
        }
    }
}
