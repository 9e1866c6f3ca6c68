//! Makes trials of assignments: renders the template and creates the objects.

use std::collections::HashMap;
use std::sync::Arc;

use diwan_api::metadata::{
    ANNOTATION_SUGGESTION, FINALIZER_TRIAL, LABEL_COMPONENT, LABEL_EXPERIMENT, TRIAL_TEMPLATES,
};
use diwan_api::template::{Template, TemplateError, TemplateSource, TrialMeta};
use diwan_api::trial_template::is_for_all;
use diwan_api::{ConfigMapSource, Experiment, Trial, TrialAssignment, TrialTemplate};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::PostParams;

use crate::key::Key;
use crate::world::{World, is_conflict, is_outage, is_refused, owned_by, owner_uid, text};

/// Why a trial can't be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("spec.trialTemplate is missing")]
    NoTemplate,
    #[error("the trial template can't be used: {0}")]
    Template(#[from] TemplateError),
    #[error(
        "the trial template can't be read: ConfigMap {name} can't be read: {}",
        text(source)
    )]
    ConfigMap { name: Key, source: kube::Error },
    #[error("the trial template can't be read: ConfigMap {0} has no key {1:?}")]
    NoSuchKey(Key, String),
    #[error(
        "the trial template can't be read: ConfigMap {0} is another namespace's, without the label \
         {LABEL_COMPONENT}: {TRIAL_TEMPLATES}"
    )]
    NotForAll(Key),
    #[error("trial {trial} can't be created: {}", text(source))]
    Api { trial: String, source: kube::Error },
    #[error("trial {0} can't be created: the name is taken by another experiment's trial")]
    Taken(String),
}

impl Error {
    /// Whether it will never work.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::NoTemplate | Self::Template(_) => true,
            Self::ConfigMap { .. } | Self::NoSuchKey(..) | Self::NotForAll(_) | Self::Taken(_) => {
                false
            }
            Self::Api { source, .. } => is_refused(source),
        }
    }

    /// Whether it is the API that does not work.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::ConfigMap { source, .. } | Self::Api { source, .. } => is_outage(source),
            _ => false,
        }
    }
}

/// Creates a trial of each assignment; those that are there already are taken as they are.
pub(super) async fn launch(
    world: &World,
    key: &Key,
    experiment: &Arc<Experiment>,
    assignments: &[TrialAssignment],
    places: &HashMap<String, usize>,
) -> Result<(), Error> {
    let spec = experiment
        .spec
        .trial_template
        .as_ref()
        .ok_or(Error::NoTemplate)?;
    let template = template(world, key, spec).await?;
    let trials = assignments
        .iter()
        .map(|assignment| {
            let made = trial(experiment, spec, &template, assignment);
            made.map(|made| placed(made, places))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut creations: FuturesUnordered<_> = trials
        .iter()
        .map(|trial| create(world, experiment, trial))
        .collect();
    let mut result = Ok(());
    while let Some(created) = creations.next().await {
        result = result.and(created);
    }
    result
}

async fn template(world: &World, key: &Key, spec: &TrialTemplate) -> Result<Template, Error> {
    if let Some(object) = &spec.trial_spec {
        return Ok(Template::parse(TemplateSource::Object(object))?);
    }
    let source = spec.config_map.as_ref().ok_or(Error::NoTemplate)?;
    let text = config_map(world, key, source).await?;
    Ok(Template::parse(TemplateSource::Text(&text))?)
}

async fn config_map(world: &World, key: &Key, source: &ConfigMapSource) -> Result<String, Error> {
    let namespace = match source.config_map_namespace.as_str() {
        "" => &key.namespace,
        namespace => namespace,
    };
    let name = Key::new(namespace, &source.config_map_name);
    let map = match world.api::<ConfigMap>(namespace).get(&name.name).await {
        Ok(map) => map,
        Err(source) => return Err(Error::ConfigMap { name, source }),
    };
    if *namespace != key.namespace && !is_for_all(map.metadata.labels.as_ref()) {
        return Err(Error::NotForAll(name));
    }
    let text = map.data.unwrap_or_default().remove(&source.template_path);
    text.ok_or_else(|| Error::NoSuchKey(name, source.template_path.clone()))
}

/// The trial of an assignment.
fn trial(
    experiment: &Experiment,
    spec: &TrialTemplate,
    template: &Template,
    assignment: &TrialAssignment,
) -> Result<Trial, TemplateError> {
    let namespace = experiment.namespace().unwrap_or_default();
    let meta = TrialMeta {
        name: &assignment.name,
        namespace: &namespace,
    };
    let parameters = spec.trial_parameters.as_deref().unwrap_or_default();
    let assignments = &assignment.parameter_assignments;
    let run = template.render(parameters, assignments, meta)?;
    let primary = &spec.primary_container_name;
    let primary = template.render_text(primary, parameters, assignments, meta)?;

    let mut trial = Trial::default();
    trial.metadata.name = Some(assignment.name.clone());
    trial.metadata.namespace = Some(namespace);
    trial.metadata.owner_references = owned_by(experiment).map(|owner| vec![owner]);
    trial.metadata.finalizers = Some(vec![FINALIZER_TRIAL.to_owned()]);
    let mut labels = experiment.metadata.labels.clone().unwrap_or_default();
    labels.insert(LABEL_EXPERIMENT.to_owned(), experiment.name_any());
    labels.extend(assignment.labels.clone());
    trial.metadata.labels = Some(labels);
    trial.spec.objective.clone_from(&experiment.spec.objective);
    trial
        .spec
        .parameter_assignments
        .clone_from(&assignment.parameter_assignments);
    trial
        .spec
        .early_stopping_rules
        .clone_from(&assignment.early_stopping_rules);
    trial.spec.run_spec = Some(run);
    trial.spec.retain_run = spec.retain;
    trial
        .spec
        .metrics_collector
        .clone_from(&experiment.spec.metrics_collector_spec);
    trial
        .spec
        .primary_pod_labels
        .clone_from(&spec.primary_pod_labels);
    trial.spec.primary_container_name = primary;
    trial
        .spec
        .success_condition
        .clone_from(&spec.success_condition);
    trial
        .spec
        .failure_condition
        .clone_from(&spec.failure_condition);
    trial.spec.labels.clone_from(&assignment.labels);
    Ok(trial)
}

/// The trial, with its place among all that were suggested.
fn placed(mut trial: Trial, places: &HashMap<String, usize>) -> Trial {
    let place = trial
        .metadata
        .name
        .as_ref()
        .and_then(|name| places.get(name));
    if let Some(place) = place {
        let annotations = trial.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_SUGGESTION.to_owned(), place.to_string());
    }
    trial
}

async fn create(world: &World, experiment: &Experiment, trial: &Trial) -> Result<(), Error> {
    let name = trial.name_any();
    let api = world.api::<Trial>(&trial.namespace().unwrap_or_default());
    let failed = |source| Error::Api {
        trial: name.clone(),
        source,
    };
    match api.create(&PostParams::default(), trial).await {
        Ok(created) => world.trials.written(created),
        Err(error) if is_conflict(&error) => {
            let found = api.get(&name).await.map_err(failed)?;
            if owner_uid(&found, "Experiment") != experiment.metadata.uid.as_deref() {
                return Err(Error::Taken(name));
            }
            world.trials.written(found);
        }
        Err(error) => return Err(failed(error)),
    }
    Ok(())
}
