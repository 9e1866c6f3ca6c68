//! Test functions over whole numbers, lists and categories, alone and beside real numbers.

use diwan_api::search_space::{Parameter, Scale};

use super::Problem;
use super::functions::{BRANIN, ackley, branin, levy, rastrigin, rosenbrock, shift};
use super::problem::{category, discrete, double, int, log_double};

const GROUP: &str = "mixed";

/// The functions over mixed spaces.
pub(super) fn problems() -> Vec<Problem> {
    vec![
        branin_int(),
        branin_mixed(),
        branin_categorical(),
        levy_int(),
        ackley_mixed(),
        rastrigin_mixed(),
        rosenbrock_mixed(),
        training(),
    ]
}

fn branin_int() -> Problem {
    let space = vec![
        int("x0", -5, 10, Scale::Uniform),
        int("x1", 0, 15, Scale::Uniform),
    ];
    Problem::unsolved((GROUP, "branin_int"), space, |x| branin(x[0], x[1]))
}

/// The list has the second number of an optimum.
fn branin_mixed() -> Problem {
    let list = [0.0, 1.5, 2.275, 4.0, 6.0, 8.0, 10.0, 12.5, 14.0, 15.0];
    let space = vec![double("x0", -5.0, 10.0), discrete("x1", &list)];
    Problem::new((GROUP, "branin_mixed"), space, BRANIN, |x| {
        branin(x[0], x[1])
    })
}

/// The category says which of five Branin functions counts, each moved, stretched and raised.
fn branin_categorical() -> Problem {
    const KINDS: [(f64, f64, f64, f64); 5] = [
        (1.3, 1.0, 0.7, -1.0),
        (0.8, 2.5, -1.2, 0.5),
        (1.0, 0.0, 0.4, 0.8),
        (1.1, 0.6, -0.5, -0.7),
        (0.9, 4.0, 0.0, 1.5),
    ];
    let space = vec![
        double("x0", -5.0, 10.0),
        double("x1", 0.0, 15.0),
        category("kind", &["a", "b", "c", "d", "e"]),
    ];
    Problem::unsolved((GROUP, "branin_categorical"), space, |x| {
        let (factor, raised, right, up) = KINDS[x[2] as usize];
        factor * branin(x[0] - right, x[1] - up) + raised
    })
}

/// Whole numbers whose optimum is a corner of no box.
fn levy_int() -> Problem {
    let space: Vec<Parameter> = (0..6)
        .map(|i| int(format!("n{i}"), -10, 10, Scale::Uniform))
        .collect();
    Problem::new((GROUP, "levy6_int"), space, 0.0, |x| {
        let z = x.iter().enumerate();
        let z: Vec<f64> = z
            .map(|(i, x)| x - (shift(40 + i) * 20.0).round() + 1.0)
            .collect();
        levy(&z)
    })
}

/// How far from the best each of five categories is; the order is no order.
const LEVELS: [f64; 5] = [2.0, -1.0, 0.0, 3.0, -2.0];

fn ackley_mixed() -> Problem {
    let mut space: Vec<_> = (0..4).map(|i| double(format!("x{i}"), -5.0, 5.0)).collect();
    space.extend((0..2).map(|i| int(format!("n{i}"), -5, 5, Scale::Uniform)));
    space.extend((0..2).map(|i| category(format!("c{i}"), &["p", "q", "r", "s", "t"])));
    Problem::new((GROUP, "ackley8_mixed"), space, 0.0, |x| {
        let mut z: Vec<f64> = (0..4).map(|i| x[i] - shift(50 + i) * 10.0).collect();
        z.extend([x[4] - 2.0, x[5] + 3.0]);
        z.extend(x[6..].iter().map(|c| LEVELS[*c as usize]));
        ackley(&z)
    })
}

fn rastrigin_mixed() -> Problem {
    let mut space: Vec<_> = (0..2)
        .map(|i| double(format!("x{i}"), -5.12, 5.12))
        .collect();
    space.push(int("n0", -5, 5, Scale::Uniform));
    space.push(discrete("d0", &[-4.0, -2.5, -1.0, 0.0, 0.5, 2.0, 3.5]));
    space.push(category("c0", &["p", "q", "r", "s", "t"]));
    Problem::new((GROUP, "rastrigin5_mixed"), space, 0.0, |x| {
        let moved = [x[0] - shift(60) * 10.24, x[1] - shift(61) * 10.24];
        rastrigin(&[
            moved[0],
            moved[1],
            x[2] + 2.0,
            x[3] - 2.0,
            LEVELS[x[4] as usize],
        ])
    })
}

