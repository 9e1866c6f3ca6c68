//! Bayesian optimization (Snoek et al., "Practical Bayesian Optimization of Machine Learning
//! Algorithms", 2012): a model of the losses says what it expects at any point and how sure it
//! is; the point that promises most is tried next.
//!
//! Trials that run, and points of the same batch, are taken in as if they had the loss that the
//! model expects (the fantasies of Ginsbourger et al., "Kriging Is Well-Suited to Parallelize
//! Optimization", 2010). Failed trials count as the worst. Losses are warped, in turn in two ways.
//!
//! The first points are spread evenly over a normal distribution around the middle of the space,
//! since people choose ranges around what they believe. While the best loss stays as it is, every
//! other point comes from a neighbourhood of the best ones, and more improvement is asked of the
//! others, so that the search does not dwell on a plateau.
//!
//! The portfolio `gp_hedge` takes turns between expected improvement and probability of
//! improvement; Katib's service draws by gains that it forgets when it is restarted. Durations of
//! trials are not part of the history, so that `EIps` and `PIps` are `EI` and `PI`.

mod acquisition;
mod coding;
mod ensemble;
mod gaussian_process;
mod search;
mod surrogate;
mod tree;
mod warping;

use diwan_api::search_space::Value;

use self::acquisition::Acquisition;
use self::coding::Coding;
use self::ensemble::{Ensemble, Family};
use self::gaussian_process::{GaussianProcess, Shape};
use self::search::Plan;
use self::surrogate::Surrogate;
use self::warping::Warp;
use super::{random, sobol};
use crate::fresh::Fresh;
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Refusal, Setting, State, Suggested, Trial,
    UnknownSettings,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "bayesianoptimization",
    aliases: &[],
    summary: "models the objective and tries where it promises most",
    settings: &[
        Setting {
            name: "acq_func",
            kind: Kind::Supported {
                words: &["gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"],
                by: "Bayesian optimization",
            },
            default: "gp_hedge",
            doc: "what a point promises: expected improvement (EI), its probability (PI), the \
                  lower confidence bound (LCB), or EI and PI in turn (gp_hedge)",
        },
        Setting {
            name: "acq_optimizer",
            kind: Kind::Supported {
                words: &["auto", "sampling", "lbfgs"],
                by: "Bayesian optimization",
            },
            default: "auto",
            doc: "how the best promise is found: among drawn points (sampling), or from the best \
                  of them uphill (lbfgs, auto)",
        },
        Setting {
            name: "base_estimator",
            kind: Kind::Supported {
                words: &["GP", "RF", "ET", "GBRT"],
                by: "Bayesian optimization",
            },
            default: "GP",
            doc: "the model: Gaussian process, random forest, extra trees, or boosted trees",
        },
        Setting {
            name: "n_initial_points",
            kind: Kind::Int {
                min: 0,
                refusal: "n_initial_points should be great or equal than zero",
            },
            default: "10",
            doc: "trials of an even design before the model is used",
        },
        random::RANDOM_STATE,
    ],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Distributions,
        Capability::Exhausts,
    ],
    build: |problem| Ok(Box::new(Bayesian::new(problem))),
};

/// A model sees no more trials than this, half of them the best, the others from all over; its
/// shape is found from fewer.
const MODELLED: usize = 256;
const FITTED: usize = 100;

/// Steps to the model's shape.
const FIT_STEPS: usize = 10;

/// How many trials in a row may be no better, by this part of the distance from the best to the
/// median loss, before the search counts as stale.
const PATIENCE: usize = 3;
const LONG_PATIENCE: usize = 12;
const PROGRESS: f64 = 0.005;

/// By how much, in deviations of the losses, points must be better to count: at first, and while
/// the search is stale.
const MARGIN: f64 = 0.01;
const STALE_MARGIN: f64 = 0.1;

/// Where the model is surer than this, in deviations of the losses, nothing is to be learned.
const LEAST_DEVIATION: f64 = 0.03;

/// Positions that are closer than this in every coordinate are the same point.
const SAME: f64 = 1e-6;

/// Around how many of the best points candidates are drawn.
const CENTRES: usize = 5;

