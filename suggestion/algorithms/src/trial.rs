//! One entry of the history.

use diwan_api::ParameterAssignment;
use diwan_api::search_space::Value;
use indexmap::IndexMap;

/// One trial of the history, reduced to what algorithms use.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Name of the trial.
    pub name: String,
    /// One entry for each parameter, in the order of the search space. `None` where the trial has
    /// no value or one that lies outside of the space.
    pub values: Vec<Option<Value>>,
    /// How far the trial has come.
    pub state: State,
    /// The objective as it was observed. May be NaN or infinite.
    pub objective: Option<f64>,
    /// Labels that were proposed with it.
    pub labels: IndexMap<String, String>,
    /// Assignments beside those of the search space.
    pub texts: Vec<ParameterAssignment>,
}

/// How far a trial has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not ended: created, pending or running.
    Active,
    /// Ended with its objective observed.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Stopped by somebody; says nothing about its point.
    Killed,
    /// Stopped by a rule; its objective, if any, is the best that was reported until then.
    EarlyStopped,
    /// Ended without its objective.
    MetricsUnavailable,
}

impl Trial {
    /// The point of the trial, when it has a value for every parameter.
    pub fn point(&self) -> Option<Vec<Value>> {
        self.values.iter().copied().collect()
    }

    /// An assignment beside those of the search space.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.texts.iter().find(|text| text.name == name);
        found.map(|text| text.value.as_str())
    }
}
