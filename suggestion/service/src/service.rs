//! One request to a built-in algorithm: vocabulary in, vocabulary out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use diwan_algorithms::{
    Algorithm, Budget, Capability, Goal, Problem, Proposal, Refusal, SettingError, Settings,
    UnknownSettings, find, seed_of,
};
use diwan_api::{
    AlgorithmSetting, AlgorithmSpec, Experiment, FieldError, ObjectiveType, ParameterAssignment,
    SearchSpace, Trial, TrialAssignment,
};

use crate::known::{Known, TrialSource};

/// A request for assignments.
#[derive(Clone, Debug)]
pub struct SuggestRequest {
    /// The experiment.
    pub experiment: Arc<Experiment>,
    /// The trials that were suggested before, finished or not.
    pub trials: Vec<Arc<Trial>>,
    /// Settings that the algorithm returned earlier; they overrule the experiment's.
    pub settings: Vec<AlgorithmSetting>,
    /// How many assignments are wanted now.
    pub count: usize,
    /// How many assignments are wanted in all, those given before included.
    pub total: usize,
}

/// What an algorithm proposes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuggestReply {
    /// At most `count` assignments; the name is empty where the algorithm doesn't care.
    pub assignments: Vec<TrialAssignment>,
    /// Settings that the next request must carry.
    pub settings: Vec<AlgorithmSetting>,
    /// Nothing will come after these.
    pub exhausted: bool,
    /// What people should be told about this answer.
    pub note: Option<String>,
}

/// Why there are no assignments, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuggestionError {
    /// The experiment asks for what the algorithm can't do; only another experiment helps.
    #[error("{0}")]
    Invalid(String),
    /// The service can't be reached or is busy; asking again may help.
    #[error("{0}")]
    Retry(String),
    /// The algorithm gave up.
    #[error("{0}")]
    Fatal(String),
}

impl From<Refusal> for SuggestionError {
    fn from(refusal: Refusal) -> Self {
        Self::Invalid(refusal.0)
    }
}

/// The algorithm that an experiment names.
pub(crate) fn algorithm_of(experiment: &Experiment) -> Result<&'static Algorithm, SuggestionError> {
    let name = experiment
        .spec
        .algorithm
        .as_ref()
        .map_or("", |a| a.algorithm_name.as_str());
    find(name).ok_or_else(|| SuggestionError::Invalid(format!("unknown algorithm name {name}")))
}

/// Whether a built-in algorithm takes the experiment.
pub(crate) fn validate(experiment: &Experiment) -> Result<(), SuggestionError> {
    let algorithm = algorithm_of(experiment)?;
    let problem = problem(algorithm, experiment, &[], 0)?;
    guard(algorithm, || (algorithm.build)(&problem))??;
    Ok(())
}

/// Asks a built-in algorithm. The trials are `sources`, not those of the request.
fn suggest(
    request: &SuggestRequest,
    sources: Vec<TrialSource>,
    known: &Known,
    is_wanted: impl Fn() -> bool,
) -> Result<SuggestReply, SuggestionError> {
    let experiment = &request.experiment;
    let algorithm = algorithm_of(experiment)?;
    // What was given counts even if its trials are gone; callers that count nothing have trials.
    let issued = request
        .total
        .saturating_sub(request.count)
        .max(sources.len());
    let problem = problem(algorithm, experiment, &request.settings, issued)?;
    let mut designer = guard(algorithm, || (algorithm.build)(&problem))??;
    if designer.needs_history() {
        let objective = experiment.spec.objective.as_ref();
        let name = key(experiment);
        // What was converted is kept even for a caller who gave up meanwhile: one whose deadline
        // is short would else never come further.
        known.with(&name, (&problem.space, objective), sources, |history| {
            check(&is_wanted)?;
            guard(algorithm, || {
                designer.observe_further(&history.completed, &history.active, &mut history.memo);
            })
        })??;
    }
    check(&is_wanted)?;
    let suggested = guard(algorithm, || {
        designer.suggest_while(request.count, &is_wanted)
    })??;
    check(&is_wanted)?;
    let assignments = suggested
        .proposals
        .into_iter()
        .map(|proposal| assignment(&problem.space, proposal))
        .collect();
    Ok(SuggestReply {
        assignments,
        settings: suggested.settings,
        exhausted: suggested.exhausted,
        note: suggested.note,
    })
}

/// What tells one experiment from all others.
fn key(experiment: &Experiment) -> String {
    let metadata = &experiment.metadata;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    [&metadata.namespace, &metadata.name, &metadata.uid]
        .map(part)
        .join("/")
}

