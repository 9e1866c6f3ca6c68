//! From what each trial is made.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{TemplateText, required};
use crate::{
    ConfigMapSource, ExperimentSpec, FieldError, FieldErrors, TrialParameter, TrialTemplate,
    job_template::{container_names, is_job, job_errors},
    metadata::{LABEL_COMPONENT, TRIAL_TEMPLATES},
    template::{MetaKey, Template, TemplateSource, TrialMeta, is_meta_key},
};

const PATH: &str = "spec.trialTemplate";

pub(super) fn template(
    spec: &ExperimentSpec,
    config_map_text: TemplateText<'_>,
    errors: &mut FieldErrors,
) {
    let Some(template) = &spec.trial_template else {
        errors.push(FieldError::required(PATH, "must be specified"));
        return;
    };
    for (name, text) in [
        ("primaryContainerName", &template.primary_container_name),
        ("successCondition", &template.success_condition),
        ("failureCondition", &template.failure_condition),
    ] {
        required(format!("{PATH}.{name}"), text, errors);
    }
    let source = source(template, config_map_text, errors);
    let Some(parameters) = &template.trial_parameters else {
        let field = format!("{PATH}.trialParameters");
        errors.push(FieldError::required(field, "must be specified"));
        return;
    };
    names(parameters, errors);
    references(parameters, spec, errors);
    let Some((field, source)) = source else {
        return;
    };
    match Template::parse(source) {
        Ok(parsed) => {
            occurrences(parameters, &parsed, &field, errors);
            object(&parsed, &field, template, errors);
        }
        Err(error) => {
            let detail = format!("unable to parse {PATH}: {error}");
            errors.push(FieldError::invalid(field, "", detail));
        }
    }
}

/// The one source that is given, and the field where it stands.
fn source<'a>(
    template: &'a TrialTemplate,
    config_map_text: TemplateText<'a>,
    errors: &mut FieldErrors,
) -> Option<(String, TemplateSource<'a>)> {
    match (&template.trial_spec, &template.config_map) {
        (None, None) => {
            let detail = format!("{PATH}.trialSpec or {PATH}.configMap must be specified");
            errors.push(FieldError::required(PATH, detail));
            None
        }
        (Some(_), Some(_)) => {
            let detail =
                format!("only one of {PATH}.trialSpec and {PATH}.configMap can be specified");
            errors.push(FieldError::forbidden(format!("{PATH}.configMap"), detail));
            None
        }
        (Some(object), None) => Some((format!("{PATH}.trialSpec"), TemplateSource::Object(object))),
        (None, Some(reference)) => {
            let field = format!("{PATH}.configMap");
            config_map(reference, &field, config_map_text, errors)
                .map(|text| (field, TemplateSource::Text(text)))
        }
    }
}

fn config_map<'a>(
    reference: &ConfigMapSource,
    path: &str,
    text: TemplateText<'a>,
    errors: &mut FieldErrors,
) -> Option<&'a str> {
    let ConfigMapSource {
        config_map_name,
        config_map_namespace,
        template_path,
    } = reference;
    let mut complete = true;
    for (name, value) in [
        ("configMapName", config_map_name),
        ("configMapNamespace", config_map_namespace),
        ("templatePath", template_path),
    ] {
        complete &= required(format!("{path}.{name}"), value, errors);
    }
    if complete && text == TemplateText::Missing {
        let detail = format!(
            "unable to parse {PATH}: there is no ConfigMap {config_map_name:?} with key \
             {template_path:?} in namespace {config_map_namespace:?}, or it is another namespace's \
             without the label {LABEL_COMPONENT}: {TRIAL_TEMPLATES}"
        );
        errors.push(FieldError::invalid(path, config_map_name, detail));
    }
    match text {
        TemplateText::Known(text) if complete => Some(text),
        _ => None,
    }
}

fn names(parameters: &[TrialParameter], errors: &mut FieldErrors) {
    let mut names = HashSet::new();
    let mut references = HashSet::new();
    for (i, parameter) in parameters.iter().enumerate() {
        let path = format!("{PATH}.trialParameters[{i}]");
        let TrialParameter {
            name, reference, ..
        } = parameter;
        let field = format!("{path}.name");
        if required(field.as_str(), name, errors) {
            if name.contains(['{', '}']) {
                let detail = "must not contain { or }";
                errors.push(FieldError::invalid(field.as_str(), name, detail));
            }
            if !names.insert(name) {
                errors.push(FieldError::duplicate(field, name));
            }
        }
        let field = format!("{path}.reference");
        if required(field.as_str(), reference, errors) && !references.insert(reference) {
            errors.push(FieldError::duplicate(field, reference));
        }
    }
}

