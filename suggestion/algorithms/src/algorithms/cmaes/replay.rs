//! The search, replayed generation by generation.

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
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// The state after some generations.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    dimensions: usize,
    options: Options,
    generation: usize,
    distribution: Distribution,
    rates: Rates,
    /// The population of the first search, and the largest of any.
    smallest: usize,
    largest: usize,
    restarts: usize,
    /// The best loss of this search, and the generations since it was found.
    best: f64,
    stale: usize,
}

impl Replay {
    /// The state before the first generation.
    pub(super) fn new(axes: &[Axis], options: Options) -> Self {
        let distribution = Distribution::new(axes, options.sigma);
        let (numbers, categories) = distribution.dimensions();
        let smallest = population(numbers + categories);
        Self {
            dimensions: axes.len(),
            options,
            generation: 0,
            distribution,
            rates: Rates::new(numbers, smallest),
            smallest,
            largest: smallest,
            restarts: 0,
            best: f64::INFINITY,
            stale: 0,
        }
    }

    /// How many points make the next generation.
    pub(super) fn population(&self) -> usize {
        self.rates.population()
    }

    /// Follows a generation of points with their losses.
    pub(super) fn follow(&mut self, axes: &[Axis], generation: &[(Vec<f64>, f64)]) {
        let mut ranked: Vec<&(Vec<f64>, f64)> = generation.iter().collect();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
        let points: Vec<&[f64]> = ranked.iter().map(|(p, _)| p.as_slice()).collect();
        self.distribution.follow(&points, &self.rates);
        self.generation += 1;
        let best = ranked.first().map_or(f64::INFINITY, |(_, loss)| *loss);
        self.stale = if best < self.best { 0 } else { self.stale + 1 };
        self.best = self.best.min(best);
        let converged = self.distribution.width() < CONVERGED || self.stale >= PATIENCE;
        if converged && self.options.restarts != Restarts::None {
            self.restart(axes);
        }
    }

    /// Begins a new search around another point.
    fn restart(&mut self, axes: &[Axis]) {
        let grow = self.options.restarts == Restarts::Ipop || self.population() == self.smallest;
        if grow {
            self.largest *= 2;
        }
        let population = if grow { self.largest } else { self.smallest };
        self.restarts += 1;
        let mut rng = stream::rng(self.options.seed ^ RESTARTS, self.restarts);
        self.distribution = Distribution::new(axes, self.options.sigma);
        self.distribution
            .centre((0..axes.len()).map(|_| rng.random()).collect());
        let (numbers, _) = self.distribution.dimensions();
        self.rates = Rates::new(numbers, population);
        (self.best, self.stale) = (f64::INFINITY, 0);
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
            let seed = self.options.seed ^ DRAWS;
            return self
                .distribution
                .draw(self.dimensions, |d| sobol::coordinate(seed, index, d));
        }
        let mut rng = stream::rng(self.options.seed ^ DRAWS, index ^ (attempt << 32));
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
        let mut replay = Replay::new(&axes, options);
        let mut begin = 0;
        for index in 0..trials {
            let mut point = replay.draw(index, 0);
            point[2] = axes[2].position(axes[2].at_position(point[2]));
            let loss = loss(&point);
            known.push((point, loss));
            if known.len() - begin == replay.population() {
                replay.follow(&axes, &known[begin..]);
                begin = known.len();
            }
        }
        (replay, known)
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
