//! Admission of the embedded API: the functions that a cluster's webhooks call, too.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::trial_template::ConfigMapSource;
use diwan_api::validation::ValidationContext;
use diwan_controller::admission::Denied;
use diwan_controller::admission::experiment::{mutate_experiment, validate_experiment};
use diwan_controller::admission::pod::mutate_pod;
use diwan_controller::admission::trial::{validate_suggestion, validate_trial};
use diwan_db_manager::TrialTokens;
use diwan_embedded::{Admission, Api, Operation, Resource, Status, resource};
use diwan_suggestion::{EarlyStoppers, Suggesters};
use serde_json::Value;

/// Looks at experiments, suggestions, trials and pods before they are stored.
pub(super) struct Admitter {
    /// Where templates in ConfigMaps are found.
    pub(super) api: Api,
    /// Which algorithms there are, and what they say of settings.
    pub(super) suggesters: Arc<Suggesters>,
    /// The same for early stopping.
    pub(super) early_stoppers: Arc<EarlyStoppers>,
    /// With which trials report.
    pub(super) tokens: Arc<TrialTokens>,
}

#[async_trait]
impl Admission for Admitter {
    async fn admit(
        &self,
        operation: Operation,
        resource: &'static Resource,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let creating = operation == Operation::Create;
        let checked = match resource.kind {
            "Experiment" => mutate_experiment(new, creating).and_then(|()| self.check(new, old)),
            "Trial" => validate_trial(new, old),
            "Suggestion" => validate_suggestion(new),
            "Pod" if creating => {
                let token = |namespace: &str, trial: &str| self.tokens.token(namespace, trial);
                mutate_pod(new, Some(&token));
                Ok(())
            }
            _ => Ok(()),
        };
        checked.map_err(|denied| refuse(resource, new, &denied))
    }
}

impl Admitter {
    fn check(&self, new: &Value, old: Option<&Value>) -> Result<(), Denied> {
        let names = self.suggesters.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stoppers = self.early_stoppers.names();
        let stoppers: Vec<&str> = stoppers.iter().map(String::as_str).collect();
        let template = self.template(new);
        let context = ValidationContext {
            algorithms: &names,
            early_stopping: &stoppers,
            template_text: template.as_deref(),
            settings_errors: &|experiment| {
                let mut errors = self.suggesters.settings_errors(experiment);
                errors.extend(self.early_stoppers.settings_errors(experiment));
                errors
            },
        };
        validate_experiment(new, old, &context)
    }

    /// The text that `spec.trialTemplate.configMap` refers to.
    fn template(&self, experiment: &Value) -> Option<String> {
        let source = experiment.pointer("/spec/trialTemplate/configMap")?;
        let source: ConfigMapSource = serde_json::from_value(source.clone()).ok()?;
        let namespace = &source.config_map_namespace;
        let map = self
            .api
            .get(&resource::CONFIG_MAPS, namespace, &source.config_map_name)?;
        Some(
            map.get("data")?
                .get(&source.template_path)?
                .as_str()?
                .to_owned(),
        )
    }
}

fn refuse(resource: &'static Resource, object: &Value, denied: &Denied) -> Status {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    match denied {
        Denied::Fields(errors) => Status::invalid_fields(resource, name, errors),
        Denied::Unreadable { .. } => Status::bad_request(denied.to_string()),
    }
}
