//! The limited-memory BFGS method inside a box (Liu and Nocedal, "On the Limited Memory BFGS
//! Method for Large Scale Optimization", 1989), with steps that are projected on the box.

use std::collections::VecDeque;

use super::cholesky::dot;

/// How many past steps shape the next one.
const MEMORY: usize = 8;

/// How often a step is shortened before the search ends.
const SHORTENINGS: usize = 12;

/// Minimizes from `start` and returns the best point with its value. The function gives its value
/// and writes its gradient; a value that is not finite counts as too large.
pub(crate) fn minimize(
    start: Vec<f64>,
    bounds: &[(f64, f64)],
    iterations: usize,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> (Vec<f64>, f64) {
    let n = start.len();
    let mut x = start;
    let mut gradient = vec![0.0; n];
    let mut value = function(&x, &mut gradient);
    let mut memory: VecDeque<Step> = VecDeque::new();
    for _ in 0..iterations {
        let free = free_directions(&x, &gradient, bounds);
        let mut direction = two_loop(&memory, &gradient, &free);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = two_loop(&memory, &gradient, &free);
            slope = dot(&direction, &gradient);
        }
        if slope.is_nan() || slope >= -1e-12 * (1.0 + value.abs()) {
            break;
        }
        let Some((new_x, new_value, new_gradient)) = shorten(
            &x,
            value,
            &gradient,
            &direction,
            bounds,
            memory.is_empty(),
            &mut function,
        ) else {
            break;
        };
        let step = Step::between((&x, &gradient), (&new_x, &new_gradient));
        let gain = value - new_value;
        (x, value, gradient) = (new_x, new_value, new_gradient);
        if let Some(step) = step {
            memory.push_back(step);
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        if gain < 1e-7 * (1.0 + value.abs()) {
            break;
        }
    }
    (x, value)
}

/// A past step and what it did to the gradient.
struct Step {
    x: Vec<f64>,
    gradient: Vec<f64>,
    product: f64,
}

impl Step {
    /// `None` when the curvature along the step is not positive.
    fn between(from: (&[f64], &[f64]), to: (&[f64], &[f64])) -> Option<Self> {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
        let (x, gradient) = (minus(to.0, from.0), minus(to.1, from.1));
        let product = dot(&x, &gradient);
        (product > 1e-14).then_some(Self {
            x,
            gradient,
            product,
        })
    }
}

/// 1 for coordinates that may move along the negative gradient, 0 for those held by a bound.
fn free_directions(x: &[f64], gradient: &[f64], bounds: &[(f64, f64)]) -> Vec<f64> {
    let held = |((x, g), (low, high)): ((&f64, &f64), &(f64, f64))| {
        if (*x <= *low && *g > 0.0) || (*x >= *high && *g < 0.0) {
            0.0
        } else {
            1.0
        }
    };
    x.iter().zip(gradient).zip(bounds).map(held).collect()
}

/// The direction in which to go.
fn two_loop(memory: &VecDeque<Step>, gradient: &[f64], free: &[f64]) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().zip(free).map(|(g, f)| -g * f).collect();
    let mut factors = Vec::with_capacity(memory.len());
    for step in memory.iter().rev() {
        let factor = dot(&step.x, &q) / step.product;
        add(&mut q, -factor, &step.gradient);
        factors.push(factor);
    }
    if let Some(last) = memory.back() {
        let scale = last.product / dot(&last.gradient, &last.gradient);
        for q in &mut q {
            *q *= scale;
        }
    }
    for (step, factor) in memory.iter().zip(factors.iter().rev()) {
        let back = dot(&step.gradient, &q) / step.product;
        add(&mut q, factor - back, &step.x);
    }
    q.iter_mut().zip(free).for_each(|(q, f)| *q *= f);
    q
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(t, w)| *t += factor * w);
}

/// Goes along the direction, less and less far, until the value falls enough.
fn shorten(
    x: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    bounds: &[(f64, f64)],
    first: bool,
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<(Vec<f64>, f64, Vec<f64>)> {
    let longest = direction.iter().fold(0.0, |m: f64, d| m.max(d.abs()));
    let widest = bounds.iter().fold(0.0, |m: f64, (l, h)| m.max(h - l));
    let reach = if first { 0.1 } else { 0.5 } * widest;
    let mut length = (reach / longest).min(1.0);
    let mut new_gradient = vec![0.0; x.len()];
    for _ in 0..SHORTENINGS {
        let new_x: Vec<f64> = x
            .iter()
            .zip(direction)
            .zip(bounds)
            .map(|((x, d), (low, high))| (x + length * d).clamp(*low, *high))
            .collect();
        let moved: f64 = (0..x.len()).map(|i| gradient[i] * (new_x[i] - x[i])).sum();
        let new_value = function(&new_x, &mut new_gradient);
        if new_value.is_finite() && new_value <= value + 1e-4 * moved.min(0.0) && new_value < value
        {
            return Some((new_x, new_value, new_gradient));
        }
        length *= 0.35;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curved_valley_is_followed_to_its_end() {
        let rosenbrock = |x: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            g[0] = -2.0 * a - 400.0 * b * x[0];
            g[1] = 200.0 * b;
            a * a + 100.0 * b * b
        };
        let (x, value) = minimize(vec![-1.0, 1.0], &[(-2.0, 2.0); 2], 200, rosenbrock);
        assert!(value < 1e-6, "{x:?} {value}");
        let (x, _) = minimize(
            vec![-1.0, 1.0],
            &[(-2.0, 0.5), (-2.0, 2.0)],
            200,
            rosenbrock,
        );
        assert!(
            (x[0] - 0.5).abs() < 1e-6 && (x[1] - 0.25).abs() < 1e-3,
            "{x:?}"
        );
    }

    #[test]
    fn a_function_without_values_leaves_the_start() {
        let (x, _) = minimize(vec![0.5], &[(0.0, 1.0)], 10, |_, _| f64::NAN);
        assert_eq!(x, [0.5]);
    }
}
