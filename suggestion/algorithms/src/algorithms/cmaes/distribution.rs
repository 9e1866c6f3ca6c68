//! The distribution from which one generation is drawn, and how it follows the next one.

use crate::axis::Axis;
use crate::math::cholesky::Cholesky;
use crate::math::normal;

/// Ordered dimensions with at most this many values keep a margin.
const MAX_STEPS: u64 = 64;

/// How far the mean goes towards a generation's better points, and how much faster than usual the
/// covariance follows them: more than for long runs, since 100 trials are about ten generations.
const STRIDE: f64 = 1.3;
const HASTE: f64 = 1.5;

/// Of a generation of so many points in so many dimensions: what Hansen's tutorial recommends.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    /// Of the ranks: those above the middle are positive and sum to 1, the others negative.
    weights: Vec<f64>,
    effective: f64,
    rank_one: f64,
    rank_mu: f64,
    path_sigma: f64,
    damping: f64,
    path_covariance: f64,
    /// The expected length of a standard normal vector.
    length: f64,
}

impl Rates {
    pub(super) fn new(dimensions: usize, population: usize) -> Self {
        let n = dimensions.max(1) as f64;
        let middle = (population as f64).midpoint(1.0).ln();
        let raw: Vec<f64> = (1..=population).map(|i| middle - (i as f64).ln()).collect();
        let sum = |positive: bool, power: i32| -> f64 {
            raw.iter()
                .filter(|w| (**w > 0.0) == positive)
                .map(|w| w.powi(power))
                .sum()
        };
        let effective = sum(true, 1).powi(2) / sum(true, 2);
        let negative = sum(false, 1).powi(2) / sum(false, 2).max(1e-300);
        let rank_one = 2.0 / ((n + 1.3).powi(2) + effective);
        let rank_mu = (1.0 - rank_one)
            .min(
                HASTE * 2.0 * (effective - 2.0 + 1.0 / effective) / ((n + 2.0).powi(2) + effective),
            )
            .max(1e-12);
        let least = (1.0 + rank_one / rank_mu)
            .min(1.0 + 2.0 * negative / (effective + 2.0))
            .min((1.0 - rank_one - rank_mu) / (n * rank_mu))
            .max(0.0);
        let weight = |w: &f64| {
            if *w > 0.0 {
                w / sum(true, 1)
            } else {
                least * w / sum(false, 1).abs().max(1e-300)
            }
        };
        let weights = raw.iter().map(weight).collect();
        let path_sigma = (effective + 2.0) / (n + effective + 5.0);
        Self {
            weights,
            effective,
            rank_one,
            rank_mu,
            path_sigma,
            damping: 1.0
                + 2.0 * (((effective - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0)
                + path_sigma,
            path_covariance: (4.0 + effective / n) / (n + 4.0 + 2.0 * effective / n),
            length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
        }
    }

    /// How many points make a generation.
    pub(super) fn population(&self) -> usize {
        self.weights.len()
    }
}

/// A normal distribution over the ordered dimensions and one distribution for each other.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    numbers: Numbers,
    categories: Vec<Category>,
    pace: Pace,
}

/// Over positions in the ordered dimensions that have more than one value.
#[derive(Clone, Debug)]
struct Numbers {
    /// Which dimension of the space each one is.
    places: Vec<usize>,
    /// Where the cells of a dimension with few values begin, and 1.
    borders: Vec<Option<Vec<f64>>>,
    mean: Vec<f64>,
    sigma: f64,
    covariance: Vec<Vec<f64>>,
    factor: Cholesky,
    /// By how much each dimension is stretched to keep its margin.
    stretch: Vec<f64>,
    path_sigma: Vec<f64>,
    path_covariance: Vec<f64>,
    generation: i32,
    margin: f64,
}

/// Over the values of one dimension without order.
#[derive(Clone, Debug)]
struct Category {
    place: usize,
    chances: Vec<f64>,
    least: f64,
}

/// The step of the categories' distributions, which grows while steps agree.
#[derive(Clone, Debug)]
struct Pace {
    steps: Vec<f64>,
    gamma: f64,
    slowness: f64,
}

impl Distribution {
    /// Around the middle, with a deviation of `sigma` in positions.
    pub(super) fn new(axes: &[Axis], sigma: f64) -> Self {
        let several = |place: &usize| axes[*place].count() != Some(1);
        let (ordered, other): (Vec<usize>, Vec<usize>) = (0..axes.len())
            .filter(several)
            .partition(|place| axes[*place].is_ordered());
        let few = |axis: &Axis| axis.count().filter(|count| *count <= MAX_STEPS);
        let stepped = ordered.iter().filter(|p| few(&axes[**p]).is_some()).count();
        let finite = (stepped + other.len()).max(1) as f64;
        let margin = 1.0 - 0.73f64.powf(1.0 / finite);
        let categories: Vec<Category> = other
            .into_iter()
            .map(|place| {
                let count = axes[place].count().unwrap_or(2).max(2) as usize;
                Category {
                    place,
                    chances: vec![1.0 / count as f64; count],
                    least: margin / (count - 1) as f64,
                }
            })
            .collect();
        let free: usize = categories.iter().map(|c| c.chances.len() - 1).sum();
        let d = ordered.len();
        let identity = |i: usize| (0..=i).map(|j| if i == j { 1.0 } else { 0.0 }).collect();
        let covariance: Vec<Vec<f64>> = (0..d).map(identity).collect();
        let mut distribution = Self {
            numbers: Numbers {
                borders: ordered
                    .iter()
                    .map(|p| few(&axes[*p]).map(|count| axes[*p].borders(count as usize)))
                    .collect(),
                places: ordered,
                mean: vec![0.5; d],
                sigma,
                factor: Cholesky::new(covariance.clone()).unwrap_or_default(),
                covariance,
                stretch: vec![1.0; d],
                path_sigma: vec![0.0; d],
                path_covariance: vec![0.0; d],
                generation: 0,
                margin,
            },
            categories,
            pace: Pace {
                steps: vec![0.0; free],
                gamma: 0.0,
                slowness: 1.0,
            },
        };
        distribution.numbers.keep_margin();
        distribution
    }

