//! The search: the architecture and the weights of a network learn by turns.

use std::cell::Cell as Slot;

use candle_core::{Result, Tensor, Var};
use candle_nn::ops::softmax;
use candle_nn::{AdamW, Optimizer as _, ParamsAdamW};
use rand::SeedableRng as _;
use rand_pcg::Pcg64Mcg;

use super::cell::{Cell, Mixture};
use super::genotype::{Gene, Genotype, KEPT};
use super::network::{Body, reductions};
use super::{Primitive, Settings};
use crate::digits::Digits;
use crate::maps::Maps;
use crate::norm::Mode;
use crate::training::{self, Descent, Network, Score, cosine};
use crate::weights::Weights;

/// A network that holds all operations, and what each weighs.
struct Supernet {
    body: Body,
    normal: Vec<Var>,
    reduce: Vec<Var>,
    beside: Slot<f64>,
}

impl Network for Supernet {
    fn forward(&self, images: &Maps, mode: Mode) -> Result<Tensor> {
        let weigh = |alphas: &[Var]| {
            let each = alphas.iter().map(|alpha| softmax(alpha.as_tensor(), 1));
            each.collect::<Result<Vec<Tensor>>>()
        };
        let (normal, reduce) = (weigh(&self.normal)?, weigh(&self.reduce)?);
        let mixture = |reduces: bool| {
            Some(Mixture {
                weights: if reduces { &reduce } else { &normal },
                beside: self.beside.get(),
            })
        };
        self.body.forward(images, mixture, mode)
    }
}

/// Searches a cell; `report` gets the scores of the whole network on both halves of the images
/// after each epoch, and what it would choose.
///
/// # Errors
/// The tensor library refuses, or `report` does.
pub fn search(
    primitives: &[Primitive],
    layers: usize,
    settings: &Settings,
    images: &Digits,
    seed: u64,
    mut report: impl FnMut(Score, Score, &Genotype) -> anyhow::Result<()>,
) -> anyhow::Result<Genotype> {
    let rng = &mut Pcg64Mcg::seed_from_u64(seed);
    let mut weights = Weights::new(seed);
    let nodes = settings.num_nodes;
    let body = Body::new(settings, layers, nodes, &mut weights, |place, weights| {
        Cell::of_all(primitives, nodes, place, weights)
    })?;
    let mut descent = Descent::new(
        weights.into_vars(),
        settings.w_momentum,
        settings.w_weight_decay,
        settings.w_grad_clip,
    );
    let reduces = reductions(layers).contains(&true);
    let (normal, reduce) = alphas(primitives.len(), nodes, reduces, seed)?;
    let all: Vec<Var> = normal.iter().chain(&reduce).cloned().collect();
    let supernet = Supernet {
        body,
        normal,
        reduce,
        beside: Slot::new(1.0),
    };
    let mut adam = AdamW::new(
        all,
        ParamsAdamW {
            lr: settings.alpha_lr,
            beta1: 0.5,
            weight_decay: settings.alpha_weight_decay,
            ..ParamsAdamW::default()
        },
    )?;
    let (ours, others) = images.halves();
    for epoch in 0..settings.num_epochs {
        supernet
            .beside
            .set(1.0 - epoch as f64 / settings.num_epochs as f64);
        let rate = cosine(settings.w_lr, settings.w_lr_min, epoch, settings.num_epochs);
        let batches = training::batches(&ours, settings.batch_size, rng);
        let turns = training::batches(&others, settings.batch_size, rng).into_iter();
        // Before the convolutions know anything, what needs no learning is the best.
        let mut turns = turns.skip(if epoch < settings.num_epochs / 3 {
            usize::MAX
        } else {
            0
        });
        let learned = training::epoch(&supernet, &batches, |gradients| {
            descent.step(gradients, rate)?;
            let Some(batch) = turns.next() else {
                return Ok(());
            };
            let scores = supernet.forward(&batch.maps()?, Mode::Learn)?;
            adam.step(&training::loss(&scores, &batch)?.backward()?)
        })?;
        report(
            learned,
            training::judge(&supernet, &others)?,
            &supernet.choose(primitives)?,
        )?;
    }
    Ok(supernet.choose(primitives)?)
}

