//! What is optimized.

use std::collections::HashSet;

use crate::{FieldError, FieldErrors, ObjectiveSpec, ObjectiveType, StrategyKind};

use super::required;

const PATH: &str = "spec.objective";

pub(super) fn objective(objective: Option<&ObjectiveSpec>, errors: &mut FieldErrors) {
    let Some(objective) = objective else {
        errors.push(FieldError::required(PATH, "must be specified"));
        return;
    };
    match &objective.type_ {
        Some(ObjectiveType::Minimize | ObjectiveType::Maximize) => {}
        Some(ObjectiveType::Other(other)) if !other.is_empty() => {
            let values = ObjectiveType::VALUES;
            errors.push(FieldError::not_supported(
                format!("{PATH}.type"),
                other,
                values,
            ));
        }
        _ => errors.push(FieldError::required(
            format!("{PATH}.type"),
            "must be specified",
        )),
    }
    required(
        format!("{PATH}.objectiveMetricName"),
        &objective.objective_metric_name,
        errors,
    );
    additional(objective, errors);
    strategies(objective, errors);
}

fn additional(objective: &ObjectiveSpec, errors: &mut FieldErrors) {
    let path = format!("{PATH}.additionalMetricNames");
    let names = &objective.additional_metric_names;
    if !objective.objective_metric_name.is_empty()
        && names.contains(&objective.objective_metric_name)
    {
        let detail = "should not contain spec.objective.objectiveMetricName";
        errors.push(FieldError::invalid(
            path.as_str(),
            &objective.objective_metric_name,
            detail,
        ));
    }
    let mut seen = HashSet::new();
    for (i, name) in names.iter().enumerate() {
        let field = format!("{path}[{i}]");
        if required(field.as_str(), name, errors) && !seen.insert(name) {
            errors.push(FieldError::duplicate(field, name));
        }
    }
}

fn strategies(objective: &ObjectiveSpec, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for (i, strategy) in objective.metric_strategies.iter().enumerate() {
        let path = format!("{PATH}.metricStrategies[{i}]");
        let field = format!("{path}.name");
        if required(field.as_str(), &strategy.name, errors) {
            if !seen.insert(&strategy.name) {
                errors.push(FieldError::duplicate(field, &strategy.name));
            } else if !objective.metric_names().any(|name| name == strategy.name) {
                let detail = "must be the objective metric or one of additionalMetricNames";
                errors.push(FieldError::invalid(field, &strategy.name, detail));
            }
        }
        if let StrategyKind::Other(other) = &strategy.value {
            let field = format!("{path}.value");
            errors.push(FieldError::not_supported(
                field,
                other,
                StrategyKind::VALUES,
            ));
        }
    }
}
