//! Admission of the embedded API: the functions that a cluster's webhooks call, too.

use async_trait::async_trait;
use diwan_api::metadata::{LABEL_COMPONENT, TRIAL_TEMPLATES};
use diwan_api::trial_template::ConfigMapSource;
use diwan_api::validation::TemplateText;
use diwan_controller::admission::Denied;
use diwan_controller::admission::experiment::mutate_experiment;
use diwan_controller::admission::pod::mutate_pod;
use diwan_controller::admission::trial::{validate_suggestion, validate_trial};
use diwan_embedded::{Admission, Api, Operation, Resource, Status, resource};
use diwan_suggestion::config::CONFIG_MAP_KEY;
use serde_json::Value;

use crate::katib_config::{self, Configured};
use crate::port::rules::Rules;

/// Where Katib's own objects are.
pub(super) const CORE_NAMESPACE: &str = "kubeflow";

/// Looks at experiments, suggestions, trials and pods before they are stored.
pub(super) struct Admitter {
    /// Where templates in ConfigMaps are found.
    pub(super) api: Api,
    /// What is asked of experiments.
    pub(super) rules: Rules,
    /// Takes in `katib-config`.
    pub(super) configured: Configured,
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
            "Experiment" => {
                // The file that brought the experiment may have brought its algorithm just before.
                self.read_configuration();
                let template = self.template(new);
                let template = template.as_deref();
                let template = template.map_or(TemplateText::Missing, TemplateText::Known);
                let rules = &self.rules;
                mutate_experiment(new, creating).and_then(|()| rules.check(new, old, template))
            }
            "Trial" => validate_trial(new, old),
            "Suggestion" => validate_suggestion(new),
            "Pod" if creating => {
                mutate_pod(new);
                Ok(())
            }
            _ => Ok(()),
        };
        checked.map_err(|denied| refuse(resource, new, &denied))
    }

    fn advice(&self, resource: &'static Resource, object: &Value) -> Vec<String> {
        match resource.kind {
            "Experiment" => self.rules.warnings(object),
            "Pod" => stdin_warnings(object),
            _ => Vec::new(),
        }
    }
}

/// Who types to a container learns at once that nobody listens: it ends without a word.
fn stdin_warnings(pod: &Value) -> Vec<String> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let typed = containers.enumerate().filter(|(_, c)| c["stdin"] == true);
    typed
        .map(|(i, _)| {
            format!(
                "spec.containers[{i}].stdin: programs have no input here; start the pod without it, \
                 and use kubectl exec -i"
            )
        })
        .collect()
}

impl Admitter {
    /// Takes in what `katib-config` says now.
    pub(super) fn read_configuration(&self) {
        let map = self
            .api
            .get(&resource::CONFIG_MAPS, CORE_NAMESPACE, katib_config::NAME);
        let text = map.as_ref().map(|map| &map["data"][CONFIG_MAP_KEY]);
        self.configured.take(text.and_then(Value::as_str));
    }

    /// The text that `spec.trialTemplate.configMap` refers to, if the experiment may use it.
    fn template(&self, experiment: &Value) -> Option<String> {
        let source = experiment.pointer("/spec/trialTemplate/configMap")?;
        let source: ConfigMapSource = serde_json::from_value(source.clone()).ok()?;
        let namespace = &source.config_map_namespace;
        let map = self
            .api
            .get(&resource::CONFIG_MAPS, namespace, &source.config_map_name)?;
        let is_for_all = map["metadata"]["labels"][LABEL_COMPONENT] == TRIAL_TEMPLATES;
        if experiment["metadata"]["namespace"] != **namespace && !is_for_all {
            return None;
        }
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
