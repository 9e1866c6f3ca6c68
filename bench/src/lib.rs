//! Shared by the benchmarks.

pub mod experiment;
pub mod search;
pub mod trial;
#[cfg(feature = "node")]
pub mod up;