    /// The number of dimensions with an order, and of those without.
    pub(super) fn dimensions(&self) -> (usize, usize) {
        (self.numbers.places.len(), self.categories.len())
    }

    /// The widest deviation, in positions; 1 without dimensions that have an order.
    pub(super) fn width(&self) -> f64 {
        let numbers = &self.numbers;
        if numbers.places.is_empty() {
            return 1.0;
        }
        numbers
            .covariance
            .iter()
            .enumerate()
            .map(|(i, row)| numbers.sigma * row[i].sqrt())
            .fold(0.0, f64::max)
    }

    /// Moves the middle to positions, one for each dimension of the space.
    pub(super) fn centre(&mut self, positions: Vec<f64>) {
        for (mean, place) in self.numbers.mean.iter_mut().zip(&self.numbers.places) {
            *mean = positions[*place];
        }
        self.numbers.keep_margin();
    }

    /// The point to which numbers in (0, 1), one for each dimension of the space, belong.
    pub(super) fn draw(
        &self,
        dimensions: usize,
        mut uniform: impl FnMut(usize) -> f64,
    ) -> Vec<f64> {
        let mut point = vec![0.5; dimensions];
        let numbers = &self.numbers;
        let z: Vec<f64> = numbers
            .places
            .iter()
            .map(|p| normal::quantile(uniform(*p).clamp(1e-12, 1.0 - 1e-12)))
            .collect();
        for (i, place) in numbers.places.iter().enumerate() {
            let row = numbers.factor.row(i);
            let y: f64 = row.iter().zip(&z).map(|(l, z)| l * z).sum();
            let x = numbers.mean[i] + numbers.sigma * numbers.stretch[i] * y;
            point[*place] = reflect(x);
        }
        for category in &self.categories {
            let mut left = uniform(category.place);
            let index = category.chances.iter().position(|chance| {
                left -= chance;
                left < 0.0
            });
            point[category.place] = index.unwrap_or(category.chances.len() - 1) as f64;
        }
        point
    }

