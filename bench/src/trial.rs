//! Trials as the algorithms see them.

use diwan_algorithms::{Proposal, State, Trial};

/// A trial of a proposal, named by its number, that runs.
pub fn begin(number: usize, proposal: Proposal) -> Trial {
    Trial {
        name: format!("trial-{number}"),
        values: proposal.values.into_iter().map(Some).collect(),
        state: State::Active,
        objective: None,
        labels: proposal.labels,
        texts: proposal.texts,
    }
}

/// Ends a trial with its objective.
pub fn end(trial: &mut Trial, objective: f64) {
    trial.state = State::Succeeded;
    trial.objective = Some(objective);
}
