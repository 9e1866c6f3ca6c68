//! The tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter
//! Optimization", 2011), over whole points (Falkner et al., "BOHB", 2018) unless the setting
//! `multivariate` is false.
//!
//! The best trials and all others are each modelled by a density; of points drawn from the first,
//! the one with the largest ratio of the two is proposed. Trials that run count among the others
//! until they end (the constant liar of Ginsbourger et al., 2010), and so do failed ones, so that
//! a point that fails is not tried over and over. Katib's service passes over both, and gives the
//! same point several times when it is asked for a batch.
//!
//! Good trials count the more the better they rank, by the logarithmic weights of evolution
//! strategies (Hansen, "The CMA Evolution Strategy: A Tutorial", 2016), and their kernels are the
//! narrower along a dimension the closer they lie together there (the normal reference rule of
//! Scott, "Multivariate Density Estimation", 1992, by which BOHB chooses its bandwidths).
//!
//! Departures from the papers: `gamma` is a plain share of the trials, startup points are spread
//! evenly around the middle instead of coming from chance, and kernels are about half as wide as
//! is usual, a width that was chosen for budgets of 50 to 100 trials.

use std::ops::Range;

use diwan_api::search_space::Value;
use rand_pcg::Pcg64Mcg;

use super::{random, sobol};
use crate::axis::{Axis, BELL_DEVIATION, axes};
use crate::fresh::Fresh;
use crate::math::parzen::{Bell, Dimension, Estimator, Spread};
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Refusal, Setting, State, Suggested, Trial,
    UnknownSettings, nas,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "tpe",
    aliases: &[],
    summary: "models where trials are good and where they are bad",
    settings: &[
        GAMMA,
        Setting {
            name: "multivariate",
            kind: Kind::Bool,
            default: "true",
            doc: "model whole points; false models each parameter by itself",
        },
        Setting {
            name: "n_EI_candidates",
            kind: Kind::Int {
                min: 1,
                refusal: "n_EI_candidates should be great than zero",
            },
            default: DEFAULT_CANDIDATES,
            doc: "points drawn for each proposal, of which the best is taken; a sixth of them where \
                  each parameter is modelled by itself",
        },
        Setting {
            name: "n_startup_trials",
            kind: Kind::Int {
                min: 0,
                refusal: "n_startup_trials should be great or equal than zero",
            },
            default: DEFAULT_STARTUP,
            doc: "trials of an even design before the model is used",
        },
        PRIOR_WEIGHT,
        random::RANDOM_STATE,
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Distributions,
        Capability::Exhausts,
        Capability::Architectures,
    ],
    build: |problem| {
        let multivariate = problem.settings.bool("multivariate").unwrap_or(true);
        nas::on_graph(problem, |problem| {
            Ok(Box::new(Tpe::new(problem, "n_EI_candidates", multivariate)))
        })
    },
};

pub(super) const SUPPORTS: &[Capability] = &[
    Capability::LearnsFromHistory,
    Capability::Parallel,
    Capability::Distributions,
    Capability::Exhausts,
];

pub(super) const GAMMA: Setting = Setting {
    name: "gamma",
    kind: Kind::Float {
        above: 0.0,
        below: 1.0,
        refusal: "gamma should be in the range of (0, 1)",
    },
    default: "0.13",
    doc: "share of the trials that are modelled as good, of which there are at most 25",
};

pub(super) const PRIOR_WEIGHT: Setting = Setting {
    name: "prior_weight",
    kind: Kind::Float {
        above: 0.0,
        below: f64::INFINITY,
        refusal: "prior_weight should be great than zero",
    },
    default: "1.0",
    doc: "weight of the search space's own distributions beside one trial",
};

pub(super) const DEFAULT_CANDIDATES: &str = "24";
pub(super) const DEFAULT_STARTUP: &str = "10";

/// Dimensions with at most this many values are modelled cell by cell, others as if continuous.
const MAX_CELLS: u64 = 64;

/// No more trials than this are modelled as good, however long the history is.
const MAX_GOOD: usize = 25;

/// The deviation of kernels around a single point, in positions.
const REACH: f64 = 0.1;

/// Kernels around `n` trials are no narrower than this part of the range divided by `n + 1`, or by
/// [`SHARPEST`] if that is less.
const LEAST: f64 = 1.0;
const LEAST_GOOD: f64 = 0.85;
const SHARPEST: f64 = 100.0;

