//! Trains a chosen cell from the beginning.

use candle_core::{Result, Tensor};
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use super::cell::Cell;
use super::network::{Body, reductions};
use super::{Genotype, Settings};
use crate::digits::Data;
use crate::maps::Maps;
use crate::norm::Mode;
use crate::training::{self, Descent, Network, Score, cosine};
use crate::weights::Weights;

struct Chosen {
    body: Body,
}

impl Network for Chosen {
    fn forward(&self, images: &Maps, mode: Mode) -> Result<Tensor> {
        self.body.forward(images, |_| None, mode)
    }
}

/// Trains a network of the cells of a genotype on all training images; `report` gets the scores on
/// training and validation images after each epoch.
///
/// # Errors
/// The genotype lacks a cell that halves its maps, the tensor library refuses, or `report` does.
pub fn retrain(
    genotype: &Genotype,
    layers: usize,
    settings: &Settings,
    data: &Data,
    seed: u64,
    mut report: impl FnMut(Score, Score) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let nodes = genotype.normal.len();
    anyhow::ensure!(
        !reductions(layers).contains(&true) || genotype.reduce.len() == nodes,
        "the genotype must have a reduce cell of {nodes} nodes, for {layers} layers halve their maps"
    );
    let mut weights = Weights::new(seed);
    let body = Body::new(settings, layers, nodes, &mut weights, |place, weights| {
        let gene = if place.reduces {
            &genotype.reduce
        } else {
            &genotype.normal
        };
        Cell::of_gene(gene, place, weights)
    })?;
    let network = Chosen { body };
    let mut descent = Descent::new(
        weights.into_vars(),
        settings.w_momentum,
        settings.w_weight_decay,
        settings.w_grad_clip,
    );
    let rng = &mut Pcg64Mcg::seed_from_u64(seed);
    for epoch in 0..settings.num_epochs {
        let rate = cosine(settings.w_lr, settings.w_lr_min, epoch, settings.num_epochs);
        let batches = training::batches(&data.training, settings.batch_size, rng);
        let learned = training::epoch(&network, &batches, |g| descent.step(g, rate))?;
        report(learned, training::judge(&network, &data.validation)?)?;
    }
    Ok(())
}