    /// Follows a generation, the best point first.
    pub(super) fn follow(&mut self, points: &[&[f64]], rates: &Rates) {
        if !self.numbers.places.is_empty() {
            self.numbers.follow(points, rates);
            self.numbers.keep_margin();
        }
        if !self.categories.is_empty() {
            self.follow_categories(points, rates);
        }
    }

    fn follow_categories(&mut self, points: &[&[f64]], rates: &Rates) {
        let mut gradients = Vec::with_capacity(self.categories.len());
        let mut roots = Vec::with_capacity(self.pace.steps.len());
        for category in &self.categories {
            let mut gradient = vec![0.0; category.chances.len()];
            for (point, weight) in points.iter().zip(&rates.weights).filter(|(_, w)| **w > 0.0) {
                let index = (point[category.place] as usize).min(gradient.len() - 1);
                gradient[index] += weight;
                for (g, chance) in gradient.iter_mut().zip(&category.chances) {
                    *g -= weight * chance;
                }
            }
            // In the metric of the Fisher information, whose root this approximates.
            let (last, chances) = category.chances.split_last().expect("two or more");
            let sum: f64 = gradient[..chances.len()].iter().sum();
            roots.extend(
                gradient
                    .iter()
                    .zip(chances)
                    .map(|(g, q)| g / q.sqrt() + q.sqrt() * sum / (last + last.sqrt())),
            );
            gradients.push(gradient);
        }
        let length = roots.iter().map(|r| r * r).sum::<f64>().sqrt();
        if length.is_nan() || length <= 1e-12 {
            return;
        }
        let step = self.pace.adapt(&roots, length);
        for (category, gradient) in self.categories.iter_mut().zip(&gradients) {
            for (chance, g) in category.chances.iter_mut().zip(gradient) {
                *chance += step / length * g;
            }
            category.keep_margin();
        }
    }
}

impl Pace {
    /// Takes in a direction and returns the length of the step to go along it.
    fn adapt(&mut self, direction: &[f64], length: f64) -> f64 {
        let step = 1.0 / self.slowness;
        let beta = step / (direction.len() as f64).sqrt();
        let turn = (beta * (2.0 - beta)).max(0.0);
        for (s, d) in self.steps.iter_mut().zip(direction) {
            *s = (1.0 - beta) * *s + turn.sqrt() * d / length;
        }
        self.gamma = (1.0 - beta).powi(2) * self.gamma + turn;
        let square: f64 = self.steps.iter().map(|s| s * s).sum();
        self.slowness = (self.slowness * (beta * (self.gamma - square / 1.5)).exp()).max(1.0);
        step
    }
}

impl Category {
    /// Leaves every value its least chance.
    fn keep_margin(&mut self) {
        let least = self.least;
        self.chances.iter_mut().for_each(|c| *c = c.max(least));
        let above: f64 = self.chances.iter().map(|c| c - least).sum();
        let room = 1.0 - least * self.chances.len() as f64;
        for chance in &mut self.chances {
            *chance = least + room * (*chance - least) / above.max(1e-300);
        }
    }
}

impl Numbers {
    fn follow(&mut self, points: &[&[f64]], rates: &Rates) {
        let d = self.places.len();
        let n = d as f64;
        let mut steps: Vec<Vec<f64>> = points.iter().map(|p| self.step(p)).collect();
        let lengths: Vec<f64> = steps
            .iter_mut()
            .map(|step| {
                let mut z = step.clone();
                self.factor.solve_lower(&mut z);
                let length = z.iter().map(|z| z * z).sum::<f64>().sqrt();
                // As long as a drawn one may be.
                let bound = n.sqrt() + 2.0 * n / (n + 2.0);
                if length > bound {
                    for s in step.iter_mut() {
                        *s *= bound / length;
                    }
                }
                length.min(bound)
            })
            .collect();
        let mut mean_step = vec![0.0; d];
        for (step, weight) in steps.iter().zip(&rates.weights).filter(|(_, w)| **w > 0.0) {
            add(&mut mean_step, *weight, step);
        }
        for ((mean, stretch), step) in self.mean.iter_mut().zip(&self.stretch).zip(&mean_step) {
            *mean = (*mean + STRIDE * self.sigma * stretch * step).clamp(0.0, 1.0);
        }
        let mut white = mean_step.clone();
        self.factor.solve_lower(&mut white);
        let c = rates.path_sigma;
        self.path_sigma.iter_mut().for_each(|p| *p *= 1.0 - c);
        add(
            &mut self.path_sigma,
            (c * (2.0 - c) * rates.effective).sqrt(),
            &white,
        );
        let length = self.path_sigma.iter().map(|p| p * p).sum::<f64>().sqrt();
        self.generation += 1;
        let expected = (1.0 - (1.0 - c).powi(2 * self.generation)).sqrt();
        let calm = length / expected < (1.4 + 2.0 / (n + 1.0)) * rates.length;
        let growth = (c / rates.damping * (length / rates.length - 1.0)).min(0.6);
        self.sigma = (self.sigma * growth.exp()).clamp(1e-9, 0.6);
        let c = rates.path_covariance;
        self.path_covariance.iter_mut().for_each(|p| *p *= 1.0 - c);
        if calm {
            let factor = (c * (2.0 - c) * rates.effective).sqrt();
            add(&mut self.path_covariance, factor, &mean_step);
        }
        self.shape(&steps, &lengths, rates, calm);
    }

