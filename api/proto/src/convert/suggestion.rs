//! Assignments that an algorithm proposes.

use diwan_api::TrialAssignment;

use super::each;
use crate::v1beta1::get_suggestions_reply::ParameterAssignments;

impl From<TrialAssignment> for ParameterAssignments {
    fn from(assignment: TrialAssignment) -> Self {
        Self {
            assignments: each(assignment.parameter_assignments),
            trial_name: assignment.name,
            labels: assignment.labels.into_iter().collect(),
        }
    }
}

impl From<ParameterAssignments> for TrialAssignment {
    /// Labels are sorted, for a map in a message has no order.
    fn from(reply: ParameterAssignments) -> Self {
        let mut labels: Vec<_> = reply.labels.into_iter().collect();
        labels.sort();
        Self {
            name: reply.trial_name,
            parameter_assignments: each(reply.assignments),
            early_stopping_rules: Vec::new(),
            labels: labels.into_iter().collect(),
        }
    }
}
