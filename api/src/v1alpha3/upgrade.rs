//! The spec of a v1alpha3 experiment as one of v1beta1, with its defaults.

use serde_json::{Map, Value, json};

use super::go_template::{Given, execute};
use crate::defaults::{default_experiment, fill_in};
use crate::metadata::{LABEL_COMPONENT, TRIAL_TEMPLATES};
use crate::template::{Template, TemplateSource};
use crate::{ConfigMapSource, Experiment, ExperimentSpec, FieldError};

const GO_TEMPLATE: &str = "spec.trialTemplate.goTemplate";

/// The spec; `name` is the experiment's, `template` the text of the ConfigMap if it names one.
pub(super) fn spec(
    spec: &Map<String, Value>,
    name: Option<&str>,
    template: Option<&str>,
) -> Result<Map<String, Value>, FieldError> {
    let mut converted = spec.clone();
    if let Some((stopping, algorithm)) = early_stopping(spec) {
        converted.insert("algorithm".to_owned(), algorithm);
        converted.entry("earlyStopping").or_insert(stopping);
    }
    if let Some(Value::Object(given)) = spec.get("trialTemplate")
        && let Some((field, text)) = source(given, template)?
    {
        let wrong = |detail| FieldError::invalid(field.as_str(), "", detail);
        let mut made = trial_template(text, name, &hyper_parameters(spec)).map_err(wrong)?;
        let rest = given.iter().filter(|(key, _)| *key != "goTemplate");
        made.extend(rest.map(|(key, value)| (key.clone(), value.clone())));
        converted.insert("trialTemplate".to_owned(), Value::Object(made));
    }
    Ok(defaulted(converted))
}

/// What `algorithm.earlyStopping` becomes, and the algorithm without it.
fn early_stopping(spec: &Map<String, Value>) -> Option<(Value, Value)> {
    let mut algorithm = spec.get("algorithm")?.as_object()?.clone();
    let stopping = algorithm.remove("earlyStopping")?;
    let mut converted = Map::new();
    for (old, new) in [
        ("earlyStoppingAlgorithmName", "algorithmName"),
        ("earlyStoppingSettings", "algorithmSettings"),
    ] {
        if let Some(value) = stopping.get(old) {
            converted.insert(new.to_owned(), value.clone());
        }
    }
    Some((Value::Object(converted), Value::Object(algorithm)))
}

/// The template's text and the field that it comes from.
fn source<'a>(
    trial_template: &'a Map<String, Value>,
    text: Option<&'a str>,
) -> Result<Option<(String, &'a str)>, FieldError> {
    let Some(go) = trial_template.get("goTemplate") else {
        return Ok(None);
    };
    let raw = go["rawTemplate"].as_str().filter(|raw| !raw.is_empty());
    let reference = Some(&go["templateSpec"]).filter(|reference| !reference.is_null());
    let field = |name: &str| format!("{GO_TEMPLATE}.{name}");
    match (raw, reference, text) {
        (Some(_), Some(_), _) => {
            let detail = "only one of rawTemplate and templateSpec can be specified";
            Err(FieldError::forbidden(field("templateSpec"), detail))
        }
        (Some(raw), None, _) => Ok(Some((field("rawTemplate"), raw))),
        (None, Some(_), Some(text)) => Ok(Some((field("templateSpec"), text))),
        (None, Some(reference), None) => Err(missing(reference)),
        (None, None, _) => {
            let detail = "rawTemplate or templateSpec must be specified";
            Err(FieldError::required(GO_TEMPLATE, detail))
        }
    }
}

fn missing(reference: &Value) -> FieldError {
    let source: ConfigMapSource = serde_json::from_value(reference.clone()).unwrap_or_default();
    let place = match source.config_map_namespace.as_str() {
        "" => "the experiment's namespace".to_owned(),
        namespace => format!("namespace {namespace:?}"),
    };
    let detail = format!(
        "there is no such ConfigMap with key {:?} in {place}; on a cluster it needs the label \
         {LABEL_COMPONENT}: {TRIAL_TEMPLATES}",
        source.template_path
    );
    let field = format!("{GO_TEMPLATE}.templateSpec");
    FieldError::invalid(field, &source.config_map_name, detail)
}

/// The names that assignments have: those of the parameters, or what algorithms of an
/// architecture search call theirs.
fn hyper_parameters(spec: &Map<String, Value>) -> Vec<&str> {
    let parameters = spec.get("parameters").and_then(Value::as_array);
    let names = parameters.into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|p| p["name"].as_str()).collect();
    if !names.is_empty() || !spec.contains_key("nasConfig") {
        return names;
    }
    let algorithm = spec.get("algorithm").map(|a| &a["algorithmName"]);
    match algorithm.and_then(Value::as_str) {
        Some("enas") => vec!["architecture", "nn_config"],
        Some("darts") => vec!["algorithm-settings", "search-space", "num-layers"],
        _ => names,
    }
}

