//! A random forest: decision trees that each see other rows and columns, and vote.
//!
//! After Breiman, Random Forests (2001), on linfa's CART trees; columns are drawn once for each
//! tree, not for each node.

use anyhow::Context as _;
use linfa::Dataset;
use linfa::prelude::{Fit as _, Predict as _};
use linfa_trees::{DecisionTree, SplitQuality};
use ndarray::{Array1, Array2, Axis, Ix1};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use crate::dataset;

/// How trees are grown.
#[derive(Clone, Debug)]
pub struct ForestParams {
    /// How good a split is.
    pub quality: SplitQuality,
    /// Most splits between root and leaf, at least 1.
    pub max_depth: usize,
    /// Fewest rows in a leaf.
    pub min_leaf: usize,
    /// Columns that each tree sees; more than there are means all.
    pub max_features: usize,
    /// Rows that each tree sees, drawn with replacement, as a share of all rows, above 0.
    pub sample: f64,
    /// Least gain of a split, above 0.
    pub min_gain: f64,
}

/// One tree and the columns that it looks at.
pub struct Member {
    features: Vec<usize>,
    tree: DecisionTree<f64, bool>,
}

/// Grows the tree with number `index`; the same seed and number give the same tree.
pub fn grow(
    params: &ForestParams,
    train: &Dataset<f64, bool, Ix1>,
    seed: u64,
    index: u64,
) -> anyhow::Result<Member> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed ^ (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let columns = train.records.ncols();
    let mut features =
        rand::seq::index::sample(&mut rng, columns, params.max_features.clamp(1, columns))
            .into_vec();
    features.sort_unstable();
    let rows = train.records.nrows();
    let drawn: Vec<usize> = (0..((rows as f64 * params.sample).ceil() as usize).max(1))
        .map(|_| rng.random_range(0..rows))
        .collect();
    let bag = dataset::rows(train, &drawn);
    // linfa breaks a tie in a leaf by the order of a hash map, so the same flags would give
    // another forest on every run. A good wine that weighs 1/1024 more leaves no ties, and stays
    // exact in 32 bits.
    let weights: Array1<f32> = bag
        .targets
        .map(|&good| if good { 1.0 + 1.0 / 1024.0 } else { 1.0 });
    let records = bag.records.select(Axis(1), &features);
    let tree = DecisionTree::params()
        .split_quality(params.quality)
        .max_depth(Some(params.max_depth))
        .min_weight_leaf(params.min_leaf as f32)
        .min_impurity_decrease(params.min_gain)
        .fit(&Dataset::new(records, bag.targets).with_weights(weights))
        .with_context(|| format!("cannot grow tree {index}"))?;
    Ok(Member { features, tree })
}

/// The votes of a growing forest on the same rows.
pub struct Ballot {
    ayes: Array1<f64>,
    voters: f64,
}

impl Ballot {
    /// An empty ballot for so many rows.
    pub fn new(rows: usize) -> Self {
        Self {
            ayes: Array1::zeros(rows),
            voters: 0.0,
        }
    }

    /// Adds a tree's votes on the rows.
    pub fn cast(&mut self, member: &Member, records: &Array2<f64>) {
        let votes = member
            .tree
            .predict(&records.select(Axis(1), &member.features));
        self.ayes += &votes.map(|&aye| f64::from(u8::from(aye)));
        self.voters += 1.0;
    }

    /// What more than half of the trees say.
    pub fn decision(&self) -> Array1<bool> {
        self.ayes.map(|ayes| ayes * 2.0 > self.voters)
    }

    /// The probability of `false` and `true` for each row, as if each side had one vote more, so
    /// that none is 0.
    pub fn probabilities(&self) -> Array2<f64> {
        let yes = self.ayes.map(|ayes| (ayes + 1.0) / (self.voters + 2.0));
        let no = yes.map(|p| 1.0 - p);
        ndarray::stack(Axis(1), &[no.view(), yes.view()]).expect("both have a row for each vote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the first column is above one half; the second is noise.
    fn separable() -> Dataset<f64, bool, Ix1> {
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let records = Array2::from_shape_fn((60, 2), |_| rng.random::<f64>());
        let targets = records.column(0).map(|&x| x > 0.5);
        Dataset::new(records, targets)
    }

    fn params() -> ForestParams {
        ForestParams {
            quality: SplitQuality::Gini,
            max_depth: 4,
            min_leaf: 1,
            max_features: 2,
            sample: 1.0,
            min_gain: 1e-5,
        }
    }

    fn vote(params: &ForestParams, seed: u64, trees: u64) -> Ballot {
        let data = separable();
        let mut ballot = Ballot::new(60);
        for index in 0..trees {
            ballot.cast(&grow(params, &data, seed, index).unwrap(), &data.records);
        }
        ballot
    }

    #[test]
    fn a_forest_learns_a_threshold() {
        let right =
            crate::metric::accuracy(&vote(&params(), 0, 9).decision(), &separable().targets);
        assert!(right >= 0.95, "{right}");
    }

    #[test]
    fn the_seed_decides_the_forest() {
        // Depth 1 on one column of two leaves many even leaves, where ties would show.
        let rough = ForestParams {
            max_depth: 1,
            max_features: 1,
            sample: 0.1,
            ..params()
        };
        assert_eq!(vote(&rough, 3, 25).ayes, vote(&rough, 3, 25).ayes);
        assert_ne!(vote(&rough, 3, 25).ayes, vote(&rough, 4, 25).ayes);
    }

    #[test]
    fn probabilities_add_up_and_are_never_zero() {
        let probabilities = vote(&params(), 0, 5).probabilities();
        for row in probabilities.rows() {
            assert!((row.sum() - 1.0).abs() < 1e-12);
            assert!(row.iter().all(|&p| p > 0.0));
        }
    }
}
