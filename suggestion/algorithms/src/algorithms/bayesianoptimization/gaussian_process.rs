//! Gaussian process regression with a Matérn 5/2 kernel (Rasmussen and Williams, "Gaussian
//! Processes for Machine Learning", 2006). Every coordinate has a length scale of its own;
//! categories are as far apart as their coordinate's weight says (Ru et al., "Bayesian
//! Optimisation over Multiple Continuous and Categorical Inputs", 2020, with one product kernel).
//!
//! Length scales, scale and noise are those of the largest posterior probability.

use super::coding::Kind;
use super::surrogate::{Slope, Surrogate};
use crate::math::cholesky::{Cholesky, dot};
use crate::math::lbfgs;

/// Numbers that shape the kernel.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Of each coordinate: what a squared distance of one adds to the squared radius.
    weights: Vec<f64>,
    scale: f64,
    noise: f64,
}

/// Logarithms of the bounds of weights, scale and noise.
const WEIGHT_BOUNDS: (f64, f64) = (-9.0, 9.0);
const SCALE_BOUNDS: (f64, f64) = (-4.0, 4.0);
const NOISE_BOUNDS: (f64, f64) = (-13.0, 0.5);

/// A process that has seen its points.
#[derive(Clone)]
pub(super) struct GaussianProcess {
    kinds: Vec<Kind>,
    shape: Shape,
    /// One column for each coordinate.
    columns: Vec<Vec<f64>>,
    factor: Cholesky,
    /// The inverse of the covariance times the targets.
    alpha: Vec<f64>,
    /// The inverse of the covariance.
    inverse: Vec<Vec<f64>>,
}

impl Shape {
    /// The shape that explains the targets (of mean 0 and deviation 1) best, starting from what
    /// is likely beforehand.
    pub(super) fn fit(
        kinds: &[Kind],
        points: &[&[f64]],
        targets: &[f64],
        iterations: usize,
    ) -> Self {
        let n = points.len();
        let d = kinds.len();
        let squares: Vec<Vec<f64>> = (0..d)
            .map(|k| {
                let mut squares = Vec::with_capacity(n * n.saturating_sub(1) / 2);
                for i in 1..n {
                    squares.extend((0..i).map(|j| distance(kinds[k], points[i][k], points[j][k])));
                }
                squares
            })
            .collect();
        let prior = Prior::new(d);
        let mut bounds = vec![WEIGHT_BOUNDS; d];
        bounds.extend([SCALE_BOUNDS, NOISE_BOUNDS]);
        let mut start = vec![prior.weight; d];
        start.extend([0.0, FIRST_NOISE]);
        let (x, _) = lbfgs::minimize(start, &bounds, iterations, |x, gradient| {
            loss(x, gradient, &squares, targets, &prior)
        });
        Self::from_logarithms(&x)
    }

    fn from_logarithms(x: &[f64]) -> Self {
        let (weights, rest) = x.split_at(x.len() - 2);
        Self {
            weights: weights.iter().map(|w| w.exp()).collect(),
            scale: rest[0].exp(),
            noise: rest[1].exp(),
        }
    }
}

/// Where the search for the noise begins, as a logarithm.
const FIRST_NOISE: f64 = -5.0;

/// Normal distributions of the logarithms of weights, scale and noise before anything was seen:
/// mean and deviation. The more dimensions, the longer length scales are likely to be (Hvarfner et
/// al., "Vanilla Bayesian Optimization Performs Great in High Dimensions", 2024).
const WEIGHT: (f64, f64) = (2.5, 1.5);
const SCALE: (f64, f64) = (0.0, 1.0);
const NOISE: (f64, f64) = (-6.0, 2.0);

/// What is likely beforehand in a space of some dimensions.
struct Prior {
    weight: f64,
}

impl Prior {
    fn new(dimensions: usize) -> Self {
        Self {
            weight: WEIGHT.0 - (dimensions.max(1) as f64).ln(),
        }
    }

