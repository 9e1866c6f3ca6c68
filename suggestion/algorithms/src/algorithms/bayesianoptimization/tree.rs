//! Regression trees, alone (Breiman et al., "Classification and Regression Trees", 1984).

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::coding::Kind;

/// How a tree grows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// Thresholds are drawn by chance instead of being the best ones.
    pub(super) by_chance: bool,
    /// Fewest points in a leaf.
    pub(super) leaf: usize,
    /// Most splits between the root and a leaf.
    pub(super) depth: usize,
}

/// A tree over points, whose leaves hold the points they were grown from.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Split {
        rule: Rule,
        left: usize,
        right: usize,
    },
    Leaf(Leaf),
}

/// The end of a path.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The mean of the targets here.
    pub(super) mean: f64,
    /// Their variance.
    pub(super) variance: f64,
    /// Which points ended here.
    pub(super) rows: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    Below(usize, f64),
    Equals(usize, f64),
}

impl Rule {
    fn holds(self, point: &[f64]) -> bool {
        match self {
            Self::Below(k, x) => point[k] < x,
            Self::Equals(k, x) => point[k] == x,
        }
    }
}

/// Points and what is to be learned at each.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    pub(super) kinds: &'a [Kind],
    pub(super) points: &'a [Vec<f64>],
    pub(super) targets: &'a [f64],
}

impl Tree {
    /// Grows from some of the points, which may stand there several times.
    pub(super) fn grow(
        sample: Sample<'_>,
        rows: Vec<usize>,
        growth: Growth,
        rng: &mut Pcg64Mcg,
    ) -> Self {
        let mut tree = Self { nodes: Vec::new() };
        tree.branch(sample, rows, growth, rng);
        tree
    }

    fn branch(
        &mut self,
        sample: Sample<'_>,
        rows: Vec<usize>,
        growth: Growth,
        rng: &mut Pcg64Mcg,
    ) -> usize {
        let place = self.nodes.len();
        self.nodes.push(Node::Leaf(Leaf::new(sample, &rows)));
        let rule = (growth.depth > 0 && rows.len() >= 2 * growth.leaf)
            .then(|| best_rule(sample, &rows, growth, rng))
            .flatten();
        if let Some(rule) = rule {
            let growth = Growth {
                depth: growth.depth - 1,
                ..growth
            };
            let (left, right) = rows.iter().partition(|r| rule.holds(&sample.points[**r]));
            let left = self.branch(sample, left, growth, rng);
            let right = self.branch(sample, right, growth, rng);
            self.nodes[place] = Node::Split { rule, left, right };
        }
        place
    }

    /// The leaf of a point.
    pub(super) fn leaf(&self, point: &[f64]) -> &Leaf {
        let mut place = 0;
        loop {
            match &self.nodes[place] {
                Node::Split { rule, left, right } => {
                    place = if rule.holds(point) { *left } else { *right };
                }
                Node::Leaf(leaf) => return leaf,
            }
        }
    }

    /// All leaves.
    pub(super) fn leaves_mut(&mut self) -> impl Iterator<Item = &mut Leaf> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Leaf(leaf) => Some(leaf),
            Node::Split { .. } => None,
        })
    }
}

impl Leaf {
    fn new(sample: Sample<'_>, rows: &[usize]) -> Self {
        let n = rows.len().max(1) as f64;
        let mean = rows.iter().map(|r| sample.targets[*r]).sum::<f64>() / n;
        let square = |r: &usize| (sample.targets[*r] - mean).powi(2);
        Self {
            mean,
            variance: rows.iter().map(square).sum::<f64>() / n,
            rows: rows.to_vec(),
        }
    }
}

/// The rule after which the sum of squares is least.
fn best_rule(
    sample: Sample<'_>,
    rows: &[usize],
    growth: Growth,
    rng: &mut Pcg64Mcg,
) -> Option<Rule> {
    let mut best: Option<(f64, Rule)> = None;
    for (k, kind) in sample.kinds.iter().enumerate() {
        let found = match kind {
            Kind::Categories(count) => {
                let fits = |category| {
                    let rule = Rule::Equals(k, category as f64);
                    Some((gain(sample, rows, rule, growth.leaf)?, rule))
                };
                (0..*count)
                    .filter_map(fits)
                    .max_by(|a, b| a.0.total_cmp(&b.0))
            }
            Kind::Smooth | Kind::Steps(_) if growth.by_chance => {
                let xs = rows.iter().map(|r| sample.points[*r][k]);
                let low = xs.clone().fold(f64::INFINITY, f64::min);
                let high = xs.fold(f64::NEG_INFINITY, f64::max);
                let rule = Rule::Below(k, low + (high - low) * rng.random::<f64>());
                gain(sample, rows, rule, growth.leaf).map(|gain| (gain, rule))
            }
            Kind::Smooth | Kind::Steps(_) => best_threshold(sample, rows, k, growth.leaf),
        };
        if let Some(found) = found.filter(|f| best.is_none_or(|best| f.0 > best.0)) {
            best = Some(found);
        }
    }
    best.map(|(_, rule)| rule)
}

/// How much of the sum of squares a rule explains; `None` when it leaves too few on a side.
fn gain(sample: Sample<'_>, rows: &[usize], rule: Rule, leaf: usize) -> Option<f64> {
    let (mut sum, mut left_sum, mut left) = (0.0, 0.0, 0);
    for row in rows {
        let target = sample.targets[*row];
        sum += target;
        if rule.holds(&sample.points[*row]) {
            left_sum += target;
            left += 1;
        }
    }
    explained(sum, rows.len(), left_sum, left, leaf)
}

fn explained(sum: f64, count: usize, left_sum: f64, left: usize, leaf: usize) -> Option<f64> {
    let right = count - left;
    let right_sum = sum - left_sum;
    (left >= leaf.max(1) && right >= leaf.max(1)).then(|| {
        left_sum * left_sum / left as f64 + right_sum * right_sum / right as f64
            - sum * sum / count as f64
    })
}

fn best_threshold(
    sample: Sample<'_>,
    rows: &[usize],
    k: usize,
    leaf: usize,
) -> Option<(f64, Rule)> {
    let mut pairs: Vec<(f64, f64)> = rows
        .iter()
        .map(|r| (sample.points[*r][k], sample.targets[*r]))
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let sum = pairs.iter().map(|p| p.1).sum::<f64>();
    let mut left_sum = 0.0;
    let mut best: Option<(f64, Rule)> = None;
    for left in 1..pairs.len() {
        left_sum += pairs[left - 1].1;
        if pairs[left - 1].0 == pairs[left].0 {
            continue;
        }
        let threshold = f64::midpoint(pairs[left - 1].0, pairs[left].0);
        if let Some(gain) = explained(sum, pairs.len(), left_sum, left, leaf)
            && best.is_none_or(|best| gain > best.0)
        {
            best = Some((gain, Rule::Below(k, threshold)));
        }
    }
    best
}
