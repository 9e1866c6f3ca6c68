//! The search algorithms: the history of an experiment goes in, assignments come out.
//!
//! Nothing here performs I/O, reads a clock or keeps memory between calls: what is suggested is a
//! function of the [`Problem`], the history and the seed. A caller may hand on a [`Memo`], which
//! saves time and changes nothing. An algorithm is one file in `algorithms/` with one [`Algorithm`]
//! row, listed in [`ALGORITHMS`]; early stopping has its own folder and table, [`EARLY_STOPPING`].

mod algorithm;
mod algorithms;
mod axis;
mod early_stopping;
mod fresh;
mod ladder;
mod math;
mod memo;
mod nas;
mod neighbour;
mod problem;
mod sequence;
mod setting;
mod trial;

pub use algorithm::{
    Algorithm, Capability, Designer, Proposal, Refusal, Suggested, UnknownSettings,
};
pub use algorithms::{ALGORITHMS, find, parent, spent_checkpoints};
pub use early_stopping::{
    Curve, EARLY_STOPPING, EarlyStopping, Evidence, StopRule, find_early_stopping,
};
pub use memo::Memo;
pub use problem::{Budget, Goal, Problem, seed_of};
pub use setting::{Kind, Setting, SettingError, Settings};
pub use trial::{State, Trial};
