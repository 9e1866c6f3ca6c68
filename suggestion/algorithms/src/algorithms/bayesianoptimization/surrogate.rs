//! What a model of the objective does.

/// A model of the loss, which is scaled to mean 0 and deviation 1.
pub(super) trait Surrogate {
    /// The mean and the deviation of the loss at a point.
    fn predict(&self, point: &[f64]) -> (f64, f64);

    /// The same with derivatives; `None` when the model has none.
    fn slope(&self, point: &[f64]) -> Option<Slope>;

    /// Takes in a point whose loss is not known yet as if it was what the model expects.
    fn imagine(&mut self, point: &[f64]);
}

/// A prediction and its derivatives, which are 0 in dimensions without order.
pub(super) struct Slope {
    pub(super) mean: f64,
    pub(super) deviation: f64,
    pub(super) of_mean: Vec<f64>,
    pub(super) of_deviation: Vec<f64>,
}
