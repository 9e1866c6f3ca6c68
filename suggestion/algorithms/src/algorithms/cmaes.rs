//! The covariance matrix adaptation evolution strategy (Hansen, "The CMA Evolution Strategy: A
//! Tutorial", 2016) for mixed spaces: integers and categories keep a margin of probability
//! (Hamano et al., "CatCMA with Margin", 2025; "CMA-ES with Margin", 2022), and categories have
//! distributions of their own, which follow the natural gradient with an adapted step (Akimoto et
//! al., "Adaptive Stochastic Natural Gradient Method", 2019).
//!
//! There is no memory but the history: its trials are replayed in their order, one generation
//! after the other, from the last one at which nothing has changed since an earlier request. What was not drawn from a generation's distribution (a late trial of an
//! earlier one, a point of the user's) counts like what was, with its distance bounded (Hansen,
//! "Injecting External Solutions Into CMA-ES", 2011). So batches may be larger or smaller than
//! the population, and any order or subset of a history is a valid one.
//!
//! Departures: steps are measured with the Cholesky factor of the covariance, which is cheaper
//! than its root and serves as well (Krause et al., "CMA-ES with Optimal Covariance Update and
//! Storage Complexity", 2016), and points are spread evenly over the distribution instead of
//! being drawn by chance, which matters much while generations are few, for the sake of which the
//! mean and the covariance also follow each one further than usual. Katib's service draws
//! categories at random and fails for ever when it is restarted.

mod distribution;
mod replay;

use std::collections::VecDeque;

use self::replay::{Options, Replay, Restarts};
use super::sobol;
use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::{
    Algorithm, Capability, Designer, Kind, Memo, Problem, Proposal, Refusal, Setting, State,
    Suggested, Trial, UnknownSettings,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "cmaes",
    aliases: &[],
    summary: "moves and shapes a cloud of points towards the better ones",
    settings: &[
        super::random::RANDOM_STATE,
        Setting {
            name: "restart_strategy",
            kind: Kind::Supported {
                words: &["none", "None", "ipop", "bipop"],
                by: "CMAES optimization",
            },
            default: "none",
            doc: "what happens when a search has converged: none, ipop (again with twice the \
                  population) or bipop (in turn with a larger and with a small one)",
        },
        Setting {
            name: "sigma",
            kind: Kind::Float {
                above: -f64::MIN_POSITIVE,
                below: f64::INFINITY,
                refusal: "sigma should be greate or equal than zero",
            },
            default: "",
            doc: "deviation of the first points around the middle, as a part of each range; by \
                  default 0.12",
        },
    ],
    // As Katib's service does.
    unknown_settings: UnknownSettings::Ignored,
    supports: &[
        Capability::LearnsFromHistory,
        Capability::Parallel,
        Capability::Exhausts,
    ],
    build: |problem| Ok(Box::new(CmaEs::new(problem)?)),
};

/// Names the label with the number of the generation from which a trial was drawn.
const GENERATION: &str = "cmaes-generation";

/// The first deviation, in positions.
const SIGMA: f64 = 0.12;

/// How often a repeated point is drawn anew before the space is searched for a new one.
const ATTEMPTS: usize = 16;

struct CmaEs {
    problem: Problem,
    axes: Vec<Axis>,
    fresh: Fresh,
    replay: Replay,
}

/// The states after the last generations, and from how many completed trials each one follows. A
/// trial that ends late changes the history before its end, and only from there it is replayed.
struct Checkpoints {
    options: Options,
    states: VecDeque<(usize, Replay)>,
}

/// How many states are kept.
const CHECKPOINTS: usize = 4;

impl CmaEs {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        if problem.space.parameters.len() < 2 {
            return Err(Refusal(
                "CMA-ES only supports two or more dimensional continuous search space.".to_owned(),
            ));
        }
        let axes = axes(&problem.space);
        Ok(Self {
            problem: problem.clone(),
            fresh: Fresh::new(&axes),
            replay: Replay::new(&axes, options(problem)),
            axes,
        })
    }

    /// The point of a trial with its loss; failed ones lose against all others.
    fn lesson(&self, trial: &Trial) -> Option<(Vec<f64>, f64)> {
        let values = trial.point().filter(|p| p.len() == self.axes.len())?;
        let loss = match (self.problem.loss(trial), trial.state) {
            (Some(loss), _) => loss,
            (None, State::Killed) => return None,
            (None, _) => f64::INFINITY,
        };
        let coordinate = |(axis, value): (&Axis, _)| {
            if axis.is_ordered() {
                axis.position(value)
            } else {
                axis.rank(value) as f64
            }
        };
        let point = self.axes.iter().zip(values).map(coordinate).collect();
        Some((point, loss))
    }
}

fn options(problem: &Problem) -> Options {
    let settings = &problem.settings;
    Options {
        seed: problem.seed,
        sigma: settings
            .float("sigma")
            .filter(|sigma| *sigma > 0.0)
            .unwrap_or(SIGMA),
        restarts: match settings.text("restart_strategy") {
            Some("ipop") => Restarts::Ipop,
            Some("bipop") => Restarts::Bipop,
            _ => Restarts::None,
        },
    }
}

impl Designer for CmaEs {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.observe_further(completed, active, &mut Memo::default());
    }

    fn observe_further(&mut self, completed: &[Trial], active: &[Trial], memo: &mut Memo) {
        self.fresh.observe(&self.axes, completed);
        self.fresh.observe(&self.axes, active);
        let options = options(&self.problem);
        let (left, same) = memo.take::<Checkpoints>().unzip();
        let mut states = left
            .filter(|left| left.options == options)
            .map_or_else(VecDeque::new, |left| left.states);
        states.retain(|(trials, _)| same.is_some_and(|same| *trials <= same));
        let mut done = 0;
        if let Some((trials, state)) = states.back() {
            (done, self.replay) = (*trials, state.clone());
        }
        let mut generation = Vec::with_capacity(self.replay.population());
        for (index, trial) in completed.iter().enumerate().skip(done) {
            generation.extend(self.lesson(trial));
            if generation.len() == self.replay.population() {
                self.replay.follow(&self.axes, &generation);
                generation.clear();
                states.push_back((index + 1, self.replay.clone()));
                if states.len() > CHECKPOINTS {
                    states.pop_front();
                }
            }
        }
        memo.leave(Checkpoints { options, states }, completed.len());
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let replay = &self.replay;
        let mut suggested = Suggested::default();
        for place in 0..count {
            if self.fresh.is_exhausted() {
                break;
            }
            let index = self.problem.issued + place;
            let drawn = (0..ATTEMPTS).find_map(|attempt| {
                let point = replay.draw(index, attempt);
                let values: Vec<_> = self
                    .axes
                    .iter()
                    .zip(&point)
                    .map(|(axis, x)| {
                        if axis.is_ordered() {
                            axis.at_position(*x)
                        } else {
                            axis.at_rank(*x as u64)
                        }
                    })
                    .collect();
                self.fresh.insert(&self.axes, &values).then_some(values)
            });
            let seed = self.problem.seed;
            let Some(values) =
                drawn.or_else(|| sobol::draw(&self.axes, &mut self.fresh, seed, index))
            else {
                break;
            };
            let mut proposal = Proposal::from(values);
            proposal
                .labels
                .insert(GENERATION.to_owned(), replay.generation().to_string());
            suggested.proposals.push(proposal);
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}