/// A matrix for each node: a row for each edge, a column for each operation and one, the last, for
/// none at all. They start equal but for chance.
fn alphas(
    operations: usize,
    nodes: usize,
    reduces: bool,
    seed: u64,
) -> Result<(Vec<Var>, Vec<Var>)> {
    let mut drawn = Weights::new(seed);
    for node in (0..nodes).chain((0..nodes).filter(|_| reduces)) {
        drawn.uniform((node + 2, operations + 1), 1e-3)?;
    }
    let mut normal = drawn.into_vars();
    let reduce = normal.split_off(nodes);
    Ok((normal, reduce))
}

impl Supernet {
    fn choose(&self, primitives: &[Primitive]) -> Result<Genotype> {
        let gene = |alphas: &[Var]| {
            let rows = alphas
                .iter()
                .map(|alpha| alpha.as_tensor().to_vec2::<f32>());
            rows.collect::<Result<_>>()
                .map(|rows| choose(rows, primitives))
        };
        Ok(Genotype {
            normal: gene(&self.normal)?,
            reduce: gene(&self.reduce)?,
        })
    }
}

/// Edges of which at most one is a skip connection.
const EDGES_FOR_A_SKIP: usize = 4;

/// The cell of weights. While too many edges do nothing, the weakest of these does something else.
fn choose(mut weights: Vec<Vec<Vec<f32>>>, primitives: &[Primitive]) -> Gene {
    let most = (weights.len() * KEPT).div_ceil(EDGES_FOR_A_SKIP);
    let skip = primitives
        .iter()
        .position(|p| *p == Primitive::SkipConnection);
    loop {
        let gene: Gene = weights
            .iter()
            .map(|rows| strongest(rows, primitives))
            .collect();
        let Some(column) = skip.filter(|_| primitives.len() > 1) else {
            return gene;
        };
        let edges = gene.iter().enumerate().flat_map(|(node, edges)| {
            let skips = edges
                .iter()
                .filter(|(p, _)| *p == Primitive::SkipConnection);
            skips.map(move |(_, input)| (node, *input))
        });
        let mut skips: Vec<(usize, usize)> = edges.collect();
        skips.sort_by(|a, b| weights[a.0][a.1][column].total_cmp(&weights[b.0][b.1][column]));
        if skips.len() <= most {
            return gene;
        }
        weights[skips[0].0][skips[0].1][column] = f32::NEG_INFINITY;
    }
}

/// The strongest operation of each edge but none at all, and of these edges the strongest.
fn strongest(rows: &[Vec<f32>], primitives: &[Primitive]) -> Vec<(Primitive, usize)> {
    let best = |(input, row): (usize, &Vec<f32>)| {
        let pairs = row.iter().zip(primitives);
        let (weight, primitive) = pairs.max_by(|a, b| a.0.total_cmp(b.0))?;
        Some((*weight, (*primitive, input)))
    };
    let mut edges: Vec<(f32, (Primitive, usize))> =
        rows.iter().enumerate().filter_map(best).collect();
    edges.sort_by(|a, b| b.0.total_cmp(&a.0));
    edges.into_iter().take(KEPT).map(|(_, edge)| edge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_operations_of_the_strongest_edges_are_chosen() {
        let primitives = [Primitive::SkipConnection, Primitive::MaxPooling(3)];
        // The last column is for none at all, which is never chosen.
        let rows = [[0.1, 0.2, 9.0], [0.5, 0.3, 0.0], [0.0, 0.4, 0.0]].map(Vec::from);
        let expected = [
            (Primitive::SkipConnection, 1),
            (Primitive::MaxPooling(3), 2),
        ];
        assert_eq!(strongest(&rows, &primitives), expected);
    }

    #[test]
    fn one_edge_in_four_may_be_a_skip_connection() {
        let primitives = [Primitive::SkipConnection, Primitive::MaxPooling(3)];
        let node = |weights: &[f32]| weights.iter().map(|w| vec![*w, 0.0, 0.0]).collect();
        let gene = choose(vec![node(&[1.0, 4.0]), node(&[3.0, 2.0, 5.0])], &primitives);
        let pool = Primitive::MaxPooling(3);
        let expected = [
            vec![(pool, 0), (pool, 1)],
            vec![(Primitive::SkipConnection, 2), (pool, 0)],
        ];
        assert_eq!(gene, expected);
        let only = [Primitive::SkipConnection];
        let gene = choose(vec![node(&[1.0, 4.0])], &only);
        assert_eq!(gene[0].len(), 2, "where there is nothing else it stays");
    }
}