struct Bayesian {
    problem: Problem,
    coding: Coding,
    fresh: Fresh,
    /// Points with their losses, the best first.
    observed: Vec<(Vec<f64>, f64)>,
    failed: Vec<Vec<f64>>,
    /// Points that run, or were proposed in this batch.
    active: Vec<Vec<f64>>,
    /// How many trials in a row brought nothing.
    stale: usize,
}

/// A model, and the best loss as it sees it.
struct Model {
    surrogate: Box<dyn Surrogate>,
    best: f64,
}

impl Bayesian {
    fn new(problem: &Problem) -> Self {
        let coding = Coding::new(&problem.space);
        Self {
            problem: problem.clone(),
            fresh: Fresh::new(coding.axes()),
            coding,
            observed: Vec::new(),
            failed: Vec::new(),
            active: Vec::new(),
            stale: 0,
        }
    }

    fn learn(&mut self, trials: &[Trial]) {
        self.fresh.observe(self.coding.axes(), trials);
        for trial in trials {
            let Some(point) = self.coding.encode(&trial.values) else {
                continue;
            };
            match (self.problem.loss(trial), trial.state) {
                (Some(loss), _) => self.observed.push((point, loss)),
                (None, State::Killed) => {}
                (None, State::Active) => self.active.push(point),
                (None, _) => self.failed.push(point),
            }
        }
    }

    fn setting(&self, name: &str) -> &str {
        self.problem.settings.text(name).unwrap_or_default()
    }

    /// A model of all that is known.
    fn model(&self, warp: Warp) -> Option<Model> {
        let losses: Vec<f64> = self.observed.iter().map(|(_, loss)| *loss).collect();
        let warped = warping::warp(&losses, warp);
        let best = *warped.first()?;
        let worst = *warped.last()?;
        let known: Vec<(&[f64], f64)> = self
            .observed
            .iter()
            .map(|(point, _)| point.as_slice())
            .zip(warped)
            .chain(self.failed.iter().map(|point| (point.as_slice(), worst)))
            .collect();
        let (points, targets): (Vec<&[f64]>, Vec<f64>) = thin(&known, MODELLED).unzip();
        let kinds = self.coding.kinds();
        let family = match self.setting("base_estimator") {
            "RF" => Some(Family::RandomForest),
            "ET" => Some(Family::ExtraTrees),
            "GBRT" => Some(Family::Boosting),
            _ => None,
        };
        let mut surrogate: Box<dyn Surrogate> = if let Some(family) = family {
            let seed = self.problem.seed;
            Box::new(Ensemble::new(family, kinds, &points, &targets, seed))
        } else {
            let (fit_points, fit_targets): (Vec<&[f64]>, Vec<f64>) = thin(&known, FITTED).unzip();
            let shape = Shape::fit(kinds, &fit_points, &fit_targets, FIT_STEPS);
            Box::new(GaussianProcess::new(kinds, shape, &points, &targets)?)
        };
        for point in &self.active {
            surrogate.imagine(point);
        }
        Some(Model { surrogate, best })
    }

    /// Whether a point is as good as one that was proposed before, where it has no exact equal.
    fn is_known(&self, point: &[f64]) -> bool {
        let equal = |known: &[f64]| known.iter().zip(point).all(|(a, b)| (a - b).abs() < SAME);
        let observed = self.observed.iter().map(|(known, _)| known);
        observed
            .chain(&self.failed)
            .chain(&self.active)
            .any(|known| equal(known))
    }

    fn acquisition(&self, best: f64, index: usize) -> Acquisition {
        let margin = if self.stale >= PATIENCE {
            STALE_MARGIN
        } else {
            MARGIN
        };
        match self.setting("acq_func") {
            "LCB" => Acquisition::ConfidenceBound,
            "EI" | "EIps" => Acquisition::ExpectedImprovement(best - margin),
            "PI" | "PIps" => Acquisition::ProbabilityOfImprovement(best - margin),
            _ if self.roams(index) => Acquisition::ConfidenceBound,
            _ if index.is_multiple_of(2) => Acquisition::ExpectedImprovement(best - margin),
            _ => Acquisition::ProbabilityOfImprovement(best - margin),
        }
    }

    /// Whether this point is to come from where the model knows least.
    fn roams(&self, index: usize) -> bool {
        self.stale >= LONG_PATIENCE && index.is_multiple_of(4)
    }