/// Asks a built-in algorithm; one that learns does its work on a thread for blocking work. When
/// the caller gives up, work that has not begun is not done.
pub(crate) async fn suggest_in_background(
    request: SuggestRequest,
    sources: Vec<TrialSource>,
    known: Arc<Known>,
) -> Result<SuggestReply, SuggestionError> {
    if !algorithm_of(&request.experiment)?
        .supports
        .contains(&Capability::LearnsFromHistory)
    {
        return suggest(&request, sources, &known, || true);
    }
    // Dropped with this future, when nobody waits for the answer any more.
    let caller = Arc::new(());
    let waiting = Arc::downgrade(&caller);
    let work = tokio::task::spawn_blocking(move || {
        let is_wanted = || waiting.strong_count() > 0;
        check(is_wanted)?;
        suggest(&request, sources, &known, is_wanted)
    });
    let answer = work
        .await
        .unwrap_or_else(|error| Err(SuggestionError::Retry(error.to_string())));
    drop(caller);
    answer
}

/// Whether somebody still waits for the answer.
fn check(is_wanted: impl Fn() -> bool) -> Result<(), SuggestionError> {
    if is_wanted() {
        return Ok(());
    }
    let text = "the request was given up".to_owned();
    Err(SuggestionError::Retry(text))
}

/// What is wrong with the settings of an experiment, by their place in the list.
pub(crate) fn setting_errors(experiment: &Experiment) -> Vec<SettingError> {
    let Ok(algorithm) = algorithm_of(experiment) else {
        return Vec::new();
    };
    let given = experiment
        .spec
        .algorithm
        .as_ref()
        .map_or(&[][..], |a| &a.algorithm_settings);
    Settings::parse(algorithm, given).err().unwrap_or_default()
}

/// What is wrong with settings, by their fields below `path`, where the specification stands.
pub(crate) fn field_errors(
    path: &str,
    spec: &AlgorithmSpec,
    errors: Vec<SettingError>,
) -> Vec<FieldError> {
    let field_error = |error: SettingError| {
        let path = format!("{path}.algorithmSettings[{}]", error.index);
        let setting = &spec.algorithm_settings[error.index];
        if error.unknown {
            FieldError::invalid(format!("{path}.name"), &setting.name, error.text)
        } else {
            FieldError::invalid(format!("{path}.value"), &setting.value, error.text)
        }
    };
    errors.into_iter().map(field_error).collect()
}

/// Runs an algorithm so that a defect in it fails this request alone.
fn guard<T>(algorithm: &Algorithm, work: impl FnOnce() -> T) -> Result<T, SuggestionError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        SuggestionError::Fatal(format!("algorithm {} failed: {text}", algorithm.name))
    })
}

fn problem(
    algorithm: &Algorithm,
    experiment: &Experiment,
    returned: &[AlgorithmSetting],
    issued: usize,
) -> Result<Problem, SuggestionError> {
    let spec = &experiment.spec;
    if spec.nas_config.is_some() && !algorithm.supports.contains(&Capability::Architectures) {
        let name = algorithm.name;
        let text = format!("algorithm {name} searches spec.parameters, not spec.nasConfig");
        return Err(SuggestionError::Invalid(text));
    }
    let given = spec
        .algorithm
        .as_ref()
        .map_or(&[][..], |a| &a.algorithm_settings);
    let settings = Settings::parse(algorithm, &overlay(given, returned)).map_err(|errors| {
        let texts: Vec<_> = errors.into_iter().map(|e| e.text).collect();
        SuggestionError::Invalid(texts.join("; "))
    })?;
    let space = SearchSpace::parse(&spec.parameters, "spec.parameters")
        .map_err(|errors| SuggestionError::Invalid(errors.to_string()))?;
    let goal = match spec.objective.as_ref().and_then(|o| o.type_.as_ref()) {
        Some(ObjectiveType::Minimize) => Goal::Minimize,
        Some(ObjectiveType::Maximize) => Goal::Maximize,
        Some(ObjectiveType::Other(_)) | None => {
            let text = "objective type must be minimize or maximize";
            return Err(SuggestionError::Invalid(text.to_owned()));
        }
    };
    let name = experiment.metadata.name.as_deref().unwrap_or_default();
    let count = |n: Option<i32>| n.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    Ok(Problem {
        seed: settings
            .int("random_state")
            .unwrap_or_else(|| seed_of(name)),
        space,
        goal,
        settings,
        issued,
        budget: Budget {
            max_trials: count(spec.max_trial_count),
            parallel: count(spec.parallel_trial_count).unwrap_or(1),
        },
        nas: spec.nas_config.clone(),
    })
}

/// Settings with others laid over them.
pub(crate) fn overlay(
    given: &[AlgorithmSetting],
    returned: &[AlgorithmSetting],
) -> Vec<AlgorithmSetting> {
    let mut merged: Vec<_> = given
        .iter()
        .filter(|g| returned.iter().all(|r| r.name != g.name))
        .cloned()
        .collect();
    merged.extend_from_slice(returned);
    merged
}

