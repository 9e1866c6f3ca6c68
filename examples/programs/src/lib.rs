//! What the trial programs of the examples share.
//!
//! Each program in `src/bin` trains one kind of model on data that ships with linfa-datasets,
//! takes its hyperparameters as flags, and prints metrics as `name=value` lines. The same flags
//! and the same `--seed` give the same metrics on every machine. The programs know nothing of
//! Diwan: a trial is any program that prints its result.

pub mod changing_rate;
pub mod checkpoint;
pub mod dataset;
pub mod flag;
pub mod forest;
pub mod metric;
pub mod program;
pub mod report;
pub mod split;
