//! Parameters and the space of an architecture search.

use super::required;
use crate::{ExperimentSpec, FieldError, FieldErrors, NasConfig, SearchSpace};

pub(super) fn search_space(spec: &ExperimentSpec, errors: &mut FieldErrors) {
    match (&spec.parameters.is_empty(), &spec.nas_config) {
        (true, None) => {
            let detail = "spec.parameters or spec.nasConfig must be specified";
            errors.push(FieldError::required("spec.parameters", detail));
        }
        (false, Some(_)) => {
            let detail = "only one of spec.parameters and spec.nasConfig can be specified";
            errors.push(FieldError::forbidden("spec.nasConfig", detail));
        }
        _ => {}
    }
    parameters(
        SearchSpace::parse(&spec.parameters, "spec.parameters"),
        errors,
    );
    if let Some(config) = &spec.nas_config {
        nas_config(config, errors);
    }
}

fn nas_config(config: &NasConfig, errors: &mut FieldErrors) {
    let path = "spec.nasConfig.operations";
    if config.operations.is_empty() {
        errors.push(FieldError::required(path, "must be specified"));
    }
    for (i, operation) in config.operations.iter().enumerate() {
        let path = format!("{path}[{i}]");
        required(
            format!("{path}.operationType"),
            &operation.operation_type,
            errors,
        );
        let path = format!("{path}.parameters");
        parameters(SearchSpace::parse(&operation.parameters, &path), errors);
    }
}

fn parameters(parsed: Result<SearchSpace, FieldErrors>, errors: &mut FieldErrors) {
    if let Err(found) = parsed {
        errors.extend(found.0);
    }
}
