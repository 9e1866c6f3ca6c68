//! The spec of a v1beta1 experiment as one of v1alpha3, as far as that version can say it.

use serde_json::{Map, Value, json};

use super::stand_in::StandIns;
use crate::template::{
    MetaKey, Template, TemplateSource, TrialMeta, is_meta_key, with_placeholders,
};

/// The spec.
pub(super) fn spec(spec: &Map<String, Value>) -> Map<String, Value> {
    let mut converted = spec.clone();
    if let Some(Value::Object(algorithm)) = converted.get_mut("algorithm")
        && let Some(stopping) = spec.get("earlyStopping")
    {
        algorithm.insert("earlyStopping".to_owned(), early_stopping(stopping));
        converted.remove("earlyStopping");
    }
    if let Some(Value::Object(objective)) = converted.get_mut("objective") {
        objective.remove("metricStrategies");
    }
    if let Some(Value::Array(parameters)) = converted.get_mut("parameters") {
        for parameter in parameters {
            if let Some(Value::Object(space)) = parameter.get_mut("feasibleSpace") {
                space.remove("distribution");
            }
        }
    }
    if let Some(Value::Object(template)) = converted.get_mut("trialTemplate") {
        *template = trial_template(template);
    }
    converted
}

fn early_stopping(stopping: &Value) -> Value {
    let mut converted = Map::new();
    for (new, old) in [
        ("algorithmName", "earlyStoppingAlgorithmName"),
        ("algorithmSettings", "earlyStoppingSettings"),
    ] {
        if let Some(value) = stopping.get(new) {
            converted.insert(old.to_owned(), value.clone());
        }
    }
    Value::Object(converted)
}

fn trial_template(template: &Map<String, Value>) -> Map<String, Value> {
    let mut converted = Map::new();
    if let Some(retain) = template.get("retain") {
        converted.insert("retain".to_owned(), retain.clone());
    }
    let go = match (template.get("trialSpec"), template.get("configMap")) {
        (Some(Value::Object(object)), _) => {
            json!({"rawTemplate": raw_template(object, template.get("trialParameters"))})
        }
        (_, Some(source)) => json!({"templateSpec": source}),
        _ => return converted,
    };
    converted.insert("goTemplate".to_owned(), go);
    converted
}

/// The object as the text of a Go template.
fn raw_template(object: &Map<String, Value>, parameters: Option<&Value>) -> String {
    let mut document = object.clone();
    let names = match Template::parse(TemplateSource::Object(object)) {
        Ok(template) => template.placeholders(),
        Err(_) => Vec::new(),
    };
    let words = StandIns::new(&Value::Object(document.clone()).to_string());
    let word = |i| words.word(i);
    // The name and the namespace of the trial come after the placeholders.
    let stand_ins: Vec<String> = (0..names.len() + 2).map(word).collect();
    let lookup = |name: &str| {
        let i = names.iter().position(|n| n == name)?;
        stand_ins.get(i).map(String::as_str)
    };
    if let Ok(filled) = with_placeholders(&document, &lookup) {
        document = filled;
    }
    let metadata = document.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        for (i, key) in ["name", "namespace"].into_iter().enumerate() {
            metadata.insert(key.to_owned(), word(names.len() + i).into());
        }
    }
    let document = Value::Object(document);
    let text = serde_saphyr::to_string(&document).unwrap_or_else(|_| document.to_string());
    // What looks like an action of a template was none; nor does a brace before one belong to it.
    let mut text = text.replace("{{", r#"{{"{{"}}"#);
    let actions = names.iter().map(|name| action(name, object, parameters));
    let actions = actions.chain(["{{.Trial}}".to_owned(), "{{.NameSpace}}".to_owned()]);
    for (i, action) in actions.enumerate() {
        let word = word(i);
        text = text
            .replace(&format!("{{{word}"), &format!(r#"{{{{"{{"}}}}{word}"#))
            .replace(&word, &action);
    }
    text
}

/// What a Go template writes for the trial parameter `name`.
fn action(name: &str, object: &Map<String, Value>, parameters: Option<&Value>) -> String {
    let parameters = parameters.and_then(Value::as_array).into_iter().flatten();
    let reference = parameters
        .filter(|parameter| parameter["name"] == name)
        .find_map(|parameter| parameter["reference"].as_str());
    let Some(reference) = reference else {
        return format!("${{trialParameters.{name}}}");
    };
    if !is_meta_key(reference) {
        let name = Value::from(reference);
        return format!(
            "{{{{range .HyperParameters}}}}{{{{if eq .Name {name}}}}}{{{{.Value}}}}{{{{end}}}}{{{{end}}}}"
        );
    }
    let trial = TrialMeta {
        name: "{{.Trial}}",
        namespace: "{{.NameSpace}}",
    };
    let value = MetaKey::parse(reference).and_then(|key| key.resolve(object, trial));
    value.unwrap_or_else(|_| reference.to_owned())
}
