//! What a value is worth: 0 like the median of random search with as many trials, 1 like the best
//! value that is known, at least −1.

use super::Problem;
use super::run::Run;

/// The score of a value.
pub fn score(random: f64, best: f64, value: f64) -> f64 {
    let range = random - best;
    if range <= 1e-12 {
        return if value <= best + 1e-12 { 1.0 } else { 0.0 };
    }
    ((random - value) / range).clamp(-1.0, 1.0)
}

/// The scores of one contestant over the seeds of each problem.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Of each problem, one score for each seed.
    by_problem: Vec<Vec<f64>>,
    /// Processor time for each trial, in milliseconds.
    pub cpu_ms: f64,
}

/// A mean and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The standard error; 0 with one seed.
    pub error: f64,
}

impl Scores {
    /// The scores after `budget` trials of the runs with a batch. `random` has what random search
    /// reaches on each problem.
    pub fn new(
        runs: &[Run],
        problems: &[Problem],
        random: &[Vec<f64>],
        (batch, budget): (usize, usize),
    ) -> Self {
        let mut by_problem = vec![Vec::new(); problems.len()];
        let mut cpu_ms = Vec::new();
        for run in runs.iter().filter(|run| run.batch == batch) {
            let (problem, random) = (&problems[run.problem], random[run.problem][budget - 1]);
            let value = run.trajectory[budget - 1];
            by_problem[run.problem].push(score(random, problem.best, value));
            cpu_ms.push(run.cpu_ms);
        }
        Self {
            by_problem,
            cpu_ms: cpu_ms.iter().sum::<f64>() / cpu_ms.len().max(1) as f64,
        }
    }

    /// Over the seeds of one problem.
    pub fn of(&self, problem: usize) -> Mean {
        self.over(|p| p == problem)
    }

    /// The mean of the means of some of the problems.
    pub fn over(&self, counts: impl Fn(usize) -> bool) -> Mean {
        let chosen = self.by_problem.iter().enumerate();
        let chosen: Vec<&Vec<f64>> = chosen
            .filter(|(p, scores)| counts(*p) && !scores.is_empty())
            .map(|(_, scores)| scores)
            .collect();
        let count = chosen.len() as f64;
        let mean = chosen.iter().map(|scores| mean(scores)).sum::<f64>() / count;
        let variance = chosen.iter().map(|scores| variance_of_mean(scores));
        Mean {
            mean,
            error: variance.sum::<f64>().sqrt() / count,
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance_of_mean(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let middle = mean(values);
    let squares = values.iter().map(|x| (x - middle).powi(2));
    squares.sum::<f64>() / (values.len() - 1) as f64 / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::problem::double;

    #[test]
    fn random_search_is_worth_nothing_and_the_best_is_worth_one() {
        assert_eq!(score(3.0, 1.0, 3.0), 0.0);
        assert_eq!(score(3.0, 1.0, 1.0), 1.0);
        assert_eq!(score(3.0, 1.0, 2.0), 0.5);
        assert_eq!(score(3.0, 1.0, 99.0), -1.0);
        assert_eq!((score(1.0, 1.0, 1.0), score(1.0, 1.0, 1.1)), (1.0, 0.0));
    }

    #[test]
    fn every_problem_counts_the_same() {
        let problem =
            |name: &str| Problem::new(("test", name), vec![double("x", 0.0, 1.0)], 0.0, |x| x[0]);
        let run = |problem, seed, value| Run {
            problem,
            batch: 1,
            seed,
            trajectory: vec![value],
            cpu_ms: 2.0,
        };
        let runs = [
            run(0, 0, 0.0),
            run(0, 1, 1.0),
            run(1, 0, 1.0),
            Run {
                batch: 10,
                ..run(1, 0, 0.0)
            },
        ];
        let random = [vec![1.0], vec![1.0]];
        let scores = Scores::new(&runs, &[problem("a"), problem("b")], &random, (1, 1));
        assert_eq!((scores.of(0).mean, scores.of(1).mean), (0.5, 0.0));
        let all = scores.over(|_| true);
        assert_eq!((all.mean, scores.cpu_ms), (0.25, 2.0));
        // The deviation of 0 and 1 is √½; the mean of two has half of it; of two problems half.
        assert!((all.error - 0.25).abs() < 1e-12, "{}", all.error);
    }
}
