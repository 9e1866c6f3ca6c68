//! How good the points are that a search finds with a number of trials, and what they cost.
//!
//! [`Problem`]s are minimized by [`Searcher`]s; a [`run`](run::run) gives the value that was
//! reached after each trial, and [`score`] says what it is worth beside random search.

pub mod baseline;
pub mod draw;
pub mod functions;
pub mod latency;
pub mod peer;
pub mod problem;
pub mod registry;
pub mod report;
pub mod run;
pub mod score;
pub mod table;

mod mixed;
mod searcher;

pub use problem::Problem;
pub use searcher::Searcher;