/// The trial template of a Go template. The error says what is wrong with the text.
fn trial_template(
    text: &str,
    experiment: Option<&str>,
    parameters: &[&str],
) -> Result<Map<String, Value>, String> {
    let mut names = Names::default();
    let mut trial_parameters: Vec<(String, &str)> = parameters
        .iter()
        .map(|&parameter| (names.unique(parameter), parameter))
        .collect();
    let trial = names.unique("trialName");
    let namespace = names.unique("trialNamespace");
    let values = trial_parameters
        .iter()
        .map(|(name, parameter)| (*parameter, placeholder(name)))
        .collect::<Vec<_>>();
    let executed = execute(
        text,
        &Given {
            experiment,
            trial: &placeholder(&trial),
            namespace: &placeholder(&namespace),
            parameters: &values,
        },
    )?;
    let parsed = Template::parse(TemplateSource::Text(&executed)).map_err(|e| e.to_string())?;
    let mut object = parsed.object().clone();
    // Diwan names the object itself.
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("name");
        metadata.remove("namespace");
    }
    let primary = primary_container(&object).map(str::to_owned);
    let used = Template::parse(TemplateSource::Object(&object)).map_err(|e| e.to_string())?;
    let used = used.placeholders();
    if let Some((_, parameter)) = trial_parameters.iter().find(|(n, _)| !used.contains(n)) {
        return Err(format!(
            "the template does not use parameter {parameter:?}: put its value in, or take it out \
             of spec.parameters"
        ));
    }
    for (name, reference) in [
        (trial, "${trialSpec.Name}"),
        (namespace, "${trialSpec.Namespace}"),
    ] {
        if used.contains(&name) {
            trial_parameters.push((name, reference));
        }
    }
    let trial_parameters = trial_parameters
        .iter()
        .map(|(name, reference)| json!({"name": name, "reference": reference}))
        .collect();
    let mut made = Map::new();
    made.insert("trialSpec".to_owned(), Value::Object(object));
    made.insert("trialParameters".to_owned(), trial_parameters);
    if let Some(primary) = primary {
        made.insert("primaryContainerName".to_owned(), primary.into());
    }
    Ok(made)
}

fn placeholder(name: &str) -> String {
    format!("${{trialParameters.{name}}}")
}

/// Names of trial parameters that were given away.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// A name like `wanted`, of letters, digits and `_-.` alone: flags lose their dashes.
    fn unique(&mut self, wanted: &str) -> String {
        let plain = |c: char| match c {
            '_' | '-' | '.' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        };
        let name: String = wanted.trim_start_matches('-').chars().map(plain).collect();
        let name = if name.is_empty() { "parameter" } else { &name };
        let mut unique = name.to_owned();
        let mut count = 1;
        while self.0.contains(&unique) {
            count += 1;
            unique = format!("{name}-{count}");
        }
        self.0.push(unique.clone());
        unique
    }
}

/// The container whose metrics v1alpha3 collected: the first, or the one that the training
/// operators give their part to.
fn primary_container(object: &Map<String, Value>) -> Option<&str> {
    let mut names = Vec::new();
    object.values().for_each(|v| container_names(v, &mut names));
    let named = match object.get("kind").and_then(Value::as_str) {
        Some("TFJob") => names.iter().find(|name| **name == "tensorflow"),
        Some("PyTorchJob") => names.iter().find(|name| **name == "pytorch"),
        _ => None,
    };
    named.or(names.first()).copied()
}

/// The names of the containers of all pods in a document.
fn container_names<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::Array(containers) if key == "containers" => {
                        names.extend(containers.iter().filter_map(|c| c["name"].as_str()));
                    }
                    value => container_names(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|v| container_names(v, names)),
        _ => {}
    }
}

/// The spec with what v1beta1 fills in, so that nothing is added to it after the conversion. One
/// that can't be read stays as it is: validation will say why.
fn defaulted(spec: Map<String, Value>) -> Map<String, Value> {
    let mut spec = Value::Object(spec);
    if let Ok(typed) = serde_json::from_value::<ExperimentSpec>(spec.clone()) {
        let mut experiment = Experiment::new("", typed);
        default_experiment(&mut experiment);
        fill_in(
            &mut spec,
            serde_json::to_value(&experiment.spec).unwrap_or_default(),
        );
    }
    match spec {
        Value::Object(spec) => spec,
        _ => Map::new(),
    }
}
