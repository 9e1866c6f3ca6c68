//! What random search reaches: the measure of all others.

use super::Problem;
use super::draw::Draws;

/// How many random searches there are.
const RUNS: u64 = 200;

/// The median over random searches of the value that was reached after each trial.
pub fn random_search(problem: &Problem, budget: usize) -> Vec<f64> {
    let runs: Vec<Vec<f64>> = (0..RUNS)
        .map(|run| {
            let mut draws = Draws::new(10_000 + run);
            let (mut observed, mut reached) = (f64::INFINITY, f64::INFINITY);
            let values = (0..budget).map(|_| {
                let value = problem.value(&draws.point(&problem.space));
                let loss = value + problem.noise * draws.normal();
                if loss < observed {
                    (observed, reached) = (loss, value);
                }
                reached
            });
            values.collect()
        })
        .collect();
    let median = |trial: usize| {
        let mut values: Vec<f64> = runs.iter().map(|run| run[trial]).collect();
        values.sort_by(f64::total_cmp);
        f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
    };
    (0..budget).map(median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::problem::double;

    #[test]
    fn the_median_of_the_smallest_of_n_numbers_is_that_of_theory() {
        let problem = Problem::new(("test", "line"), vec![double("x", 0.0, 1.0)], 0.0, |x| x[0]);
        let reached = random_search(&problem, 50);
        for n in [1, 10, 50] {
            let theory = 1.0 - 0.5_f64.powf(1.0 / n as f64);
            let ratio = reached[n - 1] / theory;
            assert!((0.75..1.33).contains(&ratio), "{n}: {ratio}");
        }
    }
}
