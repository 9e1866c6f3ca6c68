//! Shared by the benchmarks.

pub mod search;
