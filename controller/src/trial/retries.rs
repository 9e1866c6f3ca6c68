//! A run whose pods fail and that tries again: how many did. No I/O.

use diwan_api::trial::condition_type;
use diwan_api::{Conditions, TrialStatus};
use serde_json::Value;

/// The reason of the condition.
pub(super) const REASON: &str = "TrialRetrying";

/// The failed pods of a run that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retries {
    failed: u64,
    /// The run gives up after so many.
    most: Option<u64>,
}

impl Retries {
    /// Those of a run, by the fields of a Job; none where no pod has failed, or the run gives up.
    pub(super) fn of(run: &Value) -> Option<Self> {
        let failed = run.pointer("/status/failed")?.as_u64()?;
        let limit = run.pointer("/spec/backoffLimit").and_then(Value::as_u64);
        let conditions = run.pointer("/status/conditions").and_then(Value::as_array);
        let ends = conditions.into_iter().flatten().any(|condition| {
            let type_ = condition["type"].as_str().unwrap_or_default();
            matches!(type_, "FailureTarget" | "SuccessCriteriaMet") && condition["status"] == "True"
        });
        let goes_on = !ends && limit.is_none_or(|limit| failed <= limit);
        (failed > 0 && goes_on).then_some(Self {
            failed,
            most: limit.map(|limit| limit.saturating_add(1)),
        })
    }

    /// Whether the trial says so.
    pub(super) fn are_told(&self, status: Option<&TrialStatus>) -> bool {
        let said = status.and_then(|status| status.condition(condition_type::RUNNING));
        said.is_some_and(|said| said.reason == REASON && said.message.starts_with(&self.count()))
    }

    /// What the trial says, with why the last one failed.
    pub(super) fn message(&self, why: Option<&str>) -> String {
        let most = self
            .most
            .map(|most| format!(" (the run gives up after {most})"));
        let why = why.map(|why| format!("; the last: {why}"));
        format!(
            "{}{}{}",
            self.count(),
            most.unwrap_or_default(),
            why.unwrap_or_default()
        )
    }

    fn count(&self) -> String {
        match self.failed {
            1 => "1 pod has failed, and the run tries again".to_owned(),
            failed => format!("{failed} pods have failed, and the run tries again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(reason: &str, message: &str) -> TrialStatus {
        let condition = json!({
            "type": "Running", "status": "True", "reason": reason, "message": message,
        });
        serde_json::from_value(json!({"conditions": [condition]})).unwrap()
    }

    #[test]
    fn a_job_tries_again_until_it_gives_up() {
        let job = |failed: Value, limit: Value, condition: &str| {
            let conditions = json!([{"type": condition, "status": "True"}]);
            let status = json!({"failed": failed, "conditions": conditions});
            Retries::of(&json!({"spec": {"backoffLimit": limit}, "status": status}))
        };
        let message = |retries: Option<Retries>| retries.map(|retries| retries.message(None));
        let told = |text: &str| Some(text.to_owned());
        for (failed, limit, condition, expected) in [
            (json!(null), json!(6), "", None),
            (json!(0), json!(6), "", None),
            (
                json!(1),
                json!(6),
                "Suspended",
                told("1 pod has failed, and the run tries again (the run gives up after 7)"),
            ),
            (
                json!(2),
                json!(null),
                "",
                told("2 pods have failed, and the run tries again"),
            ),
            (json!(1), json!(0), "", None),
            (json!(7), json!(6), "", None),
            (json!(1), json!(6), "FailureTarget", None),
        ] {
            assert_eq!(message(job(failed, limit, condition)), expected);
        }
    }

    #[test]
    fn each_failure_is_told_once() {
        let retries = |failed: u64| Retries::of(&json!({"status": {"failed": failed}})).unwrap();
        let message = retries(1).message(Some("it broke"));
        assert_eq!(
            message,
            "1 pod has failed, and the run tries again; the last: it broke"
        );
        let status = says(REASON, &message);
        assert!(retries(1).are_told(Some(&status)));
        assert!(!retries(2).are_told(Some(&status)));
        assert!(!retries(1).are_told(Some(&says("TrialRunning", "Trial is running"))));
        assert!(!retries(1).are_told(None));
        let status = says(REASON, &retries(11).message(None));
        assert!(!retries(1).are_told(Some(&status)));
    }
}
