//! A designer for algorithms that walk through a sequence of points, whatever the history says of
//! them.

use diwan_api::search_space::Value;

use crate::axis::{Axis, axes};
use crate::fresh::Fresh;
use crate::{Designer, Problem, Refusal, Suggested, Trial};

/// Gives the point of a sequence with this seed and index, or one in place of it if that was
/// proposed already; `None` when the space is exhausted.
pub(crate) type Draw = fn(&[Axis], &mut Fresh, u64, usize) -> Option<Vec<Value>>;

/// Goes on in a sequence behind the points that were issued.
pub(crate) struct Sequence {
    axes: Vec<Axis>,
    fresh: Fresh,
    seed: u64,
    issued: usize,
    draw: Draw,
}

impl Sequence {
    /// The sequence of `draw` for a problem.
    pub(crate) fn new(problem: &Problem, draw: Draw) -> Self {
        let axes = axes(&problem.space);
        let fresh = Fresh::new(&axes);
        Self {
            axes,
            fresh,
            seed: problem.seed,
            issued: problem.issued,
            draw,
        }
    }
}

impl Designer for Sequence {
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
            let point = (self.draw)(&self.axes, &mut self.fresh, self.seed, index);
            let Some(point) = point else { break };
            suggested.proposals.push(point.into());
        }
        suggested.exhausted = self.fresh.is_exhausted();
        Ok(suggested)
    }
}
