//! The rules for the specification of a pod.

use std::collections::HashSet;

use diwan_api::FieldError;
use serde_json::Value;

use super::{label, probe};

/// Checks the specification of a pod, or of a pod template.
pub(super) fn check(spec: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let containers = spec["containers"].as_array().map_or(&[][..], Vec::as_slice);
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{field}.containers"), ""));
    }
    let volumes = volumes(spec, field, errors);
    let mut names = HashSet::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("{field}.{list}[{i}]");
            check_container(container, &path, &mut names, &volumes, errors);
        }
    }
    let policy = spec["restartPolicy"].as_str().unwrap_or_default();
    if !["Always", "OnFailure", "Never"].contains(&policy) {
        errors.push(FieldError::not_supported(
            format!("{field}.restartPolicy"),
            policy,
            &["Always", "OnFailure", "Never"],
        ));
    }
    for (name, least) in [
        ("terminationGracePeriodSeconds", 0),
        ("activeDeadlineSeconds", 1),
    ] {
        if let Some(value) = spec[name].as_i64().filter(|value| *value < least) {
            let detail = if least == 0 {
                "must be greater than or equal to 0"
            } else {
                "must be between 1 and 2147483647, inclusive"
            };
            errors.push(FieldError::invalid(
                format!("{field}.{name}"),
                value,
                detail,
            ));
        }
    }
}

fn check_container<'a>(
    container: &'a Value,
    path: &str,
    names: &mut HashSet<&'a str>,
    volumes: &HashSet<&str>,
    errors: &mut Vec<FieldError>,
) {
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else if let Some(detail) = label(name) {
        errors.push(FieldError::invalid(format!("{path}.name"), name, detail));
    } else if !names.insert(name) {
        errors.push(FieldError::duplicate(format!("{path}.name"), name));
    }
    if container["image"].as_str().is_none_or(str::is_empty) {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    }
    ports(container, path, errors);
    probe::check(container, path, errors);
    for (i, variable) in container["env"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(format!("{path}.env[{i}].name"), ""));
        }
        let valued = variable["value"].as_str().is_some_and(|v| !v.is_empty());
        if valued && variable["valueFrom"].is_object() {
            errors.push(FieldError::invalid(
                format!("{path}.env[{i}].valueFrom"),
                "",
                "may not be specified when `value` is not empty",
            ));
        }
    }
    for (i, mount) in container["volumeMounts"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let volume = mount["name"].as_str().unwrap_or_default();
        if volume.is_empty() {
            errors.push(FieldError::required(
                format!("{path}.volumeMounts[{i}].name"),
                "",
            ));
        } else if !volumes.contains(volume) {
            let field = format!("{path}.volumeMounts[{i}].name");
            errors.push(FieldError::not_found(field, volume));
        }
        if mount["mountPath"].as_str().is_none_or(str::is_empty) {
            errors.push(FieldError::required(
                format!("{path}.volumeMounts[{i}].mountPath"),
                "",
            ));
        }
    }
}

fn volumes<'a>(spec: &'a Value, field: &str, errors: &mut Vec<FieldError>) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (i, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let path = format!("{field}.volumes[{i}].name");
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(path, ""));
        } else if let Some(detail) = label(name) {
            errors.push(FieldError::invalid(path, name, detail));
        } else if !names.insert(name) {
            errors.push(FieldError::duplicate(path, name));
        }
    }
    names
}

fn ports(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let ports = container["ports"].as_array().into_iter().flatten();
    for (i, port) in ports.enumerate() {
        let mut check = |name: &str, required: bool| {
            let field = format!("{path}.ports[{i}].{name}");
            match port[name].as_i64().unwrap_or(0) {
                0 if required => errors.push(FieldError::required(field, "")),
                0..=65535 => {}
                number => {
                    let detail = "must be between 1 and 65535, inclusive";
                    errors.push(FieldError::invalid(field, number, detail));
                }
            }
        };
        check("containerPort", true);
        check("hostPort", false);
    }
}