    /// The negative logarithm of the density; its slope is added to the gradient.
    fn loss(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let d = x.len() - 2;
        let mut sum = 0.0;
        let mut add = |i: usize, mean: f64, deviation: f64| {
            let z = (x[i] - mean) / deviation;
            gradient[i] += z / deviation;
            sum += 0.5 * z * z;
        };
        for i in 0..d {
            add(i, self.weight, WEIGHT.1);
        }
        add(d, SCALE.0, SCALE.1);
        add(d + 1, NOISE.0, NOISE.1);
        sum
    }
}

fn distance(kind: Kind, a: f64, b: f64) -> f64 {
    match kind {
        Kind::Categories(_) => f64::from(u8::from(a != b)),
        Kind::Smooth | Kind::Steps(_) => (a - b) * (a - b),
    }
}

/// The kernel and its derivative in the squared radius.
fn matern(square: f64) -> (f64, f64) {
    let r = (5.0 * square).sqrt();
    let e = (-r).exp();
    ((1.0 + r + r * r / 3.0) * e, -5.0 / 6.0 * (1.0 + r) * e)
}

/// The negative logarithm of the posterior probability of a shape and its gradient.
fn loss(
    x: &[f64],
    gradient: &mut [f64],
    squares: &[Vec<f64>],
    targets: &[f64],
    prior: &Prior,
) -> f64 {
    let n = targets.len();
    let d = squares.len();
    let shape = Shape::from_logarithms(x);
    let pairs = n * n.saturating_sub(1) / 2;
    let mut radius = vec![0.0; pairs];
    for (weight, squares) in shape.weights.iter().zip(squares) {
        for (r, s) in radius.iter_mut().zip(squares) {
            *r += weight * s;
        }
    }
    let (values, slopes): (Vec<f64>, Vec<f64>) = radius.into_iter().map(matern).unzip();
    let mut at = 0;
    let rows = (0..n).map(|i| {
        let mut row: Vec<f64> = values[at..at + i].iter().map(|v| shape.scale * v).collect();
        row.push(shape.scale + shape.noise);
        at += i;
        row
    });
    let Some(factor) = Cholesky::new(rows) else {
        return f64::INFINITY;
    };
    let mut alpha = targets.to_vec();
    factor.solve(&mut alpha);
    let value = 0.5 * dot(targets, &alpha) + 0.5 * factor.log_determinant();
    let inverse = factor.inverse();
    // What a change of each covariance does to the loss, times the kernel's slope.
    let mut pull = Vec::with_capacity(pairs);
    let (mut by_scale, mut trace) = (0.0, 0.0);
    at = 0;
    for i in 0..n {
        for j in 0..i {
            let g = inverse[i][j] - alpha[i] * alpha[j];
            by_scale += g * values[at];
            pull.push(g * slopes[at]);
            at += 1;
        }
        trace += inverse[i][i] - alpha[i] * alpha[i];
    }
    for k in 0..d {
        gradient[k] = shape.scale * shape.weights[k] * dot(&pull, &squares[k]);
    }
    gradient[d] = shape.scale * (by_scale + 0.5 * trace);
    gradient[d + 1] = 0.5 * shape.noise * trace;
    value + prior.loss(x, gradient)
}

impl GaussianProcess {
    /// Takes in all points. `None` when the covariance can't be factored, which takes points that
    /// are not numbers.
    pub(super) fn new(
        kinds: &[Kind],
        mut shape: Shape,
        points: &[&[f64]],
        targets: &[f64],
    ) -> Option<Self> {
        shape.noise = shape.noise.max(1e-8 * shape.scale);
        let mut process = Self {
            kinds: kinds.to_vec(),
            shape,
            columns: vec![Vec::new(); kinds.len()],
            factor: Cholesky::default(),
            alpha: Vec::new(),
            inverse: Vec::new(),
        };
        for (point, target) in points.iter().zip(targets) {
            let covariances = process.covariances(point);
            let row = covariances.into_iter().map(|(k, _)| k).collect();
            process.push(point, row)?;
            process.alpha.push(*target);
        }
        process.factor.solve(&mut process.alpha);
        process.inverse = process.factor.inverse();
        Some(process)
    }

