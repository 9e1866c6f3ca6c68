//! Batch normalization (Ioffe and Szegedy, 2015).

use std::cell::RefCell;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::kernel::{matrix, numbers};
use crate::maps::Maps;
use crate::weights::Weights;

/// Whether a network learns from what it is shown, or is judged by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It learns.
    Learn,
    /// It is judged.
    Judge,
}

/// How much of the moving mean and variance each batch replaces.
const MOMENTUM: f32 = 0.1;
const EPSILON: f32 = 1e-5;

/// Gives each channel mean 0 and variance 1, then those that were learned.
pub struct BatchNorm {
    scale: Tensor,
    shift: Tensor,
    moving: RefCell<Moments>,
}

/// Mean and variance of each channel.
#[derive(Clone)]
struct Moments {
    mean: Vec<f32>,
    variance: Vec<f32>,
}

impl BatchNorm {
    /// One that learns a scale and a shift.
    pub fn learned(weights: &mut Weights, channels: usize) -> Result<Self> {
        Ok(Self::of(
            weights.row(channels, 1.0)?,
            weights.row(channels, 0.0)?,
            channels,
        ))
    }

    /// One with mean 0 and variance 1.
    pub fn plain(channels: usize) -> Result<Self> {
        let device = candle_core::Device::Cpu;
        let scale = Tensor::full(1f32, (1, channels), &device)?;
        Ok(Self::of(scale.clone(), scale.zeros_like()?, channels))
    }

    fn of(scale: Tensor, shift: Tensor, channels: usize) -> Self {
        let moments = Moments {
            mean: vec![0.0; channels],
            variance: vec![1.0; channels],
        };
        Self {
            scale,
            shift,
            moving: RefCell::new(moments),
        }
    }

    /// Normalizes by the batch while learning, by what was seen while learning otherwise.
    pub fn forward(&self, maps: &Maps, mode: Mode) -> Result<Maps> {
        let moments = match mode {
            Mode::Learn => {
                let seen = Moments::of(&numbers(maps.rows())?, maps.channels()?);
                self.moving.borrow_mut().follow(&seen);
                seen
            }
            Mode::Judge => self.moving.borrow().clone(),
        };
        let normalize = Normalize { moments };
        let rows = maps.rows().apply_op3(&self.scale, &self.shift, normalize)?;
        Ok(maps.with(rows))
    }
}

impl Moments {
    fn of(numbers: &[f32], columns: usize) -> Self {
        let count = (numbers.len() / columns).max(1) as f32;
        let mut mean = vec![0.0; columns];
        for row in numbers.chunks_exact(columns) {
            for (mean, x) in mean.iter_mut().zip(row) {
                *mean += x / count;
            }
        }
        let mut variance = vec![0.0; columns];
        for row in numbers.chunks_exact(columns) {
            for ((variance, x), mean) in variance.iter_mut().zip(row).zip(&mean) {
                *variance += (x - mean) * (x - mean) / count;
            }
        }
        Self { mean, variance }
    }

    fn follow(&mut self, seen: &Self) {
        let pairs = self.mean.iter_mut().zip(&seen.mean);
        for (kept, new) in pairs.chain(self.variance.iter_mut().zip(&seen.variance)) {
            *kept += MOMENTUM * (new - *kept);
        }
    }

    fn inverse_deviation(&self) -> Vec<f32> {
        let inverse = |v: &f32| 1.0 / (v + EPSILON).sqrt();
        self.variance.iter().map(inverse).collect()
    }
}

/// Normalizes by the moments of its own rows. It is differentiated so; nothing is learned from
/// networks that are judged.
struct Normalize {
    moments: Moments,
}

impl CustomOp3 for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (from, columns) = matrix(s1, l1)?;
        let ((scale, _), (shift, _)) = (matrix(s2, l2)?, matrix(s3, l3)?);
        let (mean, inverse) = (&self.moments.mean, self.moments.inverse_deviation());
        let mut to = Vec::with_capacity(from.len());
        for row in from.chunks_exact(columns) {
            to.extend((0..columns).map(|c| (row[c] - mean[c]) * inverse[c] * scale[c] + shift[c]));
        }
        Ok((CpuStorage::F32(to), l1.shape().clone()))
    }

    fn bwd(
        &self,
        arg1: &Tensor,
        arg2: &Tensor,
        arg3: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, columns) = arg1.dims2()?;
        let (from, scale, grad) = (numbers(arg1)?, numbers(arg2)?, numbers(grad)?);
        let (mean, inverse) = (&self.moments.mean, self.moments.inverse_deviation());
        let normal = |row: &[f32], c: usize| (row[c] - mean[c]) * inverse[c];
        let (mut to_scale, mut to_shift) = (vec![0.0; columns], vec![0.0; columns]);
        let both = || from.chunks_exact(columns).zip(grad.chunks_exact(columns));
        for (row, grad) in both() {
            for c in 0..columns {
                to_scale[c] += grad[c] * normal(row, c);
                to_shift[c] += grad[c];
            }
        }
        let count = rows as f32;
        let mut to = Vec::with_capacity(from.len());
        for (row, grad) in both() {
            to.extend((0..columns).map(|c| {
                let common = (to_shift[c] + normal(row, c) * to_scale[c]) / count;
                scale[c] * inverse[c] * (grad[c] - common)
            }));
        }
        Ok((
            Some(Tensor::from_vec(to, arg1.shape(), arg1.device())?),
            Some(Tensor::from_vec(to_scale, arg2.shape(), arg2.device())?),
            Some(Tensor::from_vec(to_shift, arg3.shape(), arg3.device())?),
        ))
    }
}