    fn plan(&self, index: usize) -> Plan {
        let near = self.stale >= PATIENCE && index.is_multiple_of(2) && !self.roams(index);
        let (anywhere, around, starts) = if near {
            (0, 80, 0)
        } else if self.setting("acq_optimizer") == "sampling" {
            (600, 300, 0)
        } else {
            (200, 100, 4)
        };
        Plan {
            anywhere,
            around,
            starts,
        }
    }

    /// The new point that promises most.
    fn propose(&self, model: &Model, index: usize) -> Option<Vec<Value>> {
        let rng = &mut stream::rng(self.problem.seed, index);
        let best: Vec<&[f64]> = self
            .observed
            .iter()
            .take(CENTRES)
            .map(|(point, _)| point.as_slice())
            .collect();
        let acquisition = self.acquisition(model.best, index);
        let surrogate = model.surrogate.as_ref();
        let plan = self.plan(index);
        let found = search::candidates(surrogate, acquisition, &self.coding, &best, plan, rng);
        let new = |point: &Vec<f64>| {
            let values = self.coding.decode(point);
            let new = self.fresh.is_new(self.coding.axes(), &values) && !self.is_known(point);
            new.then_some(values)
        };
        let points = || found.iter().map(|(_, point)| point);
        points()
            .filter(|point| surrogate.predict(point).1 > LEAST_DEVIATION)
            .find_map(new)
            .or_else(|| points().find_map(new))
    }
}

/// At most `count` of some that are sorted: half of them the first, the others from all over.
fn thin<T: Copy>(sorted: &[T], count: usize) -> impl Iterator<Item = T> {
    let whole = if sorted.len() > count {
        count / 2
    } else {
        sorted.len()
    };
    let (first, rest) = sorted.split_at(whole);
    let step = rest.len().div_ceil(count - count / 2).max(1);
    first.iter().chain(rest.iter().step_by(step)).copied()
}

/// How many of the last losses, in the order of the history, brought nothing.
fn stale(losses: &[(Vec<f64>, f64)]) -> usize {
    let mut sorted: Vec<f64> = losses.iter().map(|(_, loss)| *loss).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(best), Some(median)) = (sorted.first(), sorted.get(sorted.len() / 2)) else {
        return 0;
    };
    let enough = best + PROGRESS * (median - best);
    losses
        .iter()
        .position(|(_, loss)| *loss <= enough)
        .map_or(0, |place| losses.len() - 1 - place)
}

