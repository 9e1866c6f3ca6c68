//! The search for the point that is worth most: many candidates, of which the best are improved
//! by gradients where the space is smooth and value by value where it is not.

use rand::{Rng, RngExt};
use rand_pcg::Pcg64Mcg;

use super::acquisition::Acquisition;
use super::coding::{Coding, Kind};
use super::surrogate::Surrogate;
use crate::math::lbfgs;
use crate::math::normal;

/// How often an improvement goes around all coordinates, and how many steps it takes along the
/// smooth ones each time.
const ROUNDS: usize = 3;
const STEPS: usize = 15;

/// How a search goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Points drawn from the whole space.
    pub(super) anywhere: usize,
    /// Points drawn around the best ones that are known.
    pub(super) around: usize,
    /// How many of them are improved; 0 for none.
    pub(super) starts: usize,
}

/// A candidate and what it is worth.
type Scored = (f64, Vec<f64>);

/// The points that are worth most, the best first.
pub(super) fn candidates(
    model: &dyn Surrogate,
    acquisition: Acquisition,
    coding: &Coding,
    best: &[&[f64]],
    plan: Plan,
    rng: &mut Pcg64Mcg,
) -> Vec<Scored> {
    let search = Search {
        model,
        acquisition,
        coding,
    };
    let mut scored: Vec<Scored> = (0..plan.anywhere)
        .map(|_| search.score(coding.draw(rng)))
        .collect();
    for (place, _) in (0..plan.around).zip(0..).filter(|_| !best.is_empty()) {
        let point = mutate(coding, best[place % best.len()], rng);
        scored.push(search.score(point));
    }
    sort(&mut scored);
    let mut starts = spread(&scored, plan.starts, coding);
    if plan.starts > 0 {
        starts.extend(best.first().map(|point| search.score(point.to_vec())));
    }
    for start in starts {
        scored.push(search.improve(start, rng));
    }
    sort(&mut scored);
    scored
}

fn sort(scored: &mut [Scored]) {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
}

/// The best candidates that are not close to a better one.
fn spread(scored: &[Scored], count: usize, coding: &Coding) -> Vec<Scored> {
    let mut chosen: Vec<Scored> = Vec::new();
    for (value, point) in scored {
        if chosen.len() >= count {
            break;
        }
        let far = |other: &Scored| {
            let far = |d: usize| match coding.kinds()[d] {
                Kind::Categories(_) => point[d] != other.1[d],
                Kind::Smooth | Kind::Steps(_) => (point[d] - other.1[d]).abs() > 0.1,
            };
            (0..point.len()).any(far)
        };
        if chosen.iter().all(far) {
            chosen.push((*value, point.clone()));
        }
    }
    chosen
}

/// A point near another one: few coordinates change, by little or by much.
fn mutate(coding: &Coding, point: &[f64], rng: &mut impl Rng) -> Vec<f64> {
    let d = point.len();
    let mut point = point.to_vec();
    let reach = 10f64.powf(-0.5 - 2.0 * rng.random::<f64>());
    let share = (rng.random::<f64>() * 2.0)
        .min(1.0)
        .max(1.0 / d.max(1) as f64);
    let certain = if d > 0 { rng.random_range(0..d) } else { 0 };
    for (k, x) in point.iter_mut().enumerate() {
        if k != certain && rng.random::<f64>() >= share {
            continue;
        }
        *x = match coding.kinds()[k] {
            Kind::Categories(_) if k != certain && rng.random::<f64>() < 0.7 => *x,
            Kind::Categories(_) => coding.draw_coordinate(k, rng),
            Kind::Steps(_) | Kind::Smooth => {
                let z = normal::quantile(rng.random::<f64>().clamp(1e-9, 1.0 - 1e-9));
                coding.snap(k, (*x + reach * z).clamp(0.0, 1.0))
            }
        };
    }
    point
}

struct Search<'a> {
    model: &'a dyn Surrogate,
    acquisition: Acquisition,
    coding: &'a Coding,
}

impl Search<'_> {
    fn score(&self, point: Vec<f64>) -> Scored {
        let value = self.acquisition.worth(self.model.predict(&point)).value;
        (
            if value.is_nan() {
                f64::NEG_INFINITY
            } else {
                value
            },
            point,
        )
    }

    /// Climbs from a point.
    fn improve(&self, start: Scored, rng: &mut Pcg64Mcg) -> Scored {
        let mut at = start;
        for _ in 0..ROUNDS {
            let before = at.0;
            at = self.climb_smooth(at);
            at = self.climb_steps(at, rng);
            if at.0 - before < 1e-4 {
                break;
            }
        }
        at
    }

    /// Follows the gradient over the smooth coordinates.
    fn climb_smooth(&self, at: Scored) -> Scored {
        let smooth: Vec<usize> = (0..at.1.len())
            .filter(|k| self.coding.kinds()[*k] == Kind::Smooth)
            .collect();
        if smooth.is_empty() || self.model.slope(&at.1).is_none() {
            return at;
        }
        let mut point = at.1.clone();
        let start: Vec<f64> = smooth.iter().map(|k| point[*k]).collect();
        let bounds = vec![(0.0, 1.0); smooth.len()];
        let (x, _) = lbfgs::minimize(start, &bounds, STEPS, |x, gradient| {
            for (k, x) in smooth.iter().zip(x) {
                point[*k] = *x;
            }
            let Some(slope) = self.model.slope(&point) else {
                return f64::INFINITY;
            };
            let worth = self.acquisition.worth((slope.mean, slope.deviation));
            for (g, k) in gradient.iter_mut().zip(&smooth) {
                *g = -(worth.by_mean * slope.of_mean[*k]
                    + worth.by_deviation * slope.of_deviation[*k]);
            }
            -worth.value
        });
        for (k, x) in smooth.iter().zip(&x) {
            point[*k] = self.coding.snap(*k, *x);
        }
        let improved = self.score(point);
        if improved.0 > at.0 { improved } else { at }
    }

    /// Tries other values of the other coordinates, one coordinate after the other.
    fn climb_steps(&self, mut at: Scored, rng: &mut Pcg64Mcg) -> Scored {
        let first = rng.random_range(0..at.1.len().max(1));
        for k in (first..at.1.len()).chain(0..first) {
            for rank in self.other_ranks(k, at.1[k], rng) {
                let mut point = at.1.clone();
                point[k] = self.coding.at_rank(k, rank);
                let scored = self.score(point);
                if scored.0 > at.0 {
                    at = scored;
                }
            }
        }
        at
    }

    /// The values worth trying in place of this one.
    fn other_ranks(&self, dimension: usize, x: f64, rng: &mut Pcg64Mcg) -> Vec<u64> {
        const FEW: u64 = 6;
        match self.coding.kinds()[dimension] {
            Kind::Smooth => Vec::new(),
            Kind::Categories(count) | Kind::Steps(count) if count <= FEW => (0..count).collect(),
            Kind::Categories(count) => (0..FEW).map(|_| rng.random_range(0..count)).collect(),
            Kind::Steps(count) => {
                let rank = self.coding.rank(dimension, x);
                let mut ranks = vec![
                    rank.saturating_sub(1),
                    (rank + 1).min(count - 1),
                    rng.random_range(0..count),
                    rng.random_range(0..count),
                ];
                ranks.retain(|r| *r != rank);
                ranks
            }
        }
    }
}
