//! What is asked of experiments before they are stored.

use std::sync::Arc;

use diwan_api::validation::{TemplateText, ValidationContext};
use diwan_api::{Experiment, FieldError};
use diwan_controller::admission::Denied;
use diwan_controller::admission::experiment::{validate_experiment, warnings};
use diwan_suggestion::{EarlyStoppers, Suggesters, ignored_settings};
use serde_json::Value;

/// Knows which algorithms there are, and what they say of settings.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The search algorithms.
    pub(crate) suggesters: Arc<Suggesters>,
    /// Those of early stopping.
    pub(crate) early_stoppers: Arc<EarlyStoppers>,
    /// Whether trials can be handed checkpoints.
    pub(crate) hands_checkpoints: bool,
}

impl Rules {
    /// Checks an experiment; `template` is what is known of the text that `spec.trialTemplate.configMap` refers to.
    pub(crate) fn check(
        &self,
        new: &Value,
        old: Option<&Value>,
        template: TemplateText<'_>,
    ) -> Result<(), Denied> {
        let names = self.suggesters.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stoppers = self.early_stoppers.names();
        let stoppers: Vec<&str> = stoppers.iter().map(String::as_str).collect();
        let context = ValidationContext {
            algorithms: &names,
            early_stopping: &stoppers,
            template_text: template,
            settings_errors: &|experiment| {
                let mut errors = self.suggesters.settings_errors(experiment);
                errors.extend(self.early_stoppers.settings_errors(experiment));
                errors.extend(self.lacks_checkpoints(experiment));
                errors
            },
        };
        validate_experiment(new, old, &context)
    }

    fn lacks_checkpoints(&self, experiment: &Experiment) -> Option<FieldError> {
        let name = &experiment.spec.algorithm.as_ref()?.algorithm_name;
        let detail = "its trials go on from each other's checkpoints, which containers of an engine \
                      are not handed: leave --runtime out, or run it on a cluster";
        (!self.hands_checkpoints && self.suggesters.continues(experiment))
            .then(|| FieldError::invalid("spec.algorithm.algorithmName", name, detail))
    }

    /// What is odd about an experiment that was accepted.
    pub(crate) fn warnings(&self, experiment: &Value) -> Vec<String> {
        let ignored = |experiment: &Experiment| self.suggesters.ignored_settings(experiment);
        told(experiment, ignored)
    }
}

/// What is odd about an experiment that was accepted, to who does not know which algorithms are
/// outside.
pub(crate) fn built_in_warnings(experiment: &Value) -> Vec<String> {
    told(experiment, ignored_settings)
}

fn told(
    experiment: &Value,
    ignored_settings: impl Fn(&Experiment) -> Vec<FieldError>,
) -> Vec<String> {
    let mut found = warnings(experiment);
    if let Ok(experiment) = serde_json::from_value(experiment.clone()) {
        let ignored = ignored_settings(&experiment);
        found.extend(ignored.iter().map(ToString::to_string));
    }
    found
}
