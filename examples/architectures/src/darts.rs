//! Differentiable architecture search (Liu et al., "DARTS", 2019): a network of cells whose edges
//! hold all operations at once, weighed by a softmax; the weights choose a cell, which is then
//! trained alone.
//!
//! The architecture is trained on one half of the training images and the network's weights on the
//! other, by turns (the first-order form; the second-order one, which costs four times as much, is
//! not there). Searches by gradients are known to end in cells of nothing but skip connections,
//! since these help any network to learn. Against that:
//!
//! - Each edge has one more of them beside its operations, whose weight falls from 1 towards 0 over the
//!   search: the operations compete without that advantage (Chu et al., "DARTS-: Robustly Stepping
//!   out of Performance Collapse Without Indicators", 2021).
//! - In the first third of the epochs the architecture stays as it is, and of the edges of a cell at
//!   most one in four may become a skip connection (Chen et al., "Progressive Differentiable
//!   Architecture Search", 2019).

mod cell;
mod genotype;
mod network;
mod operation;
mod retrain;
mod search;
mod settings;

pub use self::genotype::{Gene, Genotype};
pub use self::operation::Primitive;
pub use self::retrain::retrain;
pub use self::search::search;
pub use self::settings::Settings;
