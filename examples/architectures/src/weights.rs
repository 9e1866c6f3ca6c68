//! The weights of a network, drawn while it is built.

use candle_core::{Device, Result, Tensor, Var};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

/// Draws weights from one stream of random numbers, and keeps them for the optimizer.
pub struct Weights {
    rng: Pcg64Mcg,
    vars: Vec<Var>,
}

impl Weights {
    /// Weights that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Pcg64Mcg::seed_from_u64(seed),
            vars: Vec::new(),
        }
    }

    /// A matrix for `fan_in` inputs, uniform after He et al. (2015).
    pub fn matrix(&mut self, (rows, columns): (usize, usize), fan_in: usize) -> Result<Tensor> {
        let bound = (6.0 / fan_in.max(1) as f32).sqrt();
        self.uniform((rows, columns), bound)
    }

    /// A matrix of numbers from `-bound` to `bound`.
    pub fn uniform(&mut self, shape: (usize, usize), bound: f32) -> Result<Tensor> {
        let draw = |_| self.rng.random_range(-bound..=bound);
        let values: Vec<f32> = (0..shape.0 * shape.1).map(draw).collect();
        self.keep(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    /// One row of equal numbers.
    pub fn row(&mut self, columns: usize, value: f32) -> Result<Tensor> {
        self.keep(Tensor::full(value, (1, columns), &Device::Cpu)?)
    }

    fn keep(&mut self, tensor: Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        self.vars.push(var);
        Ok(tensor)
    }

    /// All that was drawn.
    pub fn into_vars(self) -> Vec<Var> {
        self.vars
    }
}
