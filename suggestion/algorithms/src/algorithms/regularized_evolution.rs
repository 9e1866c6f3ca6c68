//! Regularized evolution (Real et al., "Regularized Evolution for Image Classifier Architecture
//! Search", 2019): of some trials that are drawn from the latest ones the best is taken and
//! changed in one place. Trials leave by their age, not by their rank, so that a lucky one does not
//! stay for ever.
//!
//! It searches the parameters of an experiment, or the graph of its `nasConfig` laid out flat. A
//! finite space is searched without repetition: a change that leads to a known point is followed
//! by another one.

use diwan_api::search_space::Value;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::random;
use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Refusal, Setting, Suggested, Trial,
    UnknownSettings, nas, neighbour,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "regularized-evolution",
    aliases: &[],
    summary: "changes the best of some recent trials in one place",
    settings: &[
        Setting {
            name: "population_size",
            kind: Kind::Int {
                min: 1,
                refusal: "population_size should be greater than zero",
            },
            default: "10",
            doc: "how many of the latest trials may be changed; as many are drawn at first",
        },
        random::RANDOM_STATE,
        Setting {
            name: "sample_size",
            kind: Kind::Int {
                min: 1,
                refusal: "sample_size should be greater than zero",
            },
            default: "6",
            doc: "how many of them are drawn, of which the best is changed",
        },
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Exhausts,
        Capability::Architectures,
    ],
    build: |problem| nas::on_graph(problem, |problem| Ok(Box::new(Evolution::new(problem)))),
};

/// How many changes are made to get to a new point before any new point will do.
const CHANGES: usize = 64;

struct Evolution {
    problem: Problem,
    axes: Vec<Axis>,
    varied: Vec<usize>,
    fresh: Fresh,
    /// The latest trials that ended with their objective.
    population: Vec<(Vec<Value>, f64)>,
}

impl Evolution {
    fn new(problem: &Problem) -> Self {
        let axes = axes(&problem.space);
        Self {
            problem: problem.clone(),
            varied: neighbour::varied(&axes),
            fresh: Fresh::new(&axes),
            axes,
            population: Vec::new(),
        }
    }

    fn setting(&self, name: &str) -> usize {
        let number = self.problem.settings.int(name);
        number.map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// The best of some of the population.
    fn parent(&self, rng: &mut Pcg64Mcg) -> Option<&[Value]> {
        let size = self.population.len();
        if size == 0 {
            return None;
        }
        let drawn = (0..self.setting("sample_size").min(4 * size))
            .map(|_| &self.population[rng.random_range(0..size)]);
        let best = drawn.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(&best.0)
    }

    /// A new point that is a few changes away from a good one.
    fn child(&self, rng: &mut Pcg64Mcg) -> Option<Vec<Value>> {
        let mut point = self.parent(rng)?.to_vec();
        for _ in 0..CHANGES {
            point = neighbour::changed(&self.axes, &self.varied, &point, rng);
            if self.fresh.is_new(&self.axes, &point) {
                return Some(point);
            }
        }
        None
    }
}

impl Designer for Evolution {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.fresh.observe(&self.axes, completed);
        self.fresh.observe(&self.axes, active);
        let size = self.setting("population_size");
        let dimensions = self.axes.len();
        let member = |trial: &Trial| {
            let point = trial.point().filter(|point| point.len() == dimensions)?;
            Some((point, self.problem.loss(trial)?))
        };
        self.population = completed
            .iter()
            .rev()
            .filter_map(member)
            .take(size)
            .collect();
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let startup = self.setting("population_size");
        let mut suggested = Suggested::default();
        for index in self.problem.issued..self.problem.issued + count {
            let rng = &mut stream::rng(self.problem.seed, index);
            let child = (index >= startup).then(|| self.child(rng)).flatten();
            let point = match child {
                Some(child) => {
                    self.fresh.insert(&self.axes, &child);
                    Some(child)
                }
                None => random::draw(&self.axes, &mut self.fresh, self.problem.seed, index),
            };
            let Some(point) = point else { break };
            suggested.proposals.push(point.into());
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}
