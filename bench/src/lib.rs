//! Shared by the benchmarks.

pub mod experiment;
pub mod search;
#[cfg(feature = "node")]
pub mod up;
