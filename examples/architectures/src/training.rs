//! Learning from digits, epoch by epoch.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use candle_nn::loss::cross_entropy;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use crate::digits::Digits;
use crate::kernel::numbers;
use crate::maps::Maps;
use crate::norm::Mode;

/// What turns images into a row of scores for each, one for each digit.
pub trait Network {
    /// The scores.
    fn forward(&self, images: &Maps, mode: Mode) -> Result<Tensor>;
}

/// How images were told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Share of images that were told right.
    pub accuracy: f64,
    /// Mean of the cross-entropy.
    pub loss: f64,
}

/// Images are judged in groups of so many, which bounds memory.
const JUDGED_TOGETHER: usize = 256;

/// How well a network tells images apart.
pub fn judge(network: &dyn Network, images: &Digits) -> Result<Score> {
    let all: Vec<usize> = (0..images.len()).collect();
    let mut sum = Sum::default();
    for numbers in all.chunks(JUDGED_TOGETHER) {
        let group = images.pick(numbers);
        let scores = network.forward(&group.maps()?, Mode::Judge)?.detach();
        sum.add(&scores, &loss(&scores, &group)?, &group)?;
    }
    Ok(sum.score())
}

/// Images in groups of `size`, in an order drawn from `rng`; a single image that is left over is
/// left out, since batch normalization can't learn from one.
pub fn batches(images: &Digits, size: usize, rng: &mut Pcg64Mcg) -> Vec<Digits> {
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.shuffle(rng);
    let groups = order.chunks(size.max(2)).filter(|group| group.len() > 1);
    groups.map(|group| images.pick(group)).collect()
}

/// Goes through all images once; `learn` gets the gradients of each batch.
pub fn epoch(
    network: &dyn Network,
    batches: &[Digits],
    mut learn: impl FnMut(&GradStore) -> Result<()>,
) -> Result<Score> {
    let mut sum = Sum::default();
    for batch in batches {
        let scores = network.forward(&batch.maps()?, Mode::Learn)?;
        let loss = loss(&scores, batch)?;
        learn(&loss.backward()?)?;
        sum.add(&scores, &loss, batch)?;
    }
    Ok(sum.score())
}

/// The mean cross-entropy of scores.
pub fn loss(scores: &Tensor, images: &Digits) -> Result<Tensor> {
    let labels = Tensor::from_slice(images.labels(), images.len(), &Device::Cpu)?;
    cross_entropy(scores, &labels)
}

#[derive(Default)]
struct Sum {
    right: usize,
    loss: f64,
    images: usize,
}

impl Sum {
    fn add(&mut self, scores: &Tensor, loss: &Tensor, images: &Digits) -> Result<()> {
        let told: Vec<u32> = scores.argmax(1)?.to_vec1()?;
        let pairs = told.iter().zip(images.labels());
        self.right += pairs.filter(|(told, label)| told == label).count();
        self.loss += f64::from(loss.to_scalar::<f32>()?) * images.len() as f64;
        self.images += images.len();
        Ok(())
    }

    fn score(&self) -> Score {
        let images = self.images.max(1) as f64;
        Score {
            accuracy: self.right as f64 / images,
            loss: self.loss / images,
        }
    }
}

/// Stochastic gradient descent with momentum and decay, in steps no longer than a limit; the tensor
/// library's has neither.
pub struct Descent {
    weights: Vec<(Var, Vec<f32>)>,
    momentum: f32,
    decay: f32,
    clip: f32,
}

impl Descent {
    /// Descends with these weights. `clip` is the longest gradient.
    pub fn new(weights: Vec<Var>, momentum: f64, decay: f64, clip: f64) -> Self {
        let still = |var: Var| {
            let velocity = vec![0.0; var.elem_count()];
            (var, velocity)
        };
        Self {
            weights: weights.into_iter().map(still).collect(),
            momentum: momentum as f32,
            decay: decay as f32,
            clip: clip as f32,
        }
    }

    /// Makes one step.
    pub fn step(&mut self, gradients: &GradStore, rate: f64) -> Result<()> {
        let mut found = Vec::new();
        for (index, (var, _)) in self.weights.iter().enumerate() {
            if let Some(gradient) = gradients.get(var) {
                found.push((index, numbers(gradient)?));
            }
        }
        let squares = found.iter().flat_map(|(_, g)| g).map(|g| g * g);
        let shrink = (self.clip / squares.sum::<f32>().sqrt().max(1e-12)).min(1.0);
        for (index, gradient) in found {
            let (var, velocity) = &mut self.weights[index];
            let mut values = numbers(var)?;
            for ((value, velocity), gradient) in values.iter_mut().zip(velocity).zip(gradient) {
                *velocity = self.momentum * *velocity + gradient * shrink + self.decay * *value;
                *value -= rate as f32 * *velocity;
            }
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}

/// A rate that falls from `highest` to `lowest` along half a cosine.
pub fn cosine(highest: f64, lowest: f64, epoch: usize, epochs: usize) -> f64 {
    let share = epoch as f64 / epochs.max(1) as f64;
    lowest + (highest - lowest) * (1.0 + (std::f64::consts::PI * share).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_falls_along_half_a_cosine() {
        assert_eq!(cosine(0.3, 0.1, 0, 10), 0.3);
        assert!((cosine(0.3, 0.1, 5, 10) - 0.2).abs() < 1e-12);
        assert!((cosine(0.3, 0.1, 10, 10) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn descent_has_momentum_and_decay_and_short_steps() {
        let var = Var::new(&[1.0f32, -2.0], &Device::Cpu).unwrap();
        let mut descent = Descent::new(vec![var.clone()], 0.5, 0.1, 2.0);
        // The gradient of 3a + 4b is (3, 4), of length 5: shortened to (1.2, 1.6).
        let step = |descent: &mut Descent| {
            let slope = Tensor::new(&[3.0f32, 4.0], &Device::Cpu).unwrap();
            let loss = (var.as_tensor() * slope).unwrap().sum_all().unwrap();
            descent.step(&loss.backward().unwrap(), 0.1).unwrap();
            numbers(&var).unwrap()
        };
        // Velocity (1.3, 1.4), then half of it and (1.2 + 0.087, 1.6 - 0.214).
        let close = |a: Vec<f32>, b: [f32; 2]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(step(&mut descent), [0.87, -2.14]));
        assert!(close(step(&mut descent), [0.87 - 0.1937, -2.14 - 0.2086]));
    }
}
