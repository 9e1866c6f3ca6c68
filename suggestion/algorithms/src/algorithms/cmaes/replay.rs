//! The history, replayed generation by generation.

use rand::RngExt;

use super::super::sobol;
use super::distribution::{Distribution, Rates};
use crate::axis::Axis;
use crate::math::stream;

/// What happens when a search has converged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restarts {
    /// It goes on.
    None,
    /// It begins anew with twice the population.
    Ipop,
    /// It begins anew, with twice the largest population and with the first one in turn.
    Bipop,
}

/// How a search goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) seed: u64,
    /// The first deviation in positions.
    pub(super) sigma: f64,
    pub(super) restarts: Restarts,
}

/// A search that narrows to this deviation, in positions, has converged.
const CONVERGED: f64 = 1e-4;

/// Generations without a better point after which a search has converged.
const PATIENCE: usize = 20;

/// Sets the streams for draws and for restarts apart from each other and from others.
const DRAWS: u64 = 0x636d_6165_7320_6472;
const RESTARTS: u64 = 0x636d_6165_7320_7265;

/// The state after a history.
pub(super) struct Replay {
    dimensions: usize,
    seed: u64,
    generation: usize,
    distribution: Distribution,
}

impl Replay {
    /// Replays points and their losses.
    pub(super) fn new(axes: &[Axis], options: Options, known: &[(Vec<f64>, f64)]) -> Self {
        let first = Distribution::new(axes, options.sigma);
        let (numbers, categories) = first.dimensions();
        let smallest = population(numbers + categories);
        let mut replay = Self {
            dimensions: axes.len(),
            seed: options.seed,
            generation: 0,
            distribution: first.clone(),
        };
        let mut rest = known;
        let (mut population, mut largest) = (smallest, smallest);
        for restart in 1.. {
            let converged = replay.search(&Rates::new(numbers, population), &mut rest);
            if !converged || options.restarts == Restarts::None {
                break;
            }
            let grow = options.restarts == Restarts::Ipop || population == smallest;
            if grow {
                largest *= 2;
            }
            population = if grow { largest } else { smallest };
            replay.distribution = first.clone();
            let mut rng = stream::rng(options.seed ^ RESTARTS, restart);
            replay
                .distribution
                .centre((0..axes.len()).map(|_| rng.random()).collect());
        }
        replay
    }

    /// Follows whole generations until the search has converged, and returns whether it has.
    fn search(&mut self, rates: &Rates, rest: &mut &[(Vec<f64>, f64)]) -> bool {
        let (mut best, mut stale) = (f64::INFINITY, 0);
        while let Some((chosen, after)) = rest.split_at_checked(rates.population()) {
            *rest = after;
            let mut ranked: Vec<&(Vec<f64>, f64)> = chosen.iter().collect();
            ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
            let points: Vec<&[f64]> = ranked.iter().map(|(p, _)| p.as_slice()).collect();
            self.distribution.follow(&points, rates);
            self.generation += 1;
            stale = if ranked[0].1 < best { 0 } else { stale + 1 };
            best = best.min(ranked[0].1);
            if self.distribution.width() < CONVERGED || stale >= PATIENCE {
                return true;
            }
        }
        false
    }

    /// How many generations there were.
    pub(super) fn generation(&self) -> usize {
        self.generation
    }

    /// A point for the `index`th assignment. The first attempts of all assignments are spread
    /// evenly over the distribution (Teytaud and Gelly, "DCMA: Yet Another Derandomization in
    /// Covariance-Matrix-Adaptation", 2007); further ones are drawn by chance.
    pub(super) fn draw(&self, index: usize, attempt: usize) -> Vec<f64> {
        if attempt == 0 {
            let seed = self.seed ^ DRAWS;
            return self
                .distribution
                .draw(self.dimensions, |d| sobol::coordinate(seed, index, d));
        }
        let mut rng = stream::rng(self.seed ^ DRAWS, index ^ (attempt << 32));
        let uniforms: Vec<f64> = (0..self.dimensions).map(|_| rng.random()).collect();
        self.distribution.draw(self.dimensions, |d| uniforms[d])
    }
}

/// How many points make a generation: nine tenths of what is usual, for short budgets.
fn population(dimensions: usize) -> usize {
    let usual = 4.0 + (3.0 * (dimensions.max(1) as f64).ln()).floor();
    (0.9 * usual).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::axis::axes;
    use diwan_api::SearchSpace;
    use diwan_api::search_space::{Domain, Parameter, Scale};

    fn space() -> Vec<Axis> {
        let (scale, step) = (Scale::Uniform, None);
        let double = |min, max| Domain::Double {
            min,
            max,
            step,
            scale,
        };
        let (min, max) = (0, 9);
        let step = 1;
        let int = Domain::Int {
            min,
            max,
            step,
            scale,
        };
        let list = Domain::Categorical(["a", "b", "c"].map(str::to_owned).to_vec());
        let parameters = [double(0.0, 1.0), double(0.0, 1.0), int, list]
            .into_iter()
            .map(|domain| Parameter {
                name: String::new(),
                domain,
            })
            .collect();
        axes(&SearchSpace { parameters })
    }

    fn loss(point: &[f64]) -> f64 {
        let right = if point[3] == 1.0 { 0.0 } else { 0.2 };
        (point[0] - 0.8).powi(2) + (point[0] - point[1]).powi(2) + (point[2] - 0.85).powi(2) + right
    }

    fn run(restarts: Restarts, trials: usize) -> (Replay, Vec<(Vec<f64>, f64)>) {
        let axes = space();
        let options = Options {
            seed: 3,
            sigma: 0.1,
            restarts,
        };
        let mut known: Vec<(Vec<f64>, f64)> = Vec::new();
        for index in 0..trials {
            let replay = Replay::new(&axes, options, &known);
            let mut point = replay.draw(index, 0);
            point[2] = axes[2].position(axes[2].at_position(point[2]));
            let loss = loss(&point);
            known.push((point, loss));
        }
        (Replay::new(&axes, options, &known), known)
    }

    #[test]
    fn a_mixed_bowl_is_descended() {
        let (_, known) = run(Restarts::None, 200);
        let best = known.iter().map(|k| k.1).fold(f64::INFINITY, f64::min);
        assert!(best < 1e-4, "{best}");
    }

    #[test]
    fn categories_and_steps_keep_a_chance() {
        let (replay, _) = run(Restarts::None, 400);
        let mut cells = [0; 10];
        let mut categories = [0; 3];
        for index in 1000..1500 {
            let point = replay.draw(index, 0);
            cells[(point[2] * 10.0) as usize] += 1;
            categories[point[3] as usize] += 1;
        }
        assert!(cells.iter().filter(|n| **n > 0).count() >= 2, "{cells:?}");
        assert!(categories.iter().all(|n| *n > 0), "{categories:?}");
    }

    #[test]
    fn a_restart_begins_with_a_wide_distribution() {
        let narrow = run(Restarts::None, 700).0.distribution.width();
        let wide = run(Restarts::Ipop, 700).0.distribution.width();
        assert!(narrow < wide, "{narrow} {wide}");
    }
}