/// Every reference names a parameter, and every parameter is referred to.
fn references(parameters: &[TrialParameter], spec: &ExperimentSpec, errors: &mut FieldErrors) {
    if spec.parameters.is_empty() {
        return;
    }
    for (i, parameter) in parameters.iter().enumerate() {
        let reference = &parameter.reference;
        let known = spec.parameters.iter().any(|p| p.name == *reference);
        if !reference.is_empty() && !is_meta_key(reference) && !known {
            let field = format!("{PATH}.trialParameters[{i}].reference");
            let detail = "must be the name of a parameter in spec.parameters or a key such as \
                          ${trialSpec.Name}";
            errors.push(FieldError::invalid(field, reference, detail));
        }
    }
    for (i, parameter) in spec.parameters.iter().enumerate() {
        let used = parameters.iter().any(|p| p.reference == parameter.name);
        if !parameter.name.is_empty() && !used {
            let detail = format!("must be referred to by one of {PATH}.trialParameters");
            errors.push(FieldError::invalid(
                format!("spec.parameters[{i}].name"),
                &parameter.name,
                detail,
            ));
        }
    }
}

/// Every trial parameter occurs in the template, and nothing else does; meta keys can be resolved.
fn occurrences(
    parameters: &[TrialParameter],
    template: &Template,
    source: &str,
    errors: &mut FieldErrors,
) {
    let found = template.placeholders();
    for (i, parameter) in parameters.iter().enumerate() {
        let TrialParameter {
            name, reference, ..
        } = parameter;
        let path = format!("{PATH}.trialParameters[{i}]");
        if !name.is_empty() && !name.contains(['{', '}']) && !found.contains(name) {
            let detail = format!("${{trialParameters.{name}}} must occur in {source}");
            errors.push(FieldError::invalid(format!("{path}.name"), name, detail));
        }
        if is_meta_key(reference) {
            let trial = TrialMeta {
                name: "",
                namespace: "",
            };
            let resolved =
                MetaKey::parse(reference).and_then(|key| key.resolve(template.object(), trial));
            if let Err(error) = resolved {
                let field = format!("{path}.reference");
                errors.push(FieldError::invalid(field, reference, error.to_string()));
            }
        }
    }
    for name in found
        .iter()
        .filter(|name| parameters.iter().all(|p| p.name != **name))
    {
        let placeholder = format!("${{trialParameters.{name}}}");
        let detail = format!("must be listed in {PATH}.trialParameters");
        errors.push(FieldError::invalid(source, placeholder, detail));
    }
}

/// The object itself. Fields of an object in a ConfigMap have no path in the experiment, there
/// the error is at the reference to the ConfigMap.
fn object(parsed: &Template, source: &str, template: &TrialTemplate, errors: &mut FieldErrors) {
    let object = parsed.render_for_validation();
    let at = |path: &str| match template.trial_spec {
        Some(_) => format!("{source}{path}"),
        None => source.to_owned(),
    };
    for key in ["apiVersion", "kind"] {
        if object
            .get(key)
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            let detail = format!("{key} must be specified");
            errors.push(FieldError::required(at(&format!(".{key}")), detail));
        }
    }
    match object.get("metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(metadata)) => {
            let set = |key| metadata.get(key).is_some_and(|v| !v.is_null() && v != "");
            if set("name") || set("namespace") {
                let detail = "metadata.name and metadata.namespace in spec.trialTemplate must be \
                              omitted";
                errors.push(FieldError::forbidden(at(".metadata"), detail));
            }
        }
        Some(other) => {
            let detail = "metadata must be an object";
            errors.push(FieldError::invalid(at(".metadata"), other, detail));
        }
    }
    if is_job(&object) {
        job(&object, parsed, &at, template, errors);
    }
}

fn job(
    object: &Map<String, Value>,
    parsed: &Template,
    at: &impl Fn(&str) -> String,
    template: &TrialTemplate,
    errors: &mut FieldErrors,
) {
    let document = Value::Object(object.clone());
    for error in job_errors(object) {
        let value = document.pointer(&error.pointer).unwrap_or(&Value::Null);
        let detail = format!(
            "unable to convert: {} - {value} to Job: {}",
            error.pointer, error.detail
        );
        let field = at(&field_path(&error.pointer));
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        errors.push(FieldError::invalid(field, value, detail));
    }
    // Names may have placeholders, on both sides the same.
    let containers = container_names(parsed.object());
    let primary = template.primary_container_name.as_str();
    if containers.is_empty() {
        let field = at(".spec.template.spec.containers");
        errors.push(FieldError::required(
            field,
            "spec.template.spec.containers must be specified",
        ));
    } else if !primary.is_empty() && !containers.contains(&primary) {
        let field = format!("{PATH}.primaryContainerName");
        errors.push(FieldError::not_supported(field, primary, &containers));
    }
}

/// `/spec/args/0` as `.spec.args[0]`.
fn field_path(pointer: &str) -> String {
    let segment = |segment: &str| match segment.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{}", segment.replace("~1", "/").replace("~0", "~")),
    };
    pointer.split('/').skip(1).map(segment).collect()
}
