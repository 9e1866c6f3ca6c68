//! Whether an experiment can be run. Everything that is wrong is reported at once, each error
//! with the field it is about.
//!
//! The rules and the quoted texts are those of Katib's webhook; beyond them are checks for what
//! would otherwise fail or hang later: numbers that don't parse, empty ranges, parameters that no
//! trial gets, containers that don't exist.

mod algorithm;
mod budget;
mod collector;
mod name;
mod objective;
mod search_space;
mod template;

use crate::{Experiment, ExperimentSpec, FieldError, FieldErrors, ResumePolicy};

/// What is known of the text that `spec.trialTemplate.configMap` refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TemplateText<'a> {
    /// There is none, or none that the experiment may use.
    #[default]
    Missing,
    /// There is one that whoever asks may not get to know: what it says is found out by trials.
    Withheld,
    /// This one.
    Known(&'a str),
}

/// What has to be looked up outside the experiment.
pub struct ValidationContext<'a> {
    /// Names of the algorithms that can be used.
    pub algorithms: &'a [&'a str],
    /// Names of the early stopping algorithms that can be used.
    pub early_stopping: &'a [&'a str],
    /// The text that `spec.trialTemplate.configMap` refers to.
    pub template_text: TemplateText<'a>,
    /// What the algorithm says about its settings. Not asked when the algorithm is not known or
    /// the search space is wrong.
    pub settings_errors: &'a dyn Fn(&Experiment) -> Vec<FieldError>,
}

impl Default for ValidationContext<'_> {
    /// Nothing is known, and no algorithm objects to its settings.
    fn default() -> Self {
        Self {
            algorithms: &[],
            early_stopping: &[],
            template_text: TemplateText::Missing,
            settings_errors: &|_| Vec::new(),
        }
    }
}

/// Validates an experiment that has its defaults. `old` is the stored one when it is updated:
/// then only the budget may change, and an update that leaves the spec as it is always passes, so
/// that labels and finalizers can be changed whatever has become of ConfigMaps and algorithms.
pub fn validate_experiment(
    new: &Experiment,
    old: Option<&Experiment>,
    context: &ValidationContext<'_>,
) -> Result<(), FieldErrors> {
    let mut errors = FieldErrors::default();
    match old {
        Some(old) if old.spec == new.spec => return Ok(()),
        Some(old) => {
            budget::counts(&new.spec, &mut errors);
            budget::update(&new.spec, old, &mut errors);
            if errors.is_empty() {
                errors.extend((context.settings_errors)(new));
            }
        }
        None => {
            name::experiment(&new.metadata, &mut errors);
            spec(new, context, &mut errors);
        }
    }
    errors.into_result()
}

/// What is odd about an experiment that is valid, each with the field it is about.
pub fn warnings(experiment: &Experiment) -> Vec<String> {
    budget::warnings(&experiment.spec).into_iter().collect()
}

fn spec(new: &Experiment, context: &ValidationContext<'_>, errors: &mut FieldErrors) {
    let spec = &new.spec;
    budget::counts(spec, errors);
    objective::objective(spec.objective.as_ref(), errors);
    algorithm::algorithm(spec.algorithm.as_ref(), context.algorithms, errors);
    algorithm::early_stopping(spec.early_stopping.as_ref(), context.early_stopping, errors);
    resume_policy(spec, errors);
    template::template(spec, context.template_text, errors);
    search_space::search_space(spec, errors);
    collector::collector(spec.metrics_collector_spec.as_ref(), errors);
    // The algorithm can judge its settings whatever is wrong with name, template and collector.
    let elsewhere = [
        "metadata",
        "spec.trialTemplate",
        "spec.metricsCollectorSpec",
    ];
    let answerable = errors
        .0
        .iter()
        .all(|e| elsewhere.iter().any(|prefix| e.field.starts_with(prefix)));
    if answerable {
        errors.extend((context.settings_errors)(new));
    }
}

fn resume_policy(spec: &ExperimentSpec, errors: &mut FieldErrors) {
    if let Some(ResumePolicy::Other(other)) = &spec.resume_policy
        && !other.is_empty()
    {
        errors.push(FieldError::invalid(
            "spec.resumePolicy",
            other,
            "invalid ResumePolicyType",
        ));
    }
}

/// An error when a text is empty.
fn required(field: impl Into<String>, text: &str, errors: &mut FieldErrors) -> bool {
    if text.is_empty() {
        errors.push(FieldError::required(field, "must be specified"));
    }
    !text.is_empty()
}