impl Designer for Bayesian {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.learn(completed);
        self.learn(active);
        self.stale = stale(&self.observed);
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
        let startup = self.problem.settings.int("n_initial_points").unwrap_or(0) as usize;
        let known = self.observed.len() + self.failed.len() + self.active.len();
        let warps = [Warp::Power, Warp::HalfRank];
        let mut models: [Option<Model>; 2] = [None, None];
        let mut suggested = Suggested::default();
        for place in 0..count {
            if self.fresh.is_exhausted() || !is_wanted() {
                break;
            }
            let index = self.problem.issued + place;
            let modelled = self.observed.len() >= 2 && known + place >= startup;
            let turn = index % warps.len();
            if modelled && models[turn].is_none() {
                models[turn] = self.model(warps[turn]);
            }
            let (seed, axes) = (self.problem.seed, self.coding.axes());
            let proposed = models[turn]
                .as_ref()
                .map(|model| self.propose(model, index));
            let values = match proposed {
                Some(Some(values)) => {
                    self.fresh.insert(axes, &values);
                    Some(values)
                }
                Some(None) => sobol::draw(axes, &mut self.fresh, seed, index),
                None => sobol::draw_around_middle(axes, &mut self.fresh, seed, index),
            };
            let Some(values) = values else { break };
            let whole: Vec<_> = values.iter().copied().map(Some).collect();
            if let Some(point) = self.coding.encode(&whole) {
                for model in models.iter_mut().flatten() {
                    model.surrogate.imagine(&point);
                }
                self.active.push(point);
            }
            suggested.proposals.push(values.into());
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use diwan_api::search_space::{Domain, Parameter, Scale};
    use diwan_api::{AlgorithmSetting, SearchSpace};

    use super::*;
    use crate::{Budget, Goal, Settings};

    fn problem(settings: &[(&str, &str)]) -> Problem {
        let scale = Scale::Uniform;
        let double = Domain::Double {
            min: 0.0,
            max: 1.0,
            step: None,
            scale,
        };
        let int = Domain::Int {
            min: 0,
            max: 9,
            step: 1,
            scale,
        };
        let list = Domain::Categorical(["a", "b", "c"].map(str::to_owned).to_vec());
        let parameters = [double.clone(), double, int, list]
            .into_iter()
            .map(|domain| Parameter {
                name: String::new(),
                domain,
            })
            .collect();
        let given: Vec<_> = settings
            .iter()
            .map(|(name, value)| AlgorithmSetting {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        Problem {
            space: SearchSpace { parameters },
            goal: Goal::Minimize,
            settings: Settings::parse(&ALGORITHM, &given).unwrap(),
            seed: 4,
            issued: 30,
            budget: Budget::default(),
            nas: None,
        }
    }

    fn trial(index: usize, state: State) -> Trial {
        let part = |step: f64| (index as f64 * step).fract();
        let (x, y) = (part(0.618), part(0.755));
        let values = vec![
            Value::Double(x),
            Value::Double(y),
            Value::Int((index % 10) as i64),
            Value::Index(index % 3),
        ];
        Trial {
            name: format!("t{index}"),
            values: values.into_iter().map(Some).collect(),
            state,
            objective: (state == State::Succeeded).then_some((x - 0.3).powi(2) + y),
            labels: indexmap::IndexMap::new(),
            texts: Vec::new(),
        }
    }

    fn suggest(settings: &[(&str, &str)], count: usize) -> Vec<Vec<Value>> {
        let mut designer = (ALGORITHM.build)(&problem(settings)).unwrap();
        let state = |index: usize| match index % 7 {
            3 => State::Failed,
            _ => State::Succeeded,
        };
        let completed: Vec<_> = (0..26).map(|index| trial(index, state(index))).collect();
        let active: Vec<_> = (26..30).map(|index| trial(index, State::Active)).collect();
        designer.observe(&completed, &active);
        let suggested = designer.suggest(count).unwrap();
        suggested.proposals.into_iter().map(|p| p.values).collect()
    }

    #[test]
    fn every_model_and_function_proposes_points_that_differ() {
        let choices = [
            ("base_estimator", ["GP", "RF", "ET", "GBRT"].as_slice()),
            ("acq_func", &["gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"]),
            ("acq_optimizer", &["auto", "sampling", "lbfgs"]),
        ];
        for (name, words) in choices {
            for word in words {
                let points = suggest(&[(name, word)], 6);
                let texts: HashSet<String> = points.iter().map(|p| format!("{p:?}")).collect();
                assert_eq!(texts.len(), 6, "{name} {word}: {points:?}");
            }
        }
    }

    #[test]
    fn the_settings_matter() {
        let usual = suggest(&[], 4);
        for setting in [
            ("base_estimator", "RF"),
            ("acq_func", "LCB"),
            ("acq_optimizer", "sampling"),
        ] {
            assert_ne!(usual, suggest(&[setting], 4), "{setting:?}");
        }
    }

    #[test]
    fn a_long_history_is_thinned_to_its_best_and_some_others() {
        let sorted: Vec<usize> = (0..1000).collect();
        let thinned: Vec<usize> = thin(&sorted, 100).collect();
        assert!(thinned.len() <= 100 && thinned[..50] == sorted[..50]);
        assert!(thinned.last().is_some_and(|last| *last > 950));
        assert_eq!(thin(&sorted[..80], 100).count(), 80);
    }

    #[test]
    fn a_search_is_stale_by_the_trials_that_brought_nothing() {
        let losses = |losses: &[f64]| -> Vec<_> { losses.iter().map(|l| (vec![], *l)).collect() };
        assert_eq!(stale(&losses(&[])), 0);
        assert_eq!(stale(&losses(&[5.0, 4.0, 9.0, 9.0])), 2);
        assert_eq!(stale(&losses(&[5.0, 4.0, 9.0, 9.0, 3.999])), 3);
        assert_eq!(stale(&losses(&[5.0, 4.0, 9.0, 9.0, 3.0])), 0);
    }
}
