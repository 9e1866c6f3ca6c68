//! What a finished run prints: the best trials as a table, or everything as JSON or YAML.

use clap::ValueEnum;
use diwan_api::observation::objective_value;
use diwan_api::{Conditions as _, Experiment, ObjectiveSpec, ObjectiveType, Trial};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::table;

/// How many trials the table shows.
const SHOWN: usize = 10;
/// How many characters of a value the table shows.
const VALUE_MAX: usize = 60;

/// Format of the report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// The best trials, for people.
    Table,
    /// One JSON document with all objects.
    Json,
    /// The same as YAML.
    Yaml,
}

/// An experiment and its trials, as the API has them.
pub(crate) struct Finished {
    pub(crate) experiment: Experiment,
    pub(crate) trials: Vec<Trial>,
}

/// The report of all experiments of a run.
pub(crate) fn render(finished: &[Finished], output: Output) -> anyhow::Result<String> {
    match output {
        Output::Table => Ok(finished
            .iter()
            .map(best_trials)
            .collect::<Vec<_>>()
            .join("\n")),
        Output::Json => Ok(serde_json::to_string_pretty(&document(finished)?)? + "\n"),
        Output::Yaml => Ok(serde_saphyr::to_string(&document(finished)?)?),
    }
}

/// Whether any trial has a value of the objective.
pub(crate) fn has_values(finished: &Finished) -> bool {
    let objective = finished.experiment.spec.objective.as_ref();
    objective.is_some_and(|objective| !ranked(objective, &finished.trials).is_empty())
}

fn document(finished: &[Finished]) -> serde_json::Result<Value> {
    let mut all = finished
        .iter()
        .map(|one| Ok(json!({ "experiment": one.experiment, "trials": one.trials })))
        .collect::<serde_json::Result<Vec<_>>>()?;
    if all.len() == 1 {
        return Ok(all.remove(0));
    }
    Ok(json!({ "experiments": all }))
}

/// The trials with a value of the objective, the best first; ties by name.
fn ranked<'t>(objective: &ObjectiveSpec, trials: &'t [Trial]) -> Vec<(f64, &'t Trial)> {
    let mut ranked: Vec<(f64, &Trial)> = trials
        .iter()
        .filter_map(|trial| {
            let observation = trial.status.as_ref()?.observation.as_ref()?;
            Some((objective_value(observation, objective)?, trial))
        })
        .collect();
    let maximize = objective.type_ == Some(ObjectiveType::Maximize);
    ranked.sort_by(|(a, s), (b, t)| {
        let by_value = if maximize {
            b.total_cmp(a)
        } else {
            a.total_cmp(b)
        };
        by_value.then_with(|| s.name_any().cmp(&t.name_any()))
    });
    ranked
}

fn best_trials(finished: &Finished) -> String {
    let experiment = &finished.experiment;
    let name = experiment.name_any();
    let state = experiment
        .status
        .as_ref()
        .and_then(|status| status.last_condition())
        .map(|condition| format!("{}: {}", condition.type_, condition.message))
        .unwrap_or_default();
    let objective = experiment.spec.objective.clone().unwrap_or_default();
    let ranked = ranked(&objective, &finished.trials);
    let head = format!("experiment {name}: {state}\n");
    let failures = failures(&finished.trials);
    let Some((value, first)) = ranked.first() else {
        let text = optimal_text(experiment, &objective);
        let text = text.unwrap_or_else(|| "no trial reported the objective\n".to_owned());
        return format!("{head}{text}{failures}");
    };
    let rows = ranked
        .iter()
        .take(SHOWN)
        .map(|(_, trial)| row(&objective, trial));
    let table = table::render(header(&objective, first), rows);
    let others = match ranked.len().saturating_sub(SHOWN) {
        0 => String::new(),
        others => format!("({others} more trials)\n"),
    };
    format!(
        "{head}{table}{others}{failures}{}",
        best(first, &objective, *value)
    )
}

/// The optimal trial of an experiment whose objective is a text.
fn optimal_text(experiment: &Experiment, objective: &ObjectiveSpec) -> Option<String> {
    let optimal = &experiment.status.as_ref()?.current_optimal_trial;
    let name = &objective.objective_metric_name;
    let value = optimal.observation.metric(name)?;
    let value = value.value(objective.strategy(name)?);
    let trial = &optimal.best_trial_name;
    Some(format!("optimal trial: {trial} with {name}={value}\n"))
}

fn header(objective: &ObjectiveSpec, best: &Trial) -> Vec<String> {
    let metrics = objective.metric_names().map(str::to_owned);
    let parameters = best
        .spec
        .parameter_assignments
        .iter()
        .map(|p| p.name.clone());
    std::iter::once("TRIAL".to_owned())
        .chain(metrics)
        .chain(parameters)
        .collect()
}

fn row(objective: &ObjectiveSpec, trial: &Trial) -> Vec<String> {
    let observation = trial
        .status
        .as_ref()
        .and_then(|status| status.observation.clone());
    let value_of = |name: &str| {
        let metric = observation
            .iter()
            .flat_map(|o| &o.metrics)
            .find(|m| m.name == name);
        metric.map_or_else(String::new, |metric| match objective.strategy(name) {
            Some(diwan_api::StrategyKind::Min) => metric.min.clone(),
            Some(diwan_api::StrategyKind::Max) => metric.max.clone(),
            _ => metric.latest.clone(),
        })
    };
    let metrics = objective.metric_names().map(value_of);
    let parameters = trial
        .spec
        .parameter_assignments
        .iter()
        .map(|p| shortened(&p.value));
    std::iter::once(trial.name_any())
        .chain(metrics)
        .chain(parameters)
        .collect()
}

/// A value as it is shown to people: a whole network would fill their terminal.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn best(trial: &Trial, objective: &ObjectiveSpec, value: f64) -> String {
    let parameters: Vec<String> = trial
        .spec
        .parameter_assignments
        .iter()
        .map(|p| format!("{}={}", p.name, shortened(&p.value)))
        .collect();
    let metric = &objective.objective_metric_name;
    format!(
        "best trial: {} with {metric}={value} at {}\n",
        trial.name_any(),
        parameters.join(" ")
    )
}

/// One line for each reason why trials failed, with how many it hit.
fn failures(trials: &[Trial]) -> String {
    let mut reasons: Vec<(String, String, usize)> = Vec::new();
    for trial in trials {
        let Some(condition) = trial.status.as_ref().and_then(|s| s.last_condition()) else {
            continue;
        };
        if !["Failed", "MetricsUnavailable", "Killed"].contains(&condition.type_.as_str()) {
            continue;
        }
        match reasons
            .iter_mut()
            .find(|(_, message, _)| *message == condition.message)
        {
            Some((_, _, count)) => *count += 1,
            None => reasons.push((trial.name_any(), condition.message.clone(), 1)),
        }
    }
    let line = |(name, message, count): &(String, String, usize)| {
        let others = if *count > 1 {
            format!(" (and {} more)", count - 1)
        } else {
            String::new()
        };
        format!("trial {name}{others}: {message}\n")
    };
    reasons.iter().take(SHOWN).map(line).collect()
}
