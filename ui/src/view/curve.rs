//! The best value so far, trial by trial.

use diwan_api::ObjectiveType;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::trial::{TrialRow, TrialState};

/// The best-so-far curve of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Curve {
    /// One point for each trial whose objective is known, in order of completion.
    pub points: Vec<CurvePoint>,
}

/// One trial on the best-so-far curve.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct CurvePoint {
    /// Name of the trial.
    pub trial: String,
    /// When it ended.
    pub time: Timestamp,
    /// Its objective.
    pub value: f64,
    /// The best objective of it and all trials before it.
    pub best: f64,
    /// Whether it is better than all trials before it.
    pub improved: bool,
}

/// Returns the curve of the trials that count: those that succeeded or were stopped early and whose
/// objective is a finite number. Trials that ended at the same time follow their names.
pub(crate) fn best_so_far(trials: &[TrialRow], direction: Option<&ObjectiveType>) -> Curve {
    let counts = |trial: &&TrialRow| {
        matches!(
            trial.state,
            TrialState::Succeeded | TrialState::EarlyStopped
        )
    };
    let measured =
        |trial: &TrialRow| Some((trial.completed?, trial.name.clone(), trial.objective?));
    let mut ended = trials
        .iter()
        .filter(counts)
        .filter_map(measured)
        .collect::<Vec<_>>();
    ended.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));

    let mut points = Vec::<CurvePoint>::with_capacity(ended.len());
    for (time, trial, value) in ended {
        let before = points.last().map(|point| point.best);
        let improved = before.is_none_or(|before| match direction {
            Some(ObjectiveType::Maximize) => value > before,
            Some(ObjectiveType::Minimize | ObjectiveType::Other(_)) | None => value < before,
        });
        let best = before.filter(|_| !improved).unwrap_or(value);
        points.push(CurvePoint {
            trial,
            time,
            value,
            best,
            improved,
        });
    }
    Curve { points }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(name: &str, second: i64, state: TrialState, objective: Option<f64>) -> TrialRow {
        TrialRow {
            name: name.to_owned(),
            state,
            reason: String::new(),
            message: String::new(),
            parameters: Vec::new(),
            objective,
            metrics: Vec::new(),
            created: None,
            started: None,
            completed: Timestamp::from_second(second).ok(),
        }
    }

    fn bests(curve: &Curve) -> Vec<(&str, f64, bool)> {
        curve
            .points
            .iter()
            .map(|point| (point.trial.as_str(), point.best, point.improved))
            .collect()
    }

    #[test]
    fn the_curve_follows_the_direction() {
        let trials = [
            trial("b", 2, TrialState::Succeeded, Some(2.0)),
            trial("a", 1, TrialState::Succeeded, Some(3.0)),
            trial("c", 3, TrialState::EarlyStopped, Some(4.0)),
        ];
        let down = best_so_far(&trials, Some(&ObjectiveType::Minimize));
        assert_eq!(
            bests(&down),
            [("a", 3.0, true), ("b", 2.0, true), ("c", 2.0, false)]
        );
        let up = best_so_far(&trials, Some(&ObjectiveType::Maximize));
        assert_eq!(
            bests(&up),
            [("a", 3.0, true), ("b", 3.0, false), ("c", 4.0, true)]
        );
    }

    #[test]
    fn trials_that_did_not_end_well_are_left_out() {
        let trials = [
            trial("failed", 1, TrialState::Failed, Some(0.0)),
            trial("unmeasured", 2, TrialState::Succeeded, None),
            trial("running", 3, TrialState::Running, Some(0.0)),
        ];
        assert_eq!(
            best_so_far(&trials, Some(&ObjectiveType::Minimize)).points,
            []
        );
    }

    #[test]
    fn an_equal_value_is_no_improvement() {
        let trials = [
            trial("b", 1, TrialState::Succeeded, Some(1.0)),
            trial("a", 1, TrialState::Succeeded, Some(1.0)),
        ];
        let curve = best_so_far(&trials, Some(&ObjectiveType::Maximize));
        assert_eq!(bests(&curve), [("a", 1.0, true), ("b", 1.0, false)]);
    }
}
