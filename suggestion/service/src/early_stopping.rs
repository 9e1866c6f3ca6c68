//! Early stopping: the built-in algorithms in the vocabulary of experiments.

mod client;
mod logs;
mod server;

use diwan_algorithms::{
    Curve, EARLY_STOPPING, EarlyStopping, Evidence, Goal, Settings, StopRule, find_early_stopping,
};
use diwan_api::{
    Comparison, EarlyStoppingRule, EarlyStoppingSpec, Experiment, FieldError, ObjectiveType,
};

use crate::service::{self, SuggestionError};
pub use client::StatusClient;
pub use server::{EarlyStoppingService, StopError, TrialStopper};

/// What the trials of an experiment have reported of the objective, each oldest first.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// Of the trials that have succeeded.
    pub succeeded: Vec<Curve>,
    /// Of the trials that were stopped early.
    pub stopped: Vec<Curve>,
    /// Of the trials that run.
    pub running: Vec<Curve>,
}

/// The rules that hold now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoppingRules {
    /// For a trial that has reported nothing.
    pub fresh: Vec<EarlyStoppingRule>,
    /// For each trial that runs, in the order in which they were given.
    pub running: Vec<Vec<EarlyStoppingRule>>,
}

/// The names of the built-in algorithms, sorted.
pub(crate) fn early_stopping_names() -> Vec<&'static str> {
    EARLY_STOPPING.iter().map(|row| row.name).collect()
}

/// What is wrong with the settings of a built-in algorithm.
pub(crate) fn early_stopping_errors(experiment: &Experiment) -> Vec<FieldError> {
    let Some(spec) = &experiment.spec.early_stopping else {
        return Vec::new();
    };
    let Some(row) = find_early_stopping(&spec.algorithm_name) else {
        return Vec::new();
    };
    let errors = row.settings(&spec.algorithm_settings).err();
    service::field_errors("spec.earlyStopping", spec, errors.unwrap_or_default())
}

/// The algorithm of a specification, and its settings.
pub(crate) fn checked(
    spec: &EarlyStoppingSpec,
) -> Result<(&'static EarlyStopping, Settings), SuggestionError> {
    let name = &spec.algorithm_name;
    let invalid = SuggestionError::Invalid;
    let row = find_early_stopping(name)
        .ok_or_else(|| invalid(format!("unknown algorithm name {name}")))?;
    let texts = |errors: Vec<diwan_algorithms::SettingError>| {
        let texts: Vec<String> = errors.into_iter().map(|error| error.text).collect();
        invalid(texts.join("; "))
    };
    let settings = row.settings(&spec.algorithm_settings).map_err(texts)?;
    Ok((row, settings))
}

/// Makes the rules that hold now for the trials of an experiment; none where it asks for none.
///
/// # Errors
/// The algorithm is not known, or does not take its settings.
pub(crate) fn stopping_rules(
    experiment: &Experiment,
    curves: &Curves,
) -> Result<StoppingRules, SuggestionError> {
    let spec = &experiment.spec;
    let (Some(stopping), Some(objective)) = (&spec.early_stopping, &spec.objective) else {
        return Ok(StoppingRules::default());
    };
    let (row, settings) = checked(stopping)?;
    let goal = match objective.type_ {
        Some(ObjectiveType::Maximize) => Goal::Maximize,
        _ => Goal::Minimize,
    };
    let rules = |subject: &[f64], others: &[Curve]| {
        let evidence = Evidence {
            goal,
            succeeded: &curves.succeeded,
            others,
            subject,
        };
        let rule = (row.rule)(&evidence, &settings);
        let named = |rule| named(&objective.objective_metric_name, goal, rule);
        rule.map(named).into_iter().collect()
    };
    let mut others: Vec<Curve> = [&curves.running[..], &curves.stopped].concat();
    let fresh = rules(&[], &others);
    let running = (0..curves.running.len())
        .map(|i| {
            // The trial itself is not among those that it is compared with.
            let subject = std::mem::take(&mut others[i]);
            let rules = rules(&subject, &others);
            others[i] = subject;
            rules
        })
        .collect();
    Ok(StoppingRules { fresh, running })
}

fn named(metric: &str, goal: Goal, rule: StopRule) -> EarlyStoppingRule {
    EarlyStoppingRule {
        name: metric.to_owned(),
        value: rule.worse_than.to_string(),
        comparison: Some(match goal {
            Goal::Minimize => Comparison::Greater,
            Goal::Maximize => Comparison::Less,
        }),
        start_step: i32::try_from(rule.from).unwrap_or(i32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use diwan_api::{AlgorithmSetting, ObjectiveSpec};

    use super::*;

    fn experiment(type_: ObjectiveType, algorithm: &str, settings: &[(&str, &str)]) -> Experiment {
        let mut experiment = Experiment::default();
        experiment.spec.objective = Some(ObjectiveSpec {
            type_: Some(type_),
            objective_metric_name: "loss".to_owned(),
            ..ObjectiveSpec::default()
        });
        experiment.spec.early_stopping = Some(EarlyStoppingSpec {
            algorithm_name: algorithm.to_owned(),
            algorithm_settings: settings
                .iter()
                .map(|(name, value)| AlgorithmSetting {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect(),
        });
        experiment
    }

    fn rule(value: &str, comparison: Comparison, start_step: i32) -> Vec<EarlyStoppingRule> {
        vec![EarlyStoppingRule {
            name: "loss".to_owned(),
            value: value.to_owned(),
            comparison: Some(comparison),
            start_step,
        }]
    }

    #[test]
    fn rules_name_the_objective_and_the_side_that_is_worse() {
        let curves = Curves {
            succeeded: vec![vec![1.0; 4], vec![2.0; 4], vec![4.0; 4]],
            stopped: Vec::new(),
            running: vec![vec![9.0]],
        };
        for (type_, comparison) in [
            (ObjectiveType::Minimize, Comparison::Greater),
            (ObjectiveType::Maximize, Comparison::Less),
        ] {
            let rules = stopping_rules(&experiment(type_, "medianstop", &[]), &curves).unwrap();
            assert_eq!(rules.fresh, rule("2", comparison, 4));
            assert_eq!(rules.running, [rules.fresh]);
        }
    }

    #[test]
    fn a_running_trial_is_not_compared_with_itself() {
        let settings = [("reduction_factor", "2")];
        let experiment = experiment(ObjectiveType::Minimize, "asha-stop", &settings);
        let curves = Curves {
            running: vec![vec![1.0], vec![2.0], vec![3.0]],
            ..Curves::default()
        };
        let rules = stopping_rules(&experiment, &curves).unwrap();
        let greater = |value| rule(value, Comparison::Greater, 1);
        assert_eq!(rules.fresh, greater("2"));
        assert_eq!(
            rules.running,
            [greater("2.5"), greater("2"), greater("1.5")]
        );
    }

    #[test]
    fn every_wrong_setting_is_named_with_its_field() {
        let given = [("start_step", "0"), ("warm_up", "1")];
        let errors =
            early_stopping_errors(&experiment(ObjectiveType::Minimize, "medianstop", &given));
        let fields: Vec<&str> = errors.iter().map(|e| e.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "spec.earlyStopping.algorithmSettings[0].value",
                "spec.earlyStopping.algorithmSettings[1].name",
            ]
        );
    }
}
