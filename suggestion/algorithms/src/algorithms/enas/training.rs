//! How the controller learns from architectures that were evaluated.

use rand::RngExt;

use super::controller::{Pull, Shape, run, weights};
use crate::math::stream;

/// How the controller is trained.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// How many steps follow a trial.
    pub(super) steps: usize,
    pub(super) rate: f32,
    /// How much of the baseline is kept.
    pub(super) decay: f32,
    pub(super) entropy: f32,
    pub(super) skip: f32,
}

/// An architecture and what it lost.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    pub(super) choices: Vec<usize>,
    pub(super) loss: f64,
}

/// The weights of a controller, and what the optimizer (Kingma and Ba, "Adam", 2015) remembers.
#[derive(Clone, Debug)]
pub(super) struct Learner {
    pub(super) weights: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
    baseline: f32,
}

/// The stream of the weights and of the lessons lies apart from those of the proposals.
const STREAM: u64 = 0x656e_6173;
/// Trials up to this number are each followed by training; later ones in groups, so that the work
/// after a restart stays bounded.
const EACH: usize = 256;
/// Nothing is learned from fewer trials: ranks among a few are chance, and what is learned first is
/// what is drawn next.
const STARTUP: usize = 10;
/// The share of results that is rewarded most.
const BEST: f64 = 0.1;

/// Whether training follows the trial of this number.
pub(super) fn is_due(count: usize) -> bool {
    count >= STARTUP && count.is_multiple_of(count.div_ceil(EACH).next_power_of_two())
}

impl Learner {
    /// A controller that has learned nothing.
    pub(super) fn new(shape: &Shape, plan: &Plan) -> Self {
        let weights = weights(shape, &mut stream::rng(plan.seed ^ STREAM, 0));
        Self {
            mean: vec![0.0; weights.len()],
            square: vec![0.0; weights.len()],
            weights,
            steps: 0,
            baseline: 0.0,
        }
    }

    /// Takes the steps that follow the last of these lessons.
    pub(super) fn train(&mut self, shape: &Shape, plan: &Plan, lessons: &[Lesson]) {
        let rng = &mut stream::rng(plan.seed ^ STREAM, lessons.len());
        let ranked = ranked(lessons);
        // Architectures that earned the same count as one: else those that differ in nothing that
        // matters fill the best ranks, and the controller draws nothing but more of them.
        let groups: Vec<&[&Lesson]> = ranked.chunk_by(|a, b| a.loss == b.loss).collect();
        let rewards = rewards(groups.len());
        let mut gradient = vec![0.0; self.weights.len()];
        for _ in 0..plan.steps {
            let rank = rng.random_range(0..groups.len());
            let reward = rewards[rank];
            let choices = &groups[rank][rng.random_range(0..groups[rank].len())].choices;
            self.baseline -= (1.0 - plan.decay) * (self.baseline - reward);
            let pull = Pull {
                advantage: reward - self.baseline,
                entropy: plan.entropy,
                skip: plan.skip,
            };
            gradient.fill(0.0);
            run(shape, &self.weights, |place, _| choices[place]).backward(pull, &mut gradient);
            self.step(plan.rate, &gradient);
        }
    }

    fn step(&mut self, rate: f32, gradient: &[f32]) {
        const KEEP: (f32, f32) = (0.9, 0.999);
        self.steps = self.steps.saturating_add(1);
        let correction = |keep: f32| 1.0 - keep.powi(self.steps);
        let rate = rate * correction(KEEP.1).sqrt() / correction(KEEP.0);
        let weights = self.weights.iter_mut().zip(gradient);
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((weight, slope), (mean, square)) in weights.zip(moments) {
            *mean += (1.0 - KEEP.0) * (slope - *mean);
            *square += (1.0 - KEEP.1) * (slope * slope - *square);
            *weight -= rate * *mean / (square.sqrt() + 1e-8);
        }
    }
}

/// The lessons, the best first; equal ones in their order.
fn ranked(lessons: &[Lesson]) -> Vec<&Lesson> {
    let mut ranked: Vec<&Lesson> = lessons.iter().collect();
    ranked.sort_by(|a, b| a.loss.total_cmp(&b.loss));
    ranked
}

/// The reward of each rank: it falls from the best on, and is 0 in the mean.
fn rewards(count: usize) -> Vec<f32> {
    let scale = BEST * count as f64;
    let rewards: Vec<f64> = (0..count)
        .map(|rank| (-(rank as f64 + 0.5) / scale.max(1.0)).exp())
        .collect();
    let mean = rewards.iter().sum::<f64>() / count.max(1) as f64;
    let most = rewards.first().copied().unwrap_or_default() - mean;
    rewards
        .into_iter()
        .map(|x| {
            if most > 0.0 {
                ((x - mean) / most) as f32
            } else {
                0.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_fall_with_the_rank_and_cancel() {
        let rewards = rewards(20);
        assert!(rewards.windows(2).all(|pair| pair[0] > pair[1]));
        assert!(rewards.iter().sum::<f32>().abs() < 1e-5);
        assert_eq!(super::rewards(1), [0.0]);
    }

    #[test]
    fn training_is_due_after_each_of_few_trials_and_in_groups_of_many() {
        let due = |to: usize| (1..=to).filter(|n| is_due(*n)).count();
        assert_eq!(due(256), 257 - STARTUP);
        assert_eq!(due(512) - due(256), 128);
        assert_eq!(due(1024) - due(512), 128);
    }
}
