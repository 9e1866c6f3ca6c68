//! Rules under which a trial is stopped.

use diwan_api::{Comparison, EarlyStoppingRule};

use crate::v1beta1::{self as message, ComparisonType};

impl From<&EarlyStoppingRule> for message::EarlyStoppingRule {
    fn from(rule: &EarlyStoppingRule) -> Self {
        let comparison = match rule.comparison {
            Some(Comparison::Equal) => ComparisonType::Equal,
            Some(Comparison::Less) => ComparisonType::Less,
            Some(Comparison::Greater) => ComparisonType::Greater,
            Some(Comparison::Other(_)) | None => ComparisonType::UnknownComparison,
        };
        Self {
            name: rule.name.clone(),
            value: rule.value.clone(),
            comparison: comparison.into(),
            start_step: rule.start_step,
        }
    }
}

impl From<message::EarlyStoppingRule> for EarlyStoppingRule {
    fn from(rule: message::EarlyStoppingRule) -> Self {
        let comparison = match rule.comparison() {
            ComparisonType::Equal => Some(Comparison::Equal),
            ComparisonType::Less => Some(Comparison::Less),
            ComparisonType::Greater => Some(Comparison::Greater),
            ComparisonType::UnknownComparison => None,
        };
        Self {
            name: rule.name,
            value: rule.value,
            comparison,
            start_step: rule.start_step,
        }
    }
}