/// The deviation of positions that are spread evenly, with which a dimension's is compared.
const EVEN: f64 = 0.288_675_134_594_812_9;

/// By how much kernels are narrowed or widened at most.
const NARROWEST: f64 = 0.3;
const WIDEST: f64 = 1.5;

/// Where each parameter chooses by itself, it does so among a fraction of the candidates: all of
/// them at their best at once is much greedier than the best of as many whole points.
const INDEPENDENT: usize = 6;

/// How often candidates are drawn anew when all of them were proposed before.
const ROUNDS: usize = 8;

/// The designer behind `tpe` and `multivariate-tpe`.
pub(super) struct Tpe {
    problem: Problem,
    coding: Coding,
    fresh: Fresh,
    candidates: usize,
    multivariate: bool,
    /// How many times as wide as usual the kernels are.
    width: f64,
    /// Whether candidates come from the whole space instead of the neighbourhood of good trials.
    roams: bool,
    /// Points whose objective is known, with their loss, the best first.
    observed: Vec<(Vec<f64>, f64)>,
    /// Points that count as bad: failed, or not ended.
    avoided: Vec<Vec<f64>>,
}

impl Tpe {
    /// A designer that reads the number of candidates from the setting of this name.
    pub(super) fn new(problem: &Problem, candidates: &str, multivariate: bool) -> Self {
        let coding = Coding::new(problem);
        let candidates = problem.settings.int(candidates).unwrap_or(1).max(1) as usize;
        Self {
            problem: problem.clone(),
            fresh: Fresh::new(&coding.axes),
            coding,
            candidates: if multivariate {
                candidates
            } else {
                candidates.div_ceil(INDEPENDENT)
            },
            multivariate,
            width: 1.0,
            roams: false,
            observed: Vec::new(),
            avoided: Vec::new(),
        }
    }

    /// The same with kernels that are so many times as wide, and with candidates from the whole
    /// space.
    pub(super) fn roaming(self, width: f64) -> Self {
        Self {
            width,
            roams: true,
            ..self
        }
    }

    /// Takes in further points that are not to be proposed.
    pub(super) fn avoid(&mut self, fresh: &Fresh) {
        self.fresh = fresh.clone();
    }

    fn learn(&mut self, trials: &[Trial]) {
        self.fresh.observe(&self.coding.axes, trials);
        for trial in trials {
            let Some(point) = self.coding.encode(&trial.values) else {
                continue;
            };
            match (self.problem.loss(trial), trial.state) {
                (Some(loss), _) => self.observed.push((point, loss)),
                (None, State::Killed) => {}
                (None, _) => self.avoided.push(point),
            }
        }
    }

    /// One model for all dimensions, or one for each.
    fn models(&self) -> Vec<Model> {
        let gamma = self.problem.settings.float("gamma").unwrap_or(0.13);
        let prior = self.problem.settings.float("prior_weight").unwrap_or(1.0);
        let count = good_count(gamma, self.observed.len());
        let points: Vec<&[f64]> = self
            .observed
            .iter()
            .map(|(point, _)| point)
            .chain(&self.avoided)
            .map(Vec::as_slice)
            .collect();
        let (good, bad) = points.split_at(count);
        let dimensions = self.coding.dimensions.len();
        let groups: Vec<Range<usize>> = if self.multivariate {
            std::iter::once(0..dimensions).collect()
        } else {
            (0..dimensions).map(|d| d..d + 1).collect()
        };
        let model = |group: Range<usize>| Model {
            good: self.estimate_good(&group, good, prior),
            bad: self.estimate_bad(&group, bad, prior),
            group,
            roams: self.roams,
        };
        groups.into_iter().map(model).collect()
    }

    /// The density of good trials, the best first.
    fn estimate_good(&self, group: &Range<usize>, points: &[&[f64]], prior: f64) -> Estimator {
        // Those of a cheap level, whose ranks and places say less.
        if self.roams {
            return self.estimate_bad(group, points, prior);
        }
        let dimensions = &self.coding.dimensions[group.clone()];
        let usual = self.spread(dimensions.len(), points.len(), LEAST_GOOD, prior);
        let weights = rank_weights(points.len());
        let spread = |(place, dimension): (usize, &Dimension)| match dimension {
            Dimension::Smooth { .. } => {
                let places = points.iter().map(|point| point[place]);
                Spread {
                    deviation: usual.deviation * closeness(places.zip(weights.iter().copied())),
                    ..usual
                }
            }
            _ => usual,
        };
        let spreads: Vec<Spread> = group.clone().zip(dimensions).map(spread).collect();
        let mut estimator = Estimator::new(dimensions, prior, &spreads);
        for (point, weight) in points.iter().zip(weights) {
            estimator.push(&point[group.clone()], weight);
        }
        estimator
    }