    /// Takes in a point with its covariances with those before.
    fn push(&mut self, point: &[f64], mut row: Vec<f64>) -> Option<()> {
        row.push(self.shape.scale + self.shape.noise);
        self.factor.push(row)?;
        for (column, x) in self.columns.iter_mut().zip(point) {
            column.push(*x);
        }
        Some(())
    }

    /// The covariances of a point with those seen, and their derivatives in the squared radius.
    fn covariances(&self, point: &[f64]) -> Vec<(f64, f64)> {
        let mut radius = vec![0.0; self.factor.len()];
        for (((kind, column), weight), x) in self
            .kinds
            .iter()
            .zip(&self.columns)
            .zip(&self.shape.weights)
            .zip(point)
        {
            if let Kind::Categories(_) = kind {
                for (r, c) in radius.iter_mut().zip(column) {
                    *r += if *c == *x { 0.0 } else { *weight };
                }
            } else {
                for (r, c) in radius.iter_mut().zip(column) {
                    *r += weight * (c - x) * (c - x);
                }
            }
        }
        let scale = self.shape.scale;
        radius
            .into_iter()
            .map(|r| {
                let (value, slope) = matern(r);
                (scale * value, scale * slope)
            })
            .collect()
    }
}

impl Surrogate for GaussianProcess {
    fn predict(&self, point: &[f64]) -> (f64, f64) {
        let mut covariances: Vec<f64> = self
            .covariances(point)
            .into_iter()
            .map(|(k, _)| k)
            .collect();
        let mean = dot(&covariances, &self.alpha);
        self.factor.solve_lower(&mut covariances);
        let variance = self.shape.scale - dot(&covariances, &covariances);
        (mean, variance.max(1e-12 * self.shape.scale).sqrt())
    }

    fn slope(&self, point: &[f64]) -> Option<Slope> {
        let (covariances, slopes): (Vec<f64>, Vec<f64>) =
            self.covariances(point).into_iter().unzip();
        let mean = dot(&covariances, &self.alpha);
        let solved: Vec<f64> = self.inverse.iter().map(|r| dot(r, &covariances)).collect();
        let variance = self.shape.scale - dot(&covariances, &solved);
        let deviation = variance.max(1e-12 * self.shape.scale).sqrt();
        let to_mean: Vec<f64> = slopes.iter().zip(&self.alpha).map(|(s, a)| s * a).collect();
        let to_variance: Vec<f64> = slopes.iter().zip(&solved).map(|(s, v)| s * v).collect();
        let mut of_mean = vec![0.0; point.len()];
        let mut of_deviation = vec![0.0; point.len()];
        for (k, x) in point.iter().enumerate() {
            if let Kind::Categories(_) = self.kinds[k] {
                continue;
            }
            let (mut m, mut v) = (0.0, 0.0);
            for ((c, to_mean), to_variance) in
                self.columns[k].iter().zip(&to_mean).zip(&to_variance)
            {
                m += to_mean * (x - c);
                v += to_variance * (x - c);
            }
            of_mean[k] = 2.0 * self.shape.weights[k] * m;
            of_deviation[k] = -2.0 * self.shape.weights[k] * v / deviation;
        }
        Some(Slope {
            mean,
            deviation,
            of_mean,
            of_deviation,
        })
    }

