//! Population based training (Jaderberg et al., "Population Based Training of Neural Networks",
//! 2017): a population of trainings goes on in short trials. After each, the worst members
//! continue what the best ones have learned, with their parameters (exploit); all others continue
//! what they have learned themselves, with parameters that are changed a little (explore).
//!
//! A trial is told by a label from which trial's checkpoint it continues. Katib's service gives the
//! loser's own checkpoint to the parameters of the winner; here it is the winner's. The population
//! is read from the labels of the trials, so that a restart changes nothing; members that fail are
//! tried again, and after [`RETRIES`] continue a better one.
//!
//! Unlike in Katib's service a member goes on as soon as its trial has ended, compared with the
//! latest trial of every other member; those of the lowest generation go first. Changed numbers
//! lie on their step, whole ones are whole, and doubles need no step.

mod checkpoints;
mod population;
mod settings;

use diwan_api::search_space::Value;
use indexmap::IndexMap;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

pub use self::checkpoints::{parent, spent_checkpoints};
use self::population::{Latest, Member, Population};
use crate::axis::{Axis, axes};
use crate::math::stream;
use crate::{
    Algorithm, Capability, Designer, Problem, Proposal, Refusal, Suggested, Trial, UnknownSettings,
};

pub(super) static ALGORITHM: Algorithm = Algorithm {
    name: "pbt",
    aliases: &[],
    summary: "trains a population in steps; the worst continue what the best have learned",
    settings: settings::SETTINGS,
    // As Katib's service does.
    unknown_settings: UnknownSettings::Ignored,
    supports: &[
        Capability::Parallel,
        Capability::Distributions,
        Capability::Continues,
    ],
    build: |problem| Ok(Box::new(Pbt::new(problem)?)),
};

/// How often in all a trial of a member is tried in one generation.
const RETRIES: usize = 3;
/// What numbers are multiplied with.
const FACTORS: [f64; 2] = [0.8, 1.2];

struct Pbt {
    problem: Problem,
    axes: Vec<Axis>,
    /// The share of members that counts as worst, and as best.
    truncation: f64,
    /// How likely a parameter is drawn anew; `None` multiplies it instead.
    resample: Option<f64>,
    population: Population,
}

impl Pbt {
    fn new(problem: &Problem) -> Result<Self, Refusal> {
        let settings = settings::read(&problem.settings)?;
        Ok(Self {
            axes: axes(&problem.space),
            truncation: settings.truncation,
            resample: settings.resample,
            population: Population::new(settings.population),
            problem: problem.clone(),
        })
    }

    /// The next trial of a member.
    fn next(&self, place: usize, rng: &mut Pcg64Mcg) -> Proposal {
        let member = &self.population.members[place];
        match &member.latest {
            None => proposal(place, 0, None, self.draw(rng)),
            Some(Latest::Running) => Proposal::default(),
            Some(Latest::Failed(failed)) if member.failures < RETRIES => {
                let values = failed.point.clone().unwrap_or_else(|| self.draw(rng));
                proposal(place, member.generation, failed.parent.as_deref(), values)
            }
            // What it has learned leads nowhere, or it has learned nothing yet.
            Some(Latest::Failed(_)) => match self.donor(rng) {
                Some((name, point)) => {
                    proposal(place, member.generation + 1, Some(name), point.to_vec())
                }
                None => proposal(place, member.generation + 1, None, self.draw(rng)),
            },
            Some(Latest::Ended(ended)) => self.go_on(place, member, ended, rng),
        }
    }

    /// The trial that follows one that has ended well.
    fn go_on(
        &self,
        place: usize,
        member: &Member,
        ended: &population::Ended,
        rng: &mut Pcg64Mcg,
    ) -> Proposal {
        let generation = member.generation + 1;
        let losses = self.population.losses();
        if ended.loss > quantile(&losses, 1.0 - self.truncation)
            && let Some((name, point)) = self.donor(rng)
        {
            return proposal(place, generation, Some(name), point.to_vec());
        }
        let pairs = self.axes.iter().zip(&ended.point);
        let values = pairs.map(|(axis, value)| self.explore(axis, *value, rng));
        proposal(place, generation, Some(&ended.name), values.collect())
    }

    /// One of the best members' latest trials: its name and its point.
    fn donor(&self, rng: &mut Pcg64Mcg) -> Option<(&str, &[Value])> {
        let losses = self.population.losses();
        let bound = quantile(&losses, self.truncation);
        let ended = self.population.ended();
        let best: Vec<_> = ended.filter(|ended| ended.loss <= bound).collect();
        if best.is_empty() {
            return None;
        }
        let donor = best[rng.random_range(0..best.len())];
        Some((&donor.name, &donor.point))
    }

    fn draw(&self, rng: &mut Pcg64Mcg) -> Vec<Value> {
        let draws = self.axes.iter().map(|axis| axis.quantile(rng.random()));
        draws.collect()
    }

    fn explore(&self, axis: &Axis, value: Value, rng: &mut Pcg64Mcg) -> Value {
        match self.resample {
            None => perturbed(axis, value, rng),
            Some(probability) if rng.random::<f64>() < probability => axis.quantile(rng.random()),
            Some(_) => value,
        }
    }
}

/// A value multiplied with one of the factors, on its step and inside its range; of a list the one
/// before or after, going round.
fn perturbed(axis: &Axis, value: Value, rng: &mut Pcg64Mcg) -> Value {
    let up = rng.random::<bool>();
    let factor = FACTORS[usize::from(up)];
    let x = match value {
        Value::Index(_) => return beside(axis, value, up, true),
        Value::Double(x) => x,
        Value::Int(n) => n as f64,
    };
    let next = axis.nearest_value(x * factor);
    if next == value && axis.count().is_some() {
        // The step is longer than that: one step towards where it would have gone.
        return beside(axis, value, up == (x >= 0.0), false);
    }
    next
}

/// The value one step ahead or back, staying at the ends unless the list goes round.
fn beside(axis: &Axis, value: Value, ahead: bool, goes_round: bool) -> Value {
    let count = axis.count().unwrap_or(1);
    let here = axis.index(value).unwrap_or_default();
    let next = match (ahead, goes_round) {
        (true, true) => (here + 1) % count,
        (false, true) => (here + count - 1) % count,
        (true, false) => (here + 1).min(count - 1),
        (false, false) => here.saturating_sub(1),
    };
    axis.at_index(next)
}

/// The value below which a share of sorted numbers lies, between two of them in proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

fn proposal(
    member: usize,
    generation: usize,
    parent: Option<&str>,
    values: Vec<Value>,
) -> Proposal {
    let mut labels = IndexMap::from([
        (population::GENERATION.to_owned(), generation.to_string()),
        (population::MEMBER.to_owned(), member.to_string()),
    ]);
    if let Some(parent) = parent {
        labels.insert(population::PARENT.to_owned(), parent.to_owned());
    }
    Proposal {
        values,
        labels,
        ..Proposal::default()
    }
}

impl Designer for Pbt {
    fn observe(&mut self, completed: &[Trial], active: &[Trial]) {
        for trial in completed.iter().chain(active) {
            self.population
                .observe(&self.problem, self.axes.len(), trial);
        }
    }

    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal> {
        let ready = self.population.ready(count);
        let indices = self.problem.issued..;
        let proposals = ready.into_iter().zip(indices).map(|(place, index)| {
            let rng = &mut stream::rng(self.problem.seed, index);
            self.next(place, rng)
        });
        Ok(Suggested {
            proposals: proposals.collect(),
            ..Suggested::default()
        })
    }
}

#[cfg(test)]
mod tests;
