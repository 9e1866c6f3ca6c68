//! Networks that `enas` draws: layers one after another, each an operation on the layer before it
//! and on those that its connections name.

mod architecture;
mod network;

use anyhow::Context as _;
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

pub use self::architecture::{Architecture, Layer, NnConfig, Operation};
use self::network::Child;
use crate::digits::Data;
use crate::training::{self, Score};
use crate::weights::Weights;

/// How a network is trained.
#[derive(Clone, Debug)]
pub struct Training {
    /// How often it sees all images.
    pub epochs: usize,
    /// Images of a step.
    pub batch_size: usize,
    /// Step size of Adam.
    pub learning_rate: f64,
    /// Decides the first weights, the order of images, and what is dropped.
    pub seed: u64,
}

/// Builds a network and trains it; `report` gets the scores on training and validation images after
/// each epoch.
///
/// # Errors
/// The tensor library refuses, or `report` does.
pub fn train(
    architecture: &Architecture,
    data: &Data,
    training: &Training,
    mut report: impl FnMut(Score, Score) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut weights = Weights::new(training.seed);
    let child = Child::new(architecture, &mut weights, training.seed)
        .context("cannot build the network")?;
    let params = ParamsAdamW {
        lr: training.learning_rate,
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let mut adam = AdamW::new(weights.into_vars(), params)?;
    let mut rng = Pcg64Mcg::seed_from_u64(training.seed);
    for _ in 0..training.epochs {
        let batches = training::batches(&data.training, training.batch_size, &mut rng);
        let learned = training::epoch(&child, &batches, |gradients| adam.step(gradients))?;
        report(learned, training::judge(&child, &data.validation)?)?;
    }
    Ok(())
}
