//! The table of algorithms. A new one is a file in this folder and two lines here.

use crate::Algorithm;

mod asha;
mod auto;
mod bayesianoptimization;
mod bohb;
mod cmaes;
mod grid;
mod hyperband;
mod multivariate_tpe;
mod random;
mod sobol;
mod tpe;

/// All algorithms, by name.
pub static ALGORITHMS: &[&Algorithm] = &[
    &asha::ALGORITHM,
    &auto::ALGORITHM,
    &bayesianoptimization::ALGORITHM,
    &bohb::ALGORITHM,
    &cmaes::ALGORITHM,
    &grid::ALGORITHM,
    &hyperband::ALGORITHM,
    &multivariate_tpe::ALGORITHM,
    &random::ALGORITHM,
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