    /// Adds a row to the factor and a border to the inverse. What is expected anyhow changes no
    /// expectation, so that the new point's part of `alpha` is 0.
    fn imagine(&mut self, point: &[f64]) {
        let row: Vec<f64> = self
            .covariances(point)
            .into_iter()
            .map(|(k, _)| k)
            .collect();
        let solved: Vec<f64> = self.inverse.iter().map(|r| dot(r, &row)).collect();
        if self.push(point, row).is_none() {
            return;
        }
        let last = self.factor.len() - 1;
        let rest = self.factor.row(last)[last].powi(2);
        for (line, a) in self.inverse.iter_mut().zip(&solved) {
            for (entry, b) in line.iter_mut().zip(&solved) {
                *entry += a * b / rest;
            }
            line.push(-a / rest);
        }
        let mut border: Vec<f64> = solved.iter().map(|a| -a / rest).collect();
        border.push(1.0 / rest);
        self.inverse.push(border);
        self.alpha.push(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 3] = [Kind::Smooth, Kind::Smooth, Kind::Categories(3)];

    fn points(n: usize) -> Vec<Vec<f64>> {
        let part = |i: usize, step: f64| (i as f64 * step).fract();
        (0..n)
            .map(|i| vec![part(i, 0.618), part(i, 0.755), (i % 3) as f64])
            .collect()
    }

    fn process(n: usize) -> GaussianProcess {
        let points = points(n);
        let points: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        let target = |p: &&[f64]| (5.0 * p[0]).sin() + 0.3 * p[2];
        let targets: Vec<f64> = points.iter().map(target).collect();
        let shape = Shape::fit(&KINDS, &points, &targets, 30);
        GaussianProcess::new(&KINDS, shape, &points, &targets).unwrap()
    }

    #[test]
    fn the_gradient_of_the_fit_is_a_difference() {
        let points = points(12);
        let squares: Vec<Vec<f64>> = (0..3)
            .map(|k| {
                let pair = |i: usize, j: usize| distance(KINDS[k], points[i][k], points[j][k]);
                (1..12)
                    .flat_map(|i| (0..i).map(move |j| (i, j)))
                    .map(|(i, j)| pair(i, j))
                    .collect()
            })
            .collect();
        let targets: Vec<f64> = (0..12).map(|i| f64::from(i % 5) - 2.0).collect();
        let prior = Prior::new(3);
        let x = [0.3, 1.0, -0.5, 0.2, -2.0];
        let mut gradient = vec![0.0; 5];
        loss(&x, &mut gradient, &squares, &targets, &prior);
        for i in 0..5 {
            let at = |step: f64| {
                let mut x = x;
                x[i] += step;
                loss(&x, &mut [0.0; 5], &squares, &targets, &prior)
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (gradient[i] - difference).abs() < 1e-4,
                "{i}: {} {difference}",
                gradient[i]
            );
        }
    }

    #[test]
    fn slopes_are_differences_of_predictions() {
        let process = process(25);
        let point = [0.33, 0.71, 1.0];
        let slope = process.slope(&point).unwrap();
        let (mean, deviation) = process.predict(&point);
        assert!((slope.mean - mean).abs() < 1e-7 && (slope.deviation - deviation).abs() < 1e-5);
        for k in 0..2 {
            let at = |step: f64| {
                let mut point = point;
                point[k] += step;
                process.predict(&point)
            };
            let (high, low) = (at(1e-5), at(-1e-5));
            assert!((slope.of_mean[k] - (high.0 - low.0) / 2e-5).abs() < 1e-3);
            assert!((slope.of_deviation[k] - (high.1 - low.1) / 2e-5).abs() < 1e-3);
        }
    }

    #[test]
    fn a_smooth_function_is_learned() {
        let process = process(40);
        for (x, category) in [(0.25, 0.0), (0.5, 1.0), (0.8, 2.0)] {
            let (mean, deviation) = process.predict(&[x, 0.4, category]);
            let truth = (5.0 * x).sin() + 0.3 * category;
            assert!((mean - truth).abs() < 0.15, "{mean} {truth} {deviation}");
        }
    }

    #[test]
    fn an_imagined_point_lowers_the_deviation_and_nothing_else() {
        let mut process = process(20);
        let point = [0.9, 0.05, 2.0];
        let (mean, deviation) = process.predict(&point);
        let elsewhere = process.predict(&[0.1, 0.5, 0.0]).0;
        process.imagine(&point);
        let after = process.predict(&point);
        assert!((after.0 - mean).abs() < 1e-8 && after.1 < deviation);
        assert!((process.predict(&[0.1, 0.5, 0.0]).0 - elsewhere).abs() < 1e-8);
        let slope = process.slope(&point).unwrap();
        assert!((slope.deviation - after.1).abs() < 1e-5);
    }
}
