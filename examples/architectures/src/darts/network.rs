//! Cells one after another: what a search and the training of its result have in common.

use candle_core::{Result, Tensor};

use super::Settings;
use super::cell::{Cell, Mixture, Place};
use super::operation::Convolution;
use crate::digits::CLASSES;
use crate::maps::Maps;
use crate::norm::Mode;
use crate::weights::Weights;

/// A stem, cells, and a layer that tells digits apart.
pub(super) struct Body {
    stem: Convolution,
    cells: Vec<Cell>,
    last: Tensor,
    bias: Tensor,
}

/// Whether each layer halves its maps: the second of two, of more those after each third.
pub(super) fn reductions(layers: usize) -> Vec<bool> {
    let halves = |layer| match layers {
        1 => false,
        2 => layer == 1,
        _ => layer == layers / 3 || layer == 2 * layers / 3,
    };
    (0..layers).map(halves).collect()
}

impl Body {
    pub(super) fn new(
        settings: &Settings,
        layers: usize,
        nodes: usize,
        weights: &mut Weights,
        mut cell: impl FnMut(Place, &mut Weights) -> Result<Cell>,
    ) -> Result<Self> {
        let mut channels = settings.init_channels;
        let first = settings.stem_multiplier * channels;
        let stem = Convolution::new((1, first), (3, 1), weights)?;
        let mut before = (first, first);
        let mut follows_reduction = false;
        let mut cells = Vec::new();
        for reduces in reductions(layers) {
            if reduces {
                channels *= 2;
            }
            let place = Place {
                before,
                channels,
                follows_reduction,
                reduces,
            };
            cells.push(cell(place, weights)?);
            before = (before.1, channels * nodes);
            follows_reduction = reduces;
        }
        let seen = before.1;
        Ok(Self {
            stem,
            cells,
            last: weights.uniform((seen, CLASSES), 1.0 / (seen as f32).sqrt())?,
            bias: weights.row(CLASSES, 0.0)?,
        })
    }

    /// Scores of images; `mixture` says how cells that halve their maps, or don't, weigh operations.
    pub(super) fn forward<'a>(
        &self,
        images: &Maps,
        mixture: impl Fn(bool) -> Option<Mixture<'a>>,
        mode: Mode,
    ) -> Result<Tensor> {
        let stem = self.stem.forward(images, mode)?;
        let (mut last_but_one, mut last) = (stem.clone(), stem);
        for cell in &self.cells {
            let mixture = mixture(cell.reduces);
            let next = cell.forward((&last_but_one, &last), mixture.as_ref(), mode)?;
            (last_but_one, last) = (last, next);
        }
        last.of_images()?
            .matmul(&self.last)?
            .broadcast_add(&self.bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_layers_at_most_halve_the_maps() {
        let of = |layers| {
            let halved = reductions(layers)
                .into_iter()
                .enumerate()
                .filter(|(_, halves)| *halves);
            halved.map(|(layer, _)| layer).collect::<Vec<_>>()
        };
        let expected: [&[usize]; 5] = [&[], &[1], &[1, 2], &[1, 2], &[1, 3]];
        for (layers, expected) in (1..).zip(expected) {
            assert_eq!(of(layers), expected, "{layers}");
        }
    }
}
