//! Conditions as the page shows them.

use diwan_api::{Condition, ConditionStatus};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// One observed state of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConditionView {
    /// What is stated, such as `Running`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds: `True`, `False` or `Unknown`.
    pub status: String,
    /// One word that says why.
    pub reason: String,
    /// A sentence that says why.
    pub message: String,
    /// When the status last changed.
    pub since: Option<Timestamp>,
}

impl From<&Condition> for ConditionView {
    fn from(condition: &Condition) -> Self {
        Self {
            type_: condition.type_.clone(),
            status: format!("{:?}", condition.status),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            since: condition.last_transition_time.as_ref().map(|time| time.0),
        }
    }
}

/// Returns the latest condition that holds: the state that an object is in.
pub(crate) fn current(conditions: &[Condition]) -> Option<&Condition> {
    conditions
        .iter()
        .rev()
        .find(|condition| condition.status == ConditionStatus::True)
}
