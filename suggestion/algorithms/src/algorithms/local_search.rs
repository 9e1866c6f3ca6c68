//! Local search after a random start (White et al., "Local Search is State of the Art for Neural
//! Architecture Search Benchmarks", 2020): all neighbours of the best trial are tried until one is
//! better, from which it goes on; when none is, it begins anew somewhere else.
//!
//! A neighbour differs in one value. A climb begins at the best of some points that are drawn; its
//! trials carry its number as a label, from which it is read again. While the last neighbours of a
//! climb run, the next one begins.

use std::collections::BTreeMap;

use diwan_api::search_space::Value;
use indexmap::IndexMap;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::random;
use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Proposal, Refusal, Setting, Suggested, Trial,
    UnknownSettings, nas, neighbour,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "local-search",
    aliases: &[],
    summary: "tries the neighbours of the best trial, and begins anew where none is better",
    settings: &[
        Setting {
            name: "n_initial_points",
            kind: Kind::Int {
                min: 1,
                refusal: "n_initial_points should be greater than zero",
            },
            default: "10",
            doc: "points drawn for each climb, which begins at the best of them",
        },
        random::RANDOM_STATE,
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Exhausts,
        Capability::Architectures,
    ],
    build: |problem| nas::on_graph(problem, |problem| Ok(Box::new(LocalSearch::new(problem)))),
};

/// The label that says which climb a trial belongs to.
const CLIMB: &str = "diwan.dev/climb";
/// How many neighbours are drawn to find a new one before all of them are listed.
const ATTEMPTS: usize = 16;
/// Of dimensions with more values than this not all are listed.
const MAX_LISTED: u64 = 1000;

/// One way up.
#[derive(Default)]
struct Climb {
    /// How many of its trials are known.
    size: usize,
    best: Option<(Vec<Value>, f64)>,
}

struct LocalSearch {
    problem: Problem,
    axes: Vec<Axis>,
    varied: Vec<usize>,
    fresh: Fresh,
    climbs: BTreeMap<usize, Climb>,
}

impl LocalSearch {
    fn new(problem: &Problem) -> Self {
        let axes = axes(&problem.space);
        Self {
            problem: problem.clone(),
            varied: neighbour::varied(&axes),
            fresh: Fresh::new(&axes),
            axes,
            climbs: BTreeMap::new(),
        }
    }

    fn learn(&mut self, trials: &[Trial]) {
        self.fresh.observe(&self.axes, trials);
        for trial in trials {
            let number = trial.labels.get(CLIMB).and_then(|text| text.parse().ok());
            let climb = self.climbs.entry(number.unwrap_or_default()).or_default();
            climb.size += 1;
            let (point, loss) = (trial.point(), self.problem.loss(trial));
            let point = point.filter(|point| point.len() == self.axes.len());
            let Some((point, loss)) = point.zip(loss) else {
                continue;
            };
            if climb.best.as_ref().is_none_or(|(_, best)| loss < *best) {
                climb.best = Some((point, loss));
            }
        }
    }

    /// A new point and the climb that it belongs to. Climbs come in their order: those that have
    /// not begun or have a neighbour left.
    fn next(&mut self, index: usize) -> Option<(usize, Vec<Value>)> {
        let start = self.problem.settings.int("n_initial_points").unwrap_or(1) as usize;
        let rng = &mut stream::rng(self.problem.seed, index);
        let mut number = 0;
        loop {
            let climb = self.climbs.entry(number).or_default();
            let neighbour = match &climb.best {
                Some((centre, _)) if climb.size >= start => {
                    let (axes, varied, fresh) = (&self.axes, &self.varied, &self.fresh);
                    Some(neighbour_of(centre, axes, varied, fresh, rng))
                }
                // Of those that were drawn none has ended well.
                None if climb.size >= start => Some(None),
                _ => None,
            };
            let point = match neighbour {
                Some(Some(neighbour)) => {
                    self.fresh.insert(&self.axes, &neighbour);
                    neighbour
                }
                Some(None) => {
                    number += 1;
                    continue;
                }
                None => random::draw(&self.axes, &mut self.fresh, self.problem.seed, index)?,
            };
            climb.size += 1;
            return Some((number, point));
        }
    }
}

/// A new point that differs from `centre` in one value.
fn neighbour_of(
    centre: &[Value],
    axes: &[Axis],
    varied: &[usize],
    fresh: &Fresh,
    rng: &mut Pcg64Mcg,
) -> Option<Vec<Value>> {
    let drawn = (0..ATTEMPTS).map(|_| neighbour::changed(axes, varied, centre, rng));
    let mut drawn = drawn.filter(|point| fresh.is_new(axes, point));
    if let Some(point) = drawn.next() {
        return Some(point);
    }
    let mut all = Vec::new();
    for place in varied {
        let axis = &axes[*place];
        for index in 0..axis.count().unwrap_or_default().min(MAX_LISTED) {
            let mut point = centre.to_vec();
            point[*place] = axis.at_index(index);
            if fresh.is_new(axes, &point) {
                all.push(point);
            }
        }
    }
    (!all.is_empty()).then(|| all.swap_remove(rng.random_range(0..all.len())))
}

impl Designer for LocalSearch {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.learn(completed);
        self.learn(active);
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let mut suggested = Suggested::default();
        for index in self.problem.issued..self.problem.issued + count {
            if self.fresh.is_exhausted() {
                break;
            }
            let Some((climb, values)) = self.next(index) else {
                break;
            };
            suggested.proposals.push(Proposal {
                values,
                labels: IndexMap::from([(CLIMB.to_owned(), climb.to_string())]),
                ..Proposal::default()
            });
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}
