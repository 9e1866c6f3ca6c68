//! Trials of the vocabulary as history for the algorithms.

use diwan_algorithms::State;
use diwan_api::search_space::Parameter;
use diwan_api::trial::condition_type;
use diwan_api::{ConditionStatus, ObjectiveSpec, ParameterAssignment, SearchSpace, Trial};

/// A trial as an entry of the history.
pub(crate) fn entry(
    space: &SearchSpace,
    objective: Option<&ObjectiveSpec>,
    trial: &Trial,
) -> diwan_algorithms::Trial {
    let assignments = &trial.spec.parameter_assignments;
    let value = |(index, parameter): (usize, &Parameter)| {
        // Assignments usually stand in the order of the space.
        let text = assignments
            .get(index)
            .filter(|a| a.name == parameter.name)
            .or_else(|| assignments.iter().find(|a| a.name == parameter.name))?;
        parameter.domain.parse_value(&text.value)
    };
    diwan_algorithms::Trial {
        name: trial.metadata.name.clone().unwrap_or_default(),
        values: space.parameters.iter().enumerate().map(value).collect(),
        state: state(trial),
        objective: objective.and_then(|objective| observed(objective, trial)),
        labels: trial.spec.labels.clone(),
        texts: texts(space, assignments),
    }
}

/// The assignments that are no parameters of the space.
fn texts(space: &SearchSpace, assignments: &[ParameterAssignment]) -> Vec<ParameterAssignment> {
    if assignments.len() <= space.parameters.len() {
        return Vec::new();
    }
    let foreign = assignments.iter().filter(|a| space.get(&a.name).is_none());
    foreign.cloned().collect()
}

/// How far a trial has come: the condition that became true last.
fn state(trial: &Trial) -> State {
    let conditions = trial.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let last = conditions
        .iter()
        .rev()
        .find(|c| c.status == ConditionStatus::True);
    match last.map(|c| c.type_.as_str()) {
        Some(condition_type::SUCCEEDED) => State::Succeeded,
        Some(condition_type::KILLED) => State::Killed,
        Some(condition_type::FAILED) => State::Failed,
        Some(condition_type::METRICS_UNAVAILABLE) => State::MetricsUnavailable,
        Some(condition_type::EARLY_STOPPED) => State::EarlyStopped,
        _ => State::Active,
    }
}

/// The objective of a trial, reduced as its strategy says.
fn observed(objective: &ObjectiveSpec, trial: &Trial) -> Option<f64> {
    let name = &objective.objective_metric_name;
    let metrics = &trial.status.as_ref()?.observation.as_ref()?.metrics;
    let metric = metrics.iter().find(|metric| metric.name == *name)?;
    let text = match objective.strategy(name) {
        Some(strategy) => metric.value(strategy),
        // Whoever sends no strategies has reduced the metrics.
        None => &metric.latest,
    };
    text.trim().parse().ok()
}