/// Two real numbers, one of them drawn evenly in the logarithm, and a whole number.
fn rosenbrock_mixed() -> Problem {
    let space = vec![
        double("x0", -2.0, 2.0),
        log_double("x1", 1e-2, 1e2),
        int("n0", 0, 40, Scale::Uniform),
    ];
    Problem::new((GROUP, "rosenbrock3_mixed"), space, 0.0, |x| {
        // 1 is reached by x0 = 0.6, x1 = √10 and n0 = 30.
        rosenbrock(&[x[0] + 0.4, 2.0 * x[1].log10(), (x[2] - 20.0) / 10.0]).ln_1p()
    })
}

/// What the training of a network is like: a valley of the learning rate that moves with the
/// optimizer and the batch, a cliff where it diverges, a width that depends on the depth.
fn training() -> Problem {
    let space = vec![
        log_double("lr", 1e-6, 10.0),
        int("batch", 8, 512, Scale::LogUniform),
        int("layers", 1, 6, Scale::Uniform),
        int("width", 16, 1024, Scale::LogUniform),
        double("dropout", 0.0, 0.8),
        category("optimizer", &["sgd", "momentum", "rmsprop", "adam"]),
        category("activation", &["logistic", "tanh", "relu"]),
        log_double("decay", 1e-8, 1.0),
    ];
    Problem::unsolved((GROUP, "training8"), space, |x| {
        let usual = [-0.7, -1.6, -3.2, -2.8][x[5] as usize];
        let penalty = [0.03, 0.02, 0.01, 0.0][x[5] as usize];
        let step = x[0].log10() - usual - 0.5 * (x[1] / 64.0).log10();
        if step > 1.0 {
            return 2.5;
        }
        let depth = (x[2] - 3.0).abs() * [0.06, 0.03, 0.02][x[6] as usize];
        let width = x[3].log2() - 7.5 + 0.4 * (x[2] - 3.0);
        let dropout = x[4] - 0.05 * x[2] - 0.02 * (x[3].log2() - 4.0);
        let decay = x[7].log10() + 3.7 + 0.5 * step;
        0.2 + 0.25 * step * step
            + 0.03 * width * width
            + 0.8 * dropout * dropout
            + 0.02 * decay * decay
            + depth
            + penalty
            + [0.05, 0.01, 0.0][x[6] as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::draw::Draws;

    #[test]
    fn no_point_is_better_than_the_best() {
        for problem in problems() {
            let mut draws = Draws::new(2);
            for _ in 0..5000 {
                let value = problem.value(&draws.point(&problem.space));
                assert!(value >= problem.best, "{}: {value}", problem.name);
            }
            assert!(problem.best.is_finite());
        }
    }

    #[test]
    fn what_is_said_to_be_reached_is_reached() {
        use diwan_api::search_space::Value::{Double, Index, Int};
        let near = |problem: Problem, point: &[diwan_api::search_space::Value]| {
            let value = problem.value(point);
            assert!(value - problem.best < 1e-9, "{}: {value}", problem.name);
        };
        near(
            rosenbrock_mixed(),
            &[Double(0.6), Double(10_f64.sqrt()), Int(30)],
        );
        let x = |i: usize, width: f64| Double(shift(i) * width);
        near(
            rastrigin_mixed(),
            &[x(60, 10.24), x(61, 10.24), Int(-2), Index(5), Index(2)],
        );
        let real = [x(50, 10.0), x(51, 10.0), x(52, 10.0), x(53, 10.0)];
        let others = [Int(2), Int(-3), Index(2), Index(2)];
        near(ackley_mixed(), &[&real[..], &others[..]].concat());
        let whole: Vec<_> = (0..6)
            .map(|i| Int((shift(40 + i) * 20.0).round() as i64))
            .collect();
        near(levy_int(), &whole);
    }
}
