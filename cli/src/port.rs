//! What the controllers are connected to, on one machine and on a cluster alike: the crates that
//! implement their ports.

pub(crate) mod absences;
pub(crate) mod checkpoints;
pub(crate) mod early_stopper;
pub(crate) mod observations;
pub(crate) mod remote_observations;
pub(crate) mod rules;
pub(crate) mod suggester;
