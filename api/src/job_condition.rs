//! How the end of the object that runs a trial is recognised: GJSON paths over its JSON.

use serde_json::Value;

/// What the conditions say about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobCondition {
    /// The success condition found something.
    Succeeded(JobReason),
    /// The failure condition found something.
    Failed(JobReason),
    /// Neither did.
    Running,
}

/// What the object says about its end. Empty texts where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobReason {
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Evaluates the failure condition, then the success condition, over `object`. A condition holds
/// when it finds an object, a non-empty array or `true`; the first element found tells reason and
/// message, if it is an object that has them.
pub fn job_condition(object: &Value, success: &str, failure: &str) -> JobCondition {
    let json = object.to_string();
    if let Some(reason) = find(&json, failure) {
        return JobCondition::Failed(reason);
    }
    find(&json, success).map_or(JobCondition::Running, JobCondition::Succeeded)
}

fn find(json: &str, path: &str) -> Option<JobReason> {
    if path.is_empty() {
        return None;
    }
    // The result is read by serde, so that a path into nowhere and an empty text are alike.
    let found: Value = serde_json::from_str(gjson::get(json, path).json()).ok()?;
    let first = match &found {
        Value::Array(elements) => elements.first()?,
        Value::Object(_) | Value::Bool(true) => &found,
        _ => return None,
    };
    let text = |key| {
        first
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some(JobReason {
        reason: text("reason"),
        message: text("message"),
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::{JobCondition, JobReason, job_condition};

    const COMPLETE: &str = r#"status.conditions.#(type=="Complete")#|#(status=="True")#"#;
    const FAILED: &str = r#"status.conditions.#(type=="Failed")#|#(status=="True")#"#;

    fn because(reason: &str, message: &str) -> JobReason {
        JobReason {
            reason: reason.into(),
            message: message.into(),
        }
    }

    #[track_caller]
    fn check(object: Value, success: &str, failure: &str, expected: JobCondition) {
        assert_eq!(
            job_condition(&object, success, failure),
            expected,
            "{object}"
        );
    }

    #[test]
    fn a_job_ends_by_its_conditions() {
        let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": "R", "message": "M"});
        let job = |conditions: Value| json!({"kind": "Job", "status": {"conditions": conditions}});
        let found = because("R", "M");
        for (conditions, expected) in [
            (json!([]), JobCondition::Running),
            (
                json!([condition("Complete", "False")]),
                JobCondition::Running,
            ),
            (
                json!([condition("Suspended", "True")]),
                JobCondition::Running,
            ),
            (
                json!([
                    condition("Suspended", "True"),
                    condition("Complete", "True")
                ]),
                JobCondition::Succeeded(found.clone()),
            ),
            (
                json!([condition("Failed", "True")]),
                JobCondition::Failed(found.clone()),
            ),
            (
                json!([condition("Complete", "True"), condition("Failed", "True")]),
                JobCondition::Failed(found.clone()),
            ),
        ] {
            check(job(conditions), COMPLETE, FAILED, expected);
        }
        check(
            json!({"kind": "Job"}),
            COMPLETE,
            FAILED,
            JobCondition::Running,
        );
        check(
            json!({"status": {}}),
            COMPLETE,
            FAILED,
            JobCondition::Running,
        );
    }

    #[test]
    fn reason_and_message_may_be_missing() {
        let job = json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        check(
            job,
            COMPLETE,
            FAILED,
            JobCondition::Succeeded(JobReason::default()),
        );
    }

    #[test]
    fn an_argo_workflow_ends_by_its_phase() {
        let success = r#"status.[@this].#(phase=="Succeeded")#"#;
        let failure = r#"status.[@this].#(phase=="Failed")#"#;
        let workflow = |phase: &str| json!({"status": {"phase": phase, "message": "child failed"}});
        let found = because("", "child failed");
        check(
            workflow("Succeeded"),
            success,
            failure,
            JobCondition::Succeeded(found.clone()),
        );
        check(
            workflow("Failed"),
            success,
            failure,
            JobCondition::Failed(found),
        );
        check(workflow("Running"), success, failure, JobCondition::Running);
    }

    #[test]
    fn scalars_count_where_they_can_only_mean_yes() {
        let none = JobReason::default();
        for (done, expected) in [
            (json!(true), JobCondition::Succeeded(none.clone())),
            (json!([true]), JobCondition::Succeeded(none.clone())),
            (json!(["x"]), JobCondition::Succeeded(none)),
            (
                json!({"reason": "Fine"}),
                JobCondition::Succeeded(because("Fine", "")),
            ),
            (json!(false), JobCondition::Running),
            (json!(0), JobCondition::Running),
            (json!("yes"), JobCondition::Running),
            (json!(null), JobCondition::Running),
            (json!([]), JobCondition::Running),
        ] {
            check(json!({"done": done}), "done", "failed", expected);
        }
    }

    #[test]
    fn no_condition_finds_nothing() {
        check(json!({"a": 1}), "", "", JobCondition::Running);
    }
}
