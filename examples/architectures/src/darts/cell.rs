//! A cell: nodes that add up what their edges make of the nodes before.

use candle_core::{Result, Tensor};

use super::Primitive;
use super::genotype::Gene;
use super::operation::{Convolution, Operation};
use crate::maps::Maps;
use crate::norm::Mode;
use crate::weights::Weights;

/// Channels of the two cells before and of this one, and which of them halve their maps.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) before: (usize, usize),
    pub(super) channels: usize,
    pub(super) follows_reduction: bool,
    pub(super) reduces: bool,
}

impl Place {
    /// How far apart an edge from a node looks.
    fn stride(&self, from: usize) -> usize {
        if self.reduces && from < 2 { 2 } else { 1 }
    }
}

/// How an edge weighs its operations: the rows of a matrix, one for each edge of a node, and the
/// weight of the connection beside them.
pub(super) struct Mixture<'a> {
    pub(super) weights: &'a [Tensor],
    pub(super) beside: f64,
}

pub(super) struct Cell {
    prepared: (Convolution, Convolution),
    nodes: Vec<Vec<Edge>>,
    pub(super) reduces: bool,
}

struct Edge {
    from: usize,
    operations: Vec<Operation>,
    /// What lets a network learn whatever its operations weigh, while it is searched.
    beside: Option<Operation>,
}

impl Cell {
    /// A cell with all operations on all edges.
    pub(super) fn of_all(
        primitives: &[Primitive],
        nodes: usize,
        place: Place,
        weights: &mut Weights,
    ) -> Result<Self> {
        let mut edge = |from: usize| {
            let stride = place.stride(from);
            let mut of = |primitive| Operation::new(primitive, place.channels, stride, weights);
            Ok(Edge {
                from,
                operations: primitives.iter().map(|&p| of(p)).collect::<Result<_>>()?,
                beside: Some(of(Primitive::SkipConnection)?),
            })
        };
        let nodes = (0..nodes)
            .map(|node| (0..node + 2).map(&mut edge).collect())
            .collect::<Result<_>>()?;
        Self::new(place, nodes, weights)
    }

    /// The cell that was chosen.
    pub(super) fn of_gene(gene: &Gene, place: Place, weights: &mut Weights) -> Result<Self> {
        let mut edge = |&(primitive, from): &(Primitive, usize)| {
            let operation = Operation::new(primitive, place.channels, place.stride(from), weights)?;
            Ok(Edge {
                from,
                operations: vec![operation],
                beside: None,
            })
        };
        let nodes = gene
            .iter()
            .map(|node| node.iter().map(&mut edge).collect())
            .collect::<Result<_>>()?;
        Self::new(place, nodes, weights)
    }

    fn new(place: Place, nodes: Vec<Vec<Edge>>, weights: &mut Weights) -> Result<Self> {
        // What comes from before a reduction is larger than what comes from after it.
        let (size, channels) = (if place.follows_reduction { 2 } else { 1 }, place.channels);
        let first = Convolution::new((place.before.0, channels), (size, size), weights)?;
        let second = Convolution::new((place.before.1, channels), (1, 1), weights)?;
        Ok(Self {
            prepared: (first, second),
            nodes,
            reduces: place.reduces,
        })
    }

    pub(super) fn forward(
        &self,
        before: (&Maps, &Maps),
        mixture: Option<&Mixture<'_>>,
        mode: Mode,
    ) -> Result<Maps> {
        let mut states = vec![
            self.prepared.0.forward(before.0, mode)?,
            self.prepared.1.forward(before.1, mode)?,
        ];
        for (node, edges) in self.nodes.iter().enumerate() {
            let mut sum: Option<Maps> = None;
            for (row, edge) in edges.iter().enumerate() {
                for part in edge.parts(&states[edge.from], node, row, mixture, mode)? {
                    sum = Some(match sum {
                        None => part,
                        Some(sum) => sum.with((sum.rows() + part.rows())?),
                    });
                }
            }
            states.extend(sum);
        }
        Maps::side_by_side(&states[2..])
    }
}

impl Edge {
    /// What the operations make of a node, each weighed.
    fn parts(
        &self,
        maps: &Maps,
        node: usize,
        row: usize,
        mixture: Option<&Mixture<'_>>,
        mode: Mode,
    ) -> Result<Vec<Maps>> {
        let mut parts = Vec::new();
        for (column, operation) in self.operations.iter().enumerate() {
            let made = operation.forward(maps, mode)?;
            parts.push(match mixture {
                None => made,
                Some(mixture) => {
                    let weight = mixture.weights[node]
                        .narrow(0, row, 1)?
                        .narrow(1, column, 1)?;
                    made.with(made.rows().broadcast_mul(&weight)?)
                }
            });
        }
        if let (Some(beside), Some(mixture)) = (&self.beside, mixture)
            && mixture.beside > 0.0
        {
            let made = beside.forward(maps, mode)?;
            parts.push(made.with((made.rows() * mixture.beside)?));
        }
        Ok(parts)
    }
}
