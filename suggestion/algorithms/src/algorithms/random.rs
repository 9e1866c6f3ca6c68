//! Random search: every parameter is drawn from its own distribution (Bergstra and Bengio,
//! "Random Search for Hyper-Parameter Optimization", 2012).
//!
//! Unlike Katib's service, which rounds to multiples of the step counted from zero and does not
//! truncate normal distributions, values lie on the step counted from `min` and inside the range,
//! and a finite space is searched without repetition.

use diwan_api::search_space::Value;
use rand::RngExt;

use crate::axis::Axis;
use crate::fresh::Fresh;
use crate::math::stream;
use crate::sequence::Sequence;
use crate::{Algorithm, Capability, Kind, Setting, UnknownSettings, nas};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "random",
    aliases: &[],
    summary: "draws every parameter from its distribution",
    settings: &[RANDOM_STATE],
    unknown_settings: UnknownSettings::Refused,
    supports: &[
        Capability::Parallel,
        Capability::Distributions,
        Capability::Exhausts,
        Capability::Architectures,
    ],
    build: |problem| {
        nas::on_graph(problem, |problem| {
            Ok(Box::new(Sequence::new(problem, draw)))
        })
    },
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