    /// The density of all other trials.
    fn estimate_bad(&self, group: &Range<usize>, points: &[&[f64]], prior: f64) -> Estimator {
        let dimensions = &self.coding.dimensions[group.clone()];
        let spread = self.spread(dimensions.len(), points.len(), LEAST, prior);
        let mut estimator = Estimator::new(dimensions, prior, &vec![spread; dimensions.len()]);
        for point in points {
            estimator.push(&point[group.clone()], 1.0);
        }
        estimator
    }

    /// How much the kernels of so many points in so many dimensions are spread out by Scott's
    /// rule: the more points and the fewer dimensions, the narrower.
    fn spread(&self, dimensions: usize, points: usize, least: f64, prior: f64) -> Spread {
        let n = points.max(1) as f64;
        let reach = self.width * REACH * n.powf(-1.0 / (dimensions as f64 + 4.0));
        Spread {
            deviation: reach.max(least / (1.0 + n).min(SHARPEST)),
            categories: prior / n,
        }
    }
}

/// Weights that fall with the logarithm of the rank, 1 in the mean.
fn rank_weights(count: usize) -> Vec<f64> {
    let last = (count as f64 + 0.5).ln();
    let weights: Vec<f64> = (1..=count).map(|rank| last - (rank as f64).ln()).collect();
    let mean = weights.iter().sum::<f64>() / count.max(1) as f64;
    weights.into_iter().map(|weight| weight / mean).collect()
}

/// How close weighted positions lie together: their deviation as a part of that of positions that
/// are spread evenly, of which one is taken in to begin with.
fn closeness(places: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let (count, sum) = places.clone().fold((1.0, 0.5), |(n, sum), (x, weight)| {
        (n + weight, sum + weight * x)
    });
    let mean = sum / count;
    let squares: f64 = places.map(|(x, weight)| weight * (x - mean).powi(2)).sum();
    let deviation = ((squares + EVEN * EVEN) / count).sqrt();
    (deviation / EVEN).clamp(NARROWEST, WIDEST)
}

