//! Which algorithms search and stop. Settings are judged by the algorithm itself.

use std::collections::HashSet;

use super::required;
use crate::{AlgorithmSpec, EarlyStoppingSpec, FieldError, FieldErrors};

pub(super) fn algorithm(spec: Option<&AlgorithmSpec>, known: &[&str], errors: &mut FieldErrors) {
    match spec {
        Some(spec) => named(spec, "spec.algorithm", "Suggestion", known, errors),
        None => errors.push(FieldError::required("spec.algorithm", "must be specified")),
    }
}

pub(super) fn early_stopping(
    spec: Option<&EarlyStoppingSpec>,
    known: &[&str],
    errors: &mut FieldErrors,
) {
    if let Some(spec) = spec {
        named(spec, "spec.earlyStopping", "EarlyStopping", known, errors);
    }
}

fn named(
    spec: &AlgorithmSpec,
    path: &str,
    service: &str,
    known: &[&str],
    errors: &mut FieldErrors,
) {
    let name = spec.algorithm_name.as_str();
    let field = format!("{path}.algorithmName");
    if required(field.as_str(), name, errors) && !known.contains(&name) {
        let mut known = known.to_vec();
        known.sort_unstable();
        let detail = format!(
            "unable to get {service} config data for algorithm {name}: known algorithms are {}",
            known.join(", ")
        );
        errors.push(FieldError::invalid(field, name, detail));
    }
    let mut seen = HashSet::new();
    for (i, setting) in spec.algorithm_settings.iter().enumerate() {
        let field = format!("{path}.algorithmSettings[{i}].name");
        if required(field.as_str(), &setting.name, errors) && !seen.insert(&setting.name) {
            errors.push(FieldError::duplicate(field, &setting.name));
        }
    }
}
