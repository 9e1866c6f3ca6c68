//! Conditions of the three kinds, and the rule by which they change.
//!
//! The last element of the list is *the* state for kubectl, the UI and gRPC; the controllers and
//! the Python SDK look for a type with status True anywhere in the list. Both readings hold
//! because a condition that changes moves to the end.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One observed state of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is stated, such as `Running`.
    #[serde(rename = "type")]
    pub type_: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word that says why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence that says why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When this condition was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known.
    Unknown,
}

/// Reading and changing a list of conditions.
pub trait Conditions {
    /// The conditions, oldest change first.
    fn conditions(&self) -> &[Condition];
    /// The conditions, to be changed through [`set_condition`].
    fn conditions_mut(&mut self) -> &mut Vec<Condition>;

    /// Whether a condition of this type is True.
    fn is(&self, type_: &str) -> bool {
        self.condition(type_)
            .is_some_and(|c| c.status == ConditionStatus::True)
    }
    /// The condition of this type.
    fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions().iter().find(|c| c.type_ == type_)
    }
    /// The last condition: the state that kubectl and the UI show.
    fn last_condition(&self) -> Option<&Condition> {
        self.conditions().last()
    }
    /// Sets a condition; see [`set_condition`].
    fn set(
        &mut self,
        type_: &str,
        status: ConditionStatus,
        reason: &str,
        message: &str,
        now: Timestamp,
    ) -> bool {
        set_condition(self.conditions_mut(), type_, status, reason, message, now)
    }
}

/// Sets the condition `type_` and returns whether anything changed. Nothing changes when one with
/// the same type, status and reason is there; otherwise the old one of that type is dropped and
/// the new one appended, which keeps the transition time if the status is as before.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: ConditionStatus,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let old = conditions.iter().position(|c| c.type_ == type_);
    let mut transition = Some(Time(now));
    if let Some(index) = old {
        let current = &conditions[index];
        if current.status == status && current.reason == reason {
            return false;
        }
        if current.status == status {
            transition.clone_from(&current.last_transition_time);
        }
        conditions.remove(index);
    }
    conditions.push(Condition {
        type_: type_.to_owned(),
        status,
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_update_time: Some(Time(now)),
        last_transition_time: transition,
    });
    true
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pretty_assertions::assert_eq;

    use super::{Condition, ConditionStatus, set_condition};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn set(
        conditions: &mut Vec<Condition>,
        type_: &str,
        status: ConditionStatus,
        reason: &str,
        second: i64,
    ) -> bool {
        set_condition(conditions, type_, status, reason, "", at(second))
    }

    fn seconds(condition: &Condition) -> (i64, i64) {
        let second = |time: &Option<super::Time>| time.as_ref().map_or(0, |t| t.0.as_second());
        (
            second(&condition.last_transition_time),
            second(&condition.last_update_time),
        )
    }

    #[test]
    fn a_condition_that_changes_moves_to_the_end() {
        use ConditionStatus::{False, True};
        let mut conditions = Vec::new();
        assert!(set(&mut conditions, "Created", True, "C", 1));
        assert!(set(&mut conditions, "Running", True, "R", 2));
        assert!(set(&mut conditions, "Succeeded", True, "S", 3));
        assert!(set(&mut conditions, "Running", False, "R", 4));
        let states: Vec<_> = conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status))
            .collect();
        assert_eq!(
            states,
            [("Created", True), ("Succeeded", True), ("Running", False)]
        );
        assert_eq!(seconds(&conditions[2]), (4, 4));
    }

    #[test]
    fn the_same_status_and_reason_change_nothing() {
        use ConditionStatus::True;
        let mut conditions = Vec::new();
        set(&mut conditions, "Running", True, "R", 1);
        let before = conditions.clone();
        assert!(!set_condition(
            &mut conditions,
            "Running",
            True,
            "R",
            "other text",
            at(2)
        ));
        assert_eq!(conditions, before);
    }

    #[test]
    fn a_new_reason_keeps_the_time_of_the_transition() {
        use ConditionStatus::True;
        let mut conditions = Vec::new();
        set(&mut conditions, "Failed", True, "R", 1);
        assert!(set(&mut conditions, "Failed", True, "Other", 2));
        assert_eq!(seconds(&conditions[0]), (1, 2));
    }
}