impl Designer for Tpe {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.learn(completed);
        self.learn(active);
        self.observed.sort_by(|a, b| a.1.total_cmp(&b.1));
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        self.suggest_while(count, &|| true)
    }

    fn suggest_while(
        &mut self,
        count: usize,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Suggested, Refusal> {
        let startup = self.problem.settings.int("n_startup_trials").unwrap_or(0) as usize;
        let known = self.observed.len() + self.avoided.len();
        let mut models: Option<Vec<Model>> = None;
        let mut suggested = Suggested::default();
        for place in 0..count {
            if self.fresh.is_exhausted() || !is_wanted() {
                break;
            }
            let index = self.problem.issued + place;
            let rng = &mut stream::rng(self.problem.seed, index);
            let modelled = (self.observed.len() >= 2 && known + place >= startup)
                .then(|| models.get_or_insert_with(|| self.models()))
                .and_then(|models| {
                    (0..ROUNDS).find_map(|_| {
                        propose(models, self.candidates, rng, |point| {
                            self.fresh
                                .is_new(&self.coding.axes, &self.coding.decode(point))
                        })
                    })
                });
            let values = if let Some(point) = modelled {
                let values = self.coding.decode(&point);
                self.fresh.insert(&self.coding.axes, &values);
                Some(values)
            } else {
                sobol::draw_around_middle(
                    &self.coding.axes,
                    &mut self.fresh,
                    self.problem.seed,
                    index,
                )
            };
            let Some(values) = values else { break };
            if let Some(models) = &mut models {
                let values: Vec<_> = values.iter().copied().map(Some).collect();
                let point = self.coding.encode(&values).expect("every value is there");
                for model in models {
                    model.bad.push(&point[model.group.clone()], 1.0);
                }
            }
            suggested.proposals.push(values.into());
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}

/// Between the values of a space and the numbers that are modelled.
struct Coding {
    axes: Vec<Axis>,
    dimensions: Vec<Dimension>,
}

impl Coding {
    fn new(problem: &Problem) -> Self {
        let axes = axes(&problem.space);
        let dimensions = axes.iter().map(dimension).collect();
        Self { axes, dimensions }
    }

    fn encode(&self, values: &[Option<Value>]) -> Option<Vec<f64>> {
        if values.len() != self.axes.len() {
            return None;
        }
        let pairs = self.axes.iter().zip(&self.dimensions).zip(values);
        pairs
            .map(|((axis, dimension), value)| match dimension {
                Dimension::Smooth { .. } => Some(axis.position((*value)?)),
                Dimension::Cells { .. } | Dimension::Categories { .. } => {
                    Some(axis.rank((*value)?) as f64)
                }
            })
            .collect()
    }

    fn decode(&self, point: &[f64]) -> Vec<Value> {
        let triples = self.axes.iter().zip(&self.dimensions).zip(point);
        triples
            .map(|((axis, dimension), x)| match dimension {
                Dimension::Smooth { .. } => axis.at_position(*x),
                Dimension::Cells { .. } | Dimension::Categories { .. } => axis.at_rank(*x as u64),
            })
            .collect()
    }
}

/// How a dimension is modelled.
fn dimension(axis: &Axis) -> Dimension {
    let bell = axis.bell().map(|normal| Bell {
        normal: *normal,
        deviation: BELL_DEVIATION,
    });
    match axis.count() {
        Some(count) if !axis.is_ordered() => Dimension::Categories {
            count: count as usize,
        },
        Some(count) if count <= MAX_CELLS => Dimension::Cells {
            borders: axis.borders(count as usize),
            bell,
        },
        _ => Dimension::Smooth { bell },
    }
}

/// The densities of good and of bad trials in some of the dimensions.
struct Model {
    good: Estimator,
    bad: Estimator,
    group: Range<usize>,
    /// Whether candidates come from the prior.
    roams: bool,
}

/// How many of `n` trials are modelled as good.
fn good_count(gamma: f64, n: usize) -> usize {
    ((gamma * n as f64).ceil() as usize)
        .clamp(1, MAX_GOOD)
        .min(n)
}

/// The best of some candidates, unless the best ones are not wanted. Each group of dimensions
/// chooses its own part.
fn propose(
    models: &[Model],
    candidates: usize,
    rng: &mut Pcg64Mcg,
    is_wanted: impl Fn(&[f64]) -> bool,
) -> Option<Vec<f64>> {
    let mut scratch = Vec::new();
    let mut ranked = |model: &Model| {
        let mut ranked: Vec<(f64, Vec<f64>)> = (0..candidates)
            .map(|_| {
                let point = if model.roams {
                    model.good.sample_prior(rng)
                } else {
                    model.good.sample(rng)
                };
                let score = model.good.log_density(&point, &mut scratch)
                    - model.bad.log_density(&point, &mut scratch);
                (score, point)
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked
    };
    if let [model] = models {
        return ranked(model)
            .into_iter()
            .map(|(_, point)| point)
            .find(|point| is_wanted(point));
    }
    let point: Vec<f64> = models
        .iter()
        .flat_map(|model| ranked(model).swap_remove(0).1)
        .collect();
    is_wanted(&point).then_some(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_fall_with_the_rank_and_are_one_in_the_mean() {
        let weights = rank_weights(8);
        assert!(
            weights
                .windows(2)
                .all(|pair| pair[0] > pair[1] && pair[1] > 0.0)
        );
        assert!((weights.iter().sum::<f64>() - 8.0).abs() < 1e-9);
        assert!((rank_weights(1)[0] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn kernels_are_narrowed_where_good_trials_lie_together() {
        let of = |places: &[f64]| closeness(places.iter().map(|x| (*x, 1.0)));
        let even: Vec<f64> = (0..50).map(|i| (f64::from(i) + 0.5) / 50.0).collect();
        assert!((of(&even) - 1.0).abs() < 0.02);
        assert!(of(&[0.6, 0.61, 0.59, 0.6, 0.6, 0.6]) < 0.5);
        assert!(of(&[0.0, 1.0, 0.0, 1.0]) > 1.0);
        // A heavier trial counts more.
        let heavy = closeness([(0.5, 3.0), (0.9, 0.1)].into_iter());
        assert!(heavy < closeness([(0.5, 0.1), (0.9, 3.0)].into_iter()));
    }
}
