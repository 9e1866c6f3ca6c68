//! Random search: every parameter is drawn from its own distribution (Bergstra and Bengio,
//! "Random Search for Hyper-Parameter Optimization", 2012).
//!
//! Unlike Katib's service, which rounds to multiples of the step counted from zero and does not
//! truncate normal distributions, values lie on the step counted from `min` and inside the range,
//! and a finite space is searched without repetition.

use diwan_api::search_space::Value;
use rand::RngExt;

use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::math::stream;
use crate::{Algorithm, Capability, Designer, Kind, Problem, Refusal, Setting, Suggested, Trial};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "random",
    aliases: &[],
    summary: "draws every parameter from its distribution",
    settings: &[RANDOM_STATE],
    ignores_unknown_settings: false,
    supports: &[
        Capability::Parallel,
        Capability::Distributions,
        Capability::Exhausts,
    ],
    build: |problem| Ok(Box::new(Random::new(problem))),
};

/// The seed, as the `random` and `tpe` of Katib describe it.
pub(super) const RANDOM_STATE: Setting = Setting {
    name: "random_state",
    kind: Kind::Int {
        min: 0,
        refusal: "random_state should be great or equal than zero",
    },
    default: "",
    doc: "seed of all draws; by default made from the experiment's name",
};

/// How often a repeated point is drawn anew before the space is searched for a new one.
const ATTEMPTS: usize = 64;

struct Random {
    axes: Vec<Axis>,
    fresh: Fresh,
    seed: u64,
    issued: usize,
}

impl Random {
    fn new(problem: &Problem) -> Self {
        let axes = axes(&problem.space);
        let fresh = Fresh::new(&axes);
        Self {
            axes,
            fresh,
            seed: problem.seed,
            issued: problem.issued,
        }
    }
}

impl Designer for Random {
    fn needs_history(&self) -> bool {
        self.fresh.is_finite()
    }

    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.fresh.observe(&self.axes, completed);
        self.fresh.observe(&self.axes, active);
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let mut suggested = Suggested::default();
        for index in self.issued..self.issued + count {
            let Some(point) = draw(&self.axes, &mut self.fresh, self.seed, index) else {
                break;
            };
            suggested.proposals.push(point.into());
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}

/// Draws the `index`th point of the stream; `None` when the space is exhausted.
pub(super) fn draw(
    axes: &[Axis],
    fresh: &mut Fresh,
    seed: u64,
    index: usize,
) -> Option<Vec<Value>> {
    if fresh.is_exhausted() {
        return None;
    }
    let mut rng = stream::rng(seed, index);
    for _ in 0..ATTEMPTS {
        let point: Vec<Value> = axes
            .iter()
            .map(|axis| axis.quantile(rng.random()))
            .collect();
        if fresh.insert(axes, &point) {
            return Some(point);
        }
    }
    fresh.take_from(axes, rng.random())
}
