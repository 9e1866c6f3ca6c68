//! What is asked of experiments before they are stored.

use std::sync::Arc;

use diwan_api::validation::{TemplateText, ValidationContext};
use diwan_controller::admission::Denied;
use diwan_controller::admission::experiment::validate_experiment;
use diwan_suggestion::{EarlyStoppers, Suggesters};
use serde_json::Value;

/// Knows which algorithms there are, and what they say of settings.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The search algorithms.
    pub(crate) suggesters: Arc<Suggesters>,
    /// Those of early stopping.
    pub(crate) early_stoppers: Arc<EarlyStoppers>,
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
                errors
            },
        };
        validate_experiment(new, old, &context)
    }
}
