//! The network of an architecture.

use std::cell::RefCell;

use candle_core::{Result, Tensor};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::{Architecture, Operation};
use crate::digits::SIDE;
use crate::maps::{Maps, Window};
use crate::norm::{BatchNorm, Mode};
use crate::training::Network;
use crate::weights::Weights;

/// Share of the numbers before the last layer that are dropped while learning.
const DROPPED: f32 = 0.4;

/// A network that was built.
pub(super) struct Child {
    layers: Vec<Built>,
    last: Tensor,
    bias: Tensor,
    rng: RefCell<Pcg64Mcg>,
}

struct Built {
    operation: Operation,
    inputs: Vec<usize>,
    /// One for each channel that is made of another, or the only one.
    depthwise: Vec<Tensor>,
    pointwise: Option<Tensor>,
    norm: Option<BatchNorm>,
}

impl Child {
    /// Draws the weights of an architecture. Shapes are found by sending an image through.
    pub(super) fn new(
        architecture: &Architecture,
        weights: &mut Weights,
        seed: u64,
    ) -> Result<Self> {
        let image = Tensor::zeros(
            (SIDE * SIDE, 1),
            candle_core::DType::F32,
            &candle_core::Device::Cpu,
        )?;
        let mut maps = vec![Maps::new(image, SIDE, SIDE)];
        let mut layers = Vec::new();
        for layer in &architecture.layers {
            let input = input(&maps, &layer.inputs)?;
            let channels = input.channels()?;
            let built = Built::new(layer.operation, layer.inputs.clone(), channels, weights)?;
            maps.push(built.forward(&input, Mode::Judge)?);
            layers.push(built);
        }
        let channels = maps[maps.len() - 1].channels()?;
        Ok(Self {
            layers,
            last: weights.uniform(
                (channels, architecture.classes),
                1.0 / (channels as f32).sqrt(),
            )?,
            bias: weights.row(architecture.classes, 0.0)?,
            rng: RefCell::new(Pcg64Mcg::seed_from_u64(seed)),
        })
    }

    /// Drops some numbers, and makes up for it with the others.
    fn drop_some(&self, features: &Tensor) -> Result<Tensor> {
        let mut rng = self.rng.borrow_mut();
        let keep = |_| {
            if rng.random::<f32>() < DROPPED {
                0.0
            } else {
                1.0 / (1.0 - DROPPED)
            }
        };
        let mask: Vec<f32> = (0..features.elem_count()).map(keep).collect();
        features * Tensor::from_vec(mask, features.shape(), features.device())?
    }
}

/// What a layer sees: the output of the layer before it, and those that it is connected with.
fn input(maps: &[Maps], inputs: &[usize]) -> Result<Maps> {
    let seen: Vec<Maps> = maps
        .iter()
        .rev()
        .take(1)
        .chain(inputs.iter().map(|&i| &maps[i]))
        .cloned()
        .collect();
    Maps::side_by_side(&seen)
}

impl Network for Child {
    fn forward(&self, images: &Maps, mode: Mode) -> Result<Tensor> {
        let mut maps = vec![images.clone()];
        for layer in &self.layers {
            maps.push(layer.forward(&input(&maps, &layer.inputs)?, mode)?);
        }
        let mut features = maps[maps.len() - 1].of_images()?;
        if mode == Mode::Learn {
            features = self.drop_some(&features)?;
        }
        features.matmul(&self.last)?.broadcast_add(&self.bias)
    }
}

impl Built {
    fn new(
        operation: Operation,
        inputs: Vec<usize>,
        channels: usize,
        weights: &mut Weights,
    ) -> Result<Self> {
        let mut each = |size: usize, multiplier: usize| {
            let one = |_| weights.matrix((size * size, channels), size * size);
            (0..multiplier).map(one).collect::<Result<Vec<_>>>()
        };
        let (depthwise, seen, filters) = match operation {
            Operation::Convolution { filters, size, .. } => {
                (Vec::new(), size * size * channels, Some(filters))
            }
            Operation::Separable {
                filters,
                size,
                multiplier,
                ..
            } => (
                each(size, multiplier)?,
                multiplier * channels,
                Some(filters),
            ),
            Operation::Depthwise {
                size, multiplier, ..
            } => (each(size, multiplier)?, multiplier * channels, None),
            Operation::Reduction { .. } => (Vec::new(), channels, None),
        };
        let pointwise = filters
            .map(|filters| weights.matrix((seen, filters), seen))
            .transpose()?;
        let norm = match operation {
            Operation::Reduction { .. } => None,
            _ => Some(BatchNorm::learned(weights, filters.unwrap_or(seen))?),
        };
        Ok(Self {
            operation,
            inputs,
            depthwise,
            pointwise,
            norm,
        })
    }

    fn forward(&self, maps: &Maps, mode: Mode) -> Result<Maps> {
        let maps = match self.operation {
            Operation::Convolution { size, stride, .. } => {
                let window = Window::same(maps, size, stride, 1);
                self.point(&maps.relu()?, &window)?
            }
            Operation::Separable { size, stride, .. }
            | Operation::Depthwise { size, stride, .. } => {
                let window = Window::same(maps, size, stride, 1);
                let positive = maps.relu()?;
                let made: Vec<Maps> = self
                    .depthwise
                    .iter()
                    .map(|kernel| positive.convolve_each(&window, kernel))
                    .collect::<Result<_>>()?;
                let made = Maps::side_by_side(&made)?;
                let single = Window::same(&made, 1, 1, 1);
                self.point(&made, &single)?
            }
            // A map that is smaller than the square stays as it is.
            Operation::Reduction {
                greatest,
                size,
                stride,
            } => match Window::inside(maps, size, stride) {
                None => maps.clone(),
                Some(window) if greatest => maps.greatest(&window)?,
                Some(window) => maps.mean(&window)?,
            },
        };
        match &self.norm {
            Some(norm) => norm.forward(&maps, mode),
            None => Ok(maps),
        }
    }

    fn point(&self, maps: &Maps, window: &Window) -> Result<Maps> {
        match &self.pointwise {
            Some(kernel) => maps.convolve(window, kernel),
            None => Ok(maps.clone()),
        }
    }
}