    /// Adapts the covariance.
    fn shape(&mut self, steps: &[Vec<f64>], lengths: &[f64], rates: &Rates, calm: bool) {
        let n = self.places.len() as f64;
        let c = rates.path_covariance;
        let lost = if calm { 0.0 } else { c * (2.0 - c) };
        let total: f64 = rates.weights.iter().sum();
        let keep = 1.0 + rates.rank_one * (lost - 1.0) - rates.rank_mu * total;
        let weights: Vec<f64> = rates
            .weights
            .iter()
            .zip(lengths)
            .map(|(w, length)| {
                if *w > 0.0 {
                    *w
                } else {
                    w * n / (length * length + 1e-12)
                }
            })
            .map(|w| w * rates.rank_mu)
            .collect();
        let mut next = self.covariance.clone();
        for (i, row) in next.iter_mut().enumerate() {
            for (j, entry) in row.iter_mut().enumerate() {
                let path = self.path_covariance[i] * self.path_covariance[j];
                let spread: f64 = steps
                    .iter()
                    .zip(&weights)
                    .map(|(s, w)| w * s[i] * s[j])
                    .sum();
                *entry = keep * *entry + rates.rank_one * path + spread;
            }
            row[i] += 1e-10;
        }
        // Too close to flat to be factored: the shape stays.
        if let Some(factor) = Cholesky::new(next.clone()) {
            self.factor = factor;
            self.covariance = next;
        }
    }

    /// The step from the mean to a point, without the deviation's size.
    fn step(&self, point: &[f64]) -> Vec<f64> {
        (0..self.places.len())
            .map(|i| (point[self.places[i]] - self.mean[i]) / (self.sigma * self.stretch[i]))
            .collect()
    }

    /// Stretches dimensions with few values so far that values other than the mean's have a
    /// chance of at least the margin.
    fn keep_margin(&mut self) {
        let reach = -normal::quantile(self.margin);
        for i in 0..self.places.len() {
            let Some(borders) = &self.borders[i] else {
                continue;
            };
            let inner = &borders[1..borders.len() - 1];
            let nearest = inner
                .iter()
                .map(|b| (b - self.mean[i]).abs())
                .fold(f64::INFINITY, f64::min);
            let deviation = self.sigma * self.covariance[i][i].sqrt();
            self.stretch[i] = (nearest / reach / deviation.max(1e-300)).max(1.0);
        }
    }
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(t, w)| *t += factor * w);
}

/// Folds what is outside of [0, 1] back into it.
fn reflect(x: f64) -> f64 {
    let x = x.rem_euclid(2.0);
    if x > 1.0 { 2.0 - x } else { x }
}
