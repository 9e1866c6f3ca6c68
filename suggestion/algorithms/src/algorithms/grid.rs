//! Grid search: every combination of the parameters' values, once.
//!
//! Combinations come in the order of the search space, the last parameter changing fastest, or
//! shuffled when `random_state` is set. What was tried is read from the history, so that a grid
//! can be resumed anywhere, and it ends when nothing is left. Katib's service can't go on after a
//! restart and stalls at the end.

use std::num::NonZeroU64;

use diwan_api::SearchSpace;
use diwan_api::search_space::{Domain, Value};

use crate::axis::{Axis, axes};
use crate::fresh::{Fresh, combination};
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Kind, Problem, Refusal, Setting, Suggested, Trial,
    UnknownSettings,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "grid",
    aliases: &[],
    summary: "tries every combination once",
    settings: &[Setting {
        name: "random_state",
        kind: Kind::Int {
            min: 0,
            refusal: "random_state should be greate or equal than zero",
        },
        default: "",
        doc: "seed of the order of combinations; by default they come in their natural order",
    }],
    unknown_settings: UnknownSettings::Refused,
    supports: &[Capability::Parallel, Capability::Exhausts],
    build: |problem| Ok(Box::new(Grid::new(problem)?)),
};

struct Grid {
    axes: Vec<Axis>,
    fresh: Fresh,
    size: u64,
    order: Order,
    issued: usize,
    visible: usize,
}

impl Grid {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let size = size(&problem.space)?;
        // A budget that is raised above it later ends with the grid.
        if let Some(max) = problem.budget.max_trials.filter(|_| problem.issued == 0)
            && max as u64 > size
        {
            let why = format!("Max Trial Count: {max} > all possible search combinations: {size}");
            return Err(refuse(&problem.space, &why));
        }
        let shuffled = problem.settings.text("random_state").is_some();
        let order = Order::new(size, shuffled.then_some(problem.seed));
        let axes = axes(&problem.space);
        let fresh = Fresh::new(&axes);
        Ok(Self {
            axes,
            fresh,
            size,
            order,
            issued: problem.issued,
            visible: 0,
        })
    }

    /// The combinations that are not in the history, in order.
    fn remaining(&self) -> impl Iterator<Item = Vec<Value>> {
        (0..self.size)
            .map(|place| self.order.at(place))
            .filter(|code| self.fresh.is_new_combination(*code))
            .map(|code| combination(&self.axes, code))
    }
}

impl Designer for Grid {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        self.visible = completed.len() + active.len();
        self.fresh.observe(&self.axes, completed);
        self.fresh.observe(&self.axes, active);
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        // Assignments that were given but are in no history (trials not made yet, trials without
        // metrics) were the first that now look as if they were left.
        let hidden = self.issued.saturating_sub(self.visible);
        let points: Vec<_> = self.remaining().skip(hidden).take(count + 1).collect();
        let exhausted = points.len() <= count;
        let proposals = points.into_iter().take(count).map(Into::into).collect();
        Ok(Suggested {
            proposals,
            exhausted,
            ..Suggested::default()
        })
    }
}

/// How many combinations there are, or why they can't be listed.
fn size(space: &SearchSpace) -> Result<u64, Refusal> {
    for parameter in &space.parameters {
        if matches!(parameter.domain, Domain::Double { step: None, .. }) {
            let why = format!(
                "Param {} step is nil; For discrete search space, all parameters must include step",
                parameter.name
            );
            return Err(refuse(space, &why));
        }
    }
    space.cardinality().ok_or_else(|| {
        refuse(
            space,
            "more combinations than 64 bits can count; use larger steps",
        )
    })
}

fn refuse(space: &SearchSpace, why: &str) -> Refusal {
    let names: Vec<_> = space.parameters.iter().map(|p| p.name.as_str()).collect();
    Refusal(format!(
        "failed to validate parameters({}): {why}",
        names.join(", ")
    ))
}

/// An order of the numbers below a size: as they are, or `a + k·b` modulo the size, with `b`
/// near the golden section and without a common divisor, which spreads any first part evenly.
struct Order {
    size: u64,
    offset: u64,
    stride: u64,
}

impl Order {
    fn new(size: u64, seed: Option<u64>) -> Self {
        let Some(seed) = seed else {
            return Self {
                size,
                offset: 0,
                stride: 1,
            };
        };
        let offset = u64::from(stream::short_seed(seed, 0)) % size;
        let golden = (size as f64 * 0.618_033_988_749_894_9) as u64;
        let jitter = u64::from(stream::short_seed(seed, 1)) % (size / 8 + 1);
        let stride = (0..size)
            .map(|k| (golden.wrapping_add(jitter).wrapping_add(k)) % size)
            .find(|stride| gcd(*stride, size) == 1)
            .unwrap_or(1);
        Self {
            size,
            offset,
            stride,
        }
    }

    fn at(&self, place: u64) -> u64 {
        let size = u128::from(self.size);
        let sum = u128::from(self.offset) + u128::from(place) * u128::from(self.stride);
        (sum % size) as u64
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    match NonZeroU64::new(b) {
        None => a,
        Some(divisor) => gcd(b, a % divisor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_visits_every_place_once() {
        for size in [1, 2, 3, 8, 12, 97, 1000] {
            for seed in [None, Some(0), Some(7)] {
                let order = Order::new(size, seed);
                let mut places: Vec<u64> = (0..size).map(|k| order.at(k)).collect();
                places.sort_unstable();
                assert_eq!(places, (0..size).collect::<Vec<_>>(), "{size} {seed:?}");
            }
        }
    }
}
