//! The table of algorithms. A new one is a file in this folder and two lines here.

use crate::Algorithm;

mod asha;
mod auto;
mod bayesianoptimization;
mod bohb;
mod cmaes;
mod darts;
mod enas;
mod grid;
mod hyperband;
mod local_search;
mod multivariate_tpe;
mod pbt;
mod random;
mod regularized_evolution;
mod sobol;
mod tpe;

pub use pbt::{parent, spent_checkpoints};

/// All algorithms, by name.
pub static ALGORITHMS: &[&Algorithm] = &[
    &asha::ALGORITHM,
    &auto::ALGORITHM,
    &bayesianoptimization::ALGORITHM,
    &bohb::ALGORITHM,
    &cmaes::ALGORITHM,
    &darts::ALGORITHM,
    &enas::ALGORITHM,
    &grid::ALGORITHM,
    &hyperband::ALGORITHM,
    &local_search::ALGORITHM,
    &multivariate_tpe::ALGORITHM,
    &pbt::ALGORITHM,
    &random::ALGORITHM,
    &regularized_evolution::ALGORITHM,
    &sobol::ALGORITHM,
    &tpe::ALGORITHM,
];

/// The algorithm of this name or alias.
pub fn find(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS
        .iter()
        .copied()
        .find(|a| a.name == name || a.aliases.contains(&name))
}
