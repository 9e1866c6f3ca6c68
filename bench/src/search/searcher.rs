//! What minimizes.

use diwan_api::search_space::Value;

/// A search for the smallest value of one problem.
pub trait Searcher {
    /// Up to so many points to be tried; fewer when there are no more.
    fn ask(&mut self, count: usize) -> anyhow::Result<Vec<Vec<Value>>>;

    /// The values that were observed at the points of the last answer, in its order.
    fn tell(&mut self, losses: &[f64]) -> anyhow::Result<()>;

    /// The processor time that was spent until now, in seconds.
    fn seconds(&self) -> f64;
}
