//! Standard test functions over real numbers (Surjanovic and Bingham, "Virtual Library of
//! Simulation Experiments"), moved so that no optimum lies in the middle of its box.

use std::f64::consts::{E, PI, TAU};

use diwan_api::search_space::Parameter;

use super::Problem;
use super::problem::{double, log_double};

const GROUP: &str = "continuous";

/// The smallest value of Branin's function.
pub(super) const BRANIN: f64 = 0.397_887_357_729_738;
/// The smallest value of Hartmann's function of six numbers.
const HARTMANN: f64 = -3.322_368_011_415_515;

/// All functions.
pub fn all() -> Vec<Problem> {
    let mut all = problems();
    all.extend(super::mixed::problems());
    all
}

/// The functions over real numbers.
fn problems() -> Vec<Problem> {
    vec![
        Problem::new((GROUP, "sphere6"), cube(6, 5.0), 0.0, |x| {
            moved(x, 0, 10.0).map(|z| z * z).sum()
        }),
        Problem::new((GROUP, "sphere4_log"), log_cube(4), 0.0, |x| {
            let places: Vec<f64> = x.iter().map(|x| x.log10()).collect();
            moved(&places, 6, 6.0).map(|z| z * z).sum()
        }),
        Problem::new((GROUP, "rosenbrock4"), cube(4, 2.048), 0.0, |x| {
            let z: Vec<f64> = x.iter().map(|x| x + 0.4).collect();
            rosenbrock(&z).ln_1p()
        }),
        Problem::new((GROUP, "ackley8"), cube(8, 32.768), 0.0, |x| {
            ackley(&moved(x, 10, 65.536).collect::<Vec<_>>())
        }),
        Problem::new((GROUP, "rastrigin5"), cube(5, 5.12), 0.0, |x| {
            rastrigin(&moved(x, 18, 10.24).collect::<Vec<_>>())
        }),
        Problem::new((GROUP, "levy6"), cube(6, 10.0), 0.0, |x| {
            levy(&moved(x, 23, 20.0).map(|z| z + 1.0).collect::<Vec<_>>())
        }),
        Problem::new(
            (GROUP, "branin"),
            vec![double("x0", -5.0, 10.0), double("x1", 0.0, 15.0)],
            BRANIN,
            |x| branin(x[0], x[1]),
        ),
        Problem::new((GROUP, "hartmann6"), unit_cube(6), HARTMANN, hartmann),
        Problem::new(
            ("noisy", "hartmann6_noisy"),
            unit_cube(6),
            HARTMANN,
            hartmann,
        )
        .noisy(0.2),
        Problem::new(("noisy", "levy4_noisy"), cube(4, 10.0), 0.0, |x| {
            levy(&moved(x, 29, 20.0).map(|z| z + 1.0).collect::<Vec<_>>()).ln_1p()
        })
        .noisy(0.3),
    ]
}

/// How far the optimum of dimension `i` is moved, in parts of the range: at most 0.35 either way.
pub(super) fn shift(i: usize) -> f64 {
    0.7 * (((i + 1) as f64 * 0.618_033_988_749_895).fract() - 0.5)
}

/// A point as seen from the optimum, which is moved by the shifts from `first` on.
pub(super) fn moved(x: &[f64], first: usize, width: f64) -> impl Iterator<Item = f64> {
    let places = x.iter().enumerate();
    places.map(move |(i, x)| x - shift(first + i) * width)
}

fn cube(dimensions: usize, reach: f64) -> Vec<Parameter> {
    (0..dimensions)
        .map(|i| double(format!("x{i}"), -reach, reach))
        .collect()
}

fn unit_cube(dimensions: usize) -> Vec<Parameter> {
    (0..dimensions)
        .map(|i| double(format!("x{i}"), 0.0, 1.0))
        .collect()
}

fn log_cube(dimensions: usize) -> Vec<Parameter> {
    (0..dimensions)
        .map(|i| log_double(format!("x{i}"), 1e-3, 1e3))
        .collect()
}

/// Smallest at (1, 1, …), with 0.
pub(super) fn rosenbrock(z: &[f64]) -> f64 {
    z.windows(2)
        .map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2))
        .sum()
}

/// Smallest at (0, 0, …), with 0.
pub(super) fn ackley(z: &[f64]) -> f64 {
    let count = z.len() as f64;
    let square = z.iter().map(|z| z * z).sum::<f64>() / count;
    let wave = z.iter().map(|z| (TAU * z).cos()).sum::<f64>() / count;
    20.0 - 20.0 * (-0.2 * square.sqrt()).exp() + E - wave.exp()
}

/// Smallest at (0, 0, …), with 0.
pub(super) fn rastrigin(z: &[f64]) -> f64 {
    z.iter()
        .map(|z| z * z + 10.0 * (1.0 - (TAU * z).cos()))
        .sum()
}

/// Smallest at (1, 1, …), with 0.
pub(super) fn levy(x: &[f64]) -> f64 {
    let w: Vec<f64> = x.iter().map(|x| 1.0 + (x - 1.0) / 4.0).collect();
    let last = w[w.len() - 1];
    let middle = w[..w.len() - 1]
        .iter()
        .map(|w| (w - 1.0).powi(2) * (1.0 + 10.0 * (PI * w + 1.0).sin().powi(2)));
    (PI * w[0]).sin().powi(2)
        + middle.sum::<f64>()
        + (last - 1.0).powi(2) * (1.0 + (TAU * last).sin().powi(2))
}

/// Smallest at (−π, 12.275), (π, 2.275) and (9.42478, 2.475).
pub(super) fn branin(x: f64, y: f64) -> f64 {
    (y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0).powi(2)
        + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos()
        + 10.0
}

fn hartmann(x: &[f64]) -> f64 {
    const WEIGHTS: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const STEEPNESS: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const CENTRES: [[f64; 6]; 4] = [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ];
    let hill = |k: usize| {
        let distance = (0..6).map(|j| STEEPNESS[k][j] * (x[j] - CENTRES[k][j]).powi(2));
        WEIGHTS[k] * (-distance.sum::<f64>()).exp()
    };
    -(0..4).map(hill).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_smallest_where_the_literature_says() {
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-5, "{value}");
        near(rosenbrock(&[1.0; 5]), 0.0);
        near(ackley(&[0.0; 5]), 0.0);
        near(rastrigin(&[0.0; 5]), 0.0);
        near(levy(&[1.0; 5]), 0.0);
        near(branin(-PI, 12.275), BRANIN);
        near(branin(9.424_78, 2.475), BRANIN);
        let optimum = [
            0.201_69, 0.150_011, 0.476_874, 0.275_332, 0.311_652, 0.657_3,
        ];
        near(hartmann(&optimum), HARTMANN);
    }

    #[test]
    fn no_search_beats_the_best_value_and_a_long_one_comes_near() {
        for problem in problems() {
            let mut draws = super::super::draw::Draws::new(1);
            let found = (0..2000)
                .map(|_| problem.value(&draws.point(&problem.space)))
                .fold(f64::INFINITY, f64::min);
            assert!(found >= problem.best, "{}: {found}", problem.name);
            assert!(found.is_finite(), "{}", problem.name);
        }
    }
}