fn assignment(space: &SearchSpace, proposal: Proposal) -> TrialAssignment {
    let pairs = space.parameters.iter().zip(proposal.values);
    let values = pairs.map(|(parameter, value)| ParameterAssignment {
        name: parameter.name.clone(),
        value: parameter
            .domain
            .print(value)
            .expect("the value is of this domain"),
    });
    TrialAssignment {
        name: proposal.trial_name.unwrap_or_default(),
        parameter_assignments: values.chain(proposal.texts).collect(),
        early_stopping_rules: Vec::new(),
        labels: proposal.labels,
    }
}

/// The settings of an experiment that have no effect on its algorithm.
pub fn ignored_settings(experiment: &Experiment) -> Vec<FieldError> {
    let Some(spec) = &experiment.spec.algorithm else {
        return Vec::new();
    };
    let Ok(algorithm) = algorithm_of(experiment) else {
        return Vec::new();
    };
    if algorithm.unknown_settings != UnknownSettings::Ignored {
        return Vec::new();
    }
    let known: Vec<&str> = algorithm.settings.iter().map(|s| s.name).collect();
    let ignored = |(i, setting): (usize, &AlgorithmSetting)| {
        (!known.contains(&setting.name.as_str())).then(|| {
            let field = format!("spec.algorithm.algorithmSettings[{i}].name");
            let detail = format!(
                "{} does not know it, so it has no effect; there are {}",
                algorithm.name,
                known.join(", ")
            );
            FieldError::invalid(field, &setting.name, detail)
        })
    };
    let given = spec.algorithm_settings.iter().enumerate();
    given.filter_map(ignored).collect()
}

/// Why a built-in algorithm does not take an experiment whose settings are right one by one.
pub(crate) fn refusal(experiment: &Experiment) -> Option<FieldError> {
    let Err(SuggestionError::Invalid(text)) = validate(experiment) else {
        return None;
    };
    let name = experiment.spec.algorithm.as_ref()?.algorithm_name.clone();
    Some(match text.split_once(": ") {
        Some((field, detail)) if field.starts_with("spec.") && detail.starts_with("Missing") => {
            FieldError::required(field, detail)
        }
        Some((field, detail)) if field.starts_with("spec.") => {
            FieldError::invalid(field, "", detail)
        }
        Some(("Required params missing", names)) => {
            FieldError::required("spec.algorithm.algorithmSettings", names)
        }
        _ => FieldError::invalid("spec.algorithm.algorithmName", name, text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_an_algorithm_is_the_error_of_its_request() {
        let random = find("random").unwrap();
        let result = guard(random, || -> () { panic!("no such {}", "thing") });
        assert_eq!(
            result,
            Err(SuggestionError::Fatal(
                "algorithm random failed: no such thing".into()
            ))
        );
    }

    fn request() -> SuggestRequest {
        let experiment = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "example"},
            "spec": {
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "algorithm": {"algorithmName": "tpe"},
                "parameters": [{
                    "name": "x",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0", "max": "1"},
                }],
            },
        }));
        SuggestRequest {
            experiment: Arc::new(experiment.unwrap()),
            trials: Vec::new(),
            settings: Vec::new(),
            count: 1,
            total: 1,
        }
    }

    #[test]
    fn work_ends_when_nobody_waits_for_it_any_more() {
        let given_up = Err(SuggestionError::Retry("the request was given up".into()));
        // Asked twice: before the algorithm learns, and before it proposes.
        for patience in 0..2 {
            let asked = std::cell::Cell::new(0);
            let is_wanted = || asked.replace(asked.get() + 1) < patience;
            let answer = suggest(&request(), Vec::new(), &Known::default(), is_wanted);
            assert_eq!((answer, asked.get()), (given_up.clone(), patience + 1));
        }
        let answer = suggest(&request(), Vec::new(), &Known::default(), || true);
        assert_eq!(answer.unwrap().assignments.len(), 1);
    }

    #[test]
    fn a_panic_leaves_what_is_known_of_others_in_order() {
        let known = Known::default();
        let space = SearchSpace {
            parameters: Vec::new(),
        };
        let random = find("random").unwrap();
        let failed = known.with("a", (&space, None), Vec::new(), |_| {
            guard(random, || -> () { panic!("a defect") })
        });
        assert!(matches!(failed, Ok(Err(SuggestionError::Fatal(_)))));
        let next = known.with("a", (&space, None), Vec::new(), |h| h.completed.len());
        assert_eq!(next, Ok(0));
        let answer = suggest(&request(), Vec::new(), &known, || true);
        assert_eq!(answer.unwrap().assignments.len(), 1);
    }

    #[test]
    fn returned_settings_overrule_given_ones() {
        let setting = |name: &str, value: &str| AlgorithmSetting {
            name: name.into(),
            value: value.into(),
        };
        assert_eq!(
            overlay(
                &[setting("a", "1"), setting("b", "1")],
                &[setting("a", "2")]
            ),
            [setting("b", "1"), setting("a", "2")]
        );
    }
}
