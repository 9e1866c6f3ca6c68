use pretty_assertions::assert_eq;

use super::*;

fn cron(spec: Value, last: Option<&str>) -> Value {
    let mut cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": "c", "uid": "u", "creationTimestamp": "2026-01-01T00:00:30Z" },
        "spec": { "schedule": "*/5 * * * *", "timeZone": "UTC", "concurrencyPolicy": "Allow", "jobTemplate": { "spec": {} } },
        "status": {},
    });
    for (field, value) in spec.as_object().unwrap() {
        cron["spec"][field] = value.clone();
    }
    if let Some(last) = last {
        cron["status"]["lastScheduleTime"] = json!(last);
    }
    cron
}

fn job(name: &str, how: Option<&str>) -> Value {
    let conditions = how.map(|how| json!({ "type": how, "status": "True" }));
    json!({
        "metadata": { "name": name, "uid": name },
        "status": {
            "startTime": name, "completionTime": "2026-01-01T00:01:00Z",
            "conditions": conditions.into_iter().collect::<Vec<_>>(),
        },
    })
}

fn planned(cron: &Value, jobs: &[Value], now: &str) -> Plan {
    let jobs: Vec<&Value> = jobs.iter().collect();
    plan(&Situation {
        cron,
        jobs: &jobs,
        now: now.parse().unwrap(),
    })
}

/// The time for which a Job is made.
fn due(plan: &Plan) -> Option<&str> {
    plan.create.as_ref()?["metadata"]["annotations"][SCHEDULED].as_str()
}

#[test]
fn a_job_is_made_for_the_last_time_that_has_come() {
    let check = |last: Option<&str>, now: &str, expected: Option<&str>, again: u64| {
        let plan = planned(&cron(json!({}), last), &[], now);
        assert_eq!(due(&plan), expected, "{now}");
        assert_eq!(plan.again, Some(Duration::from_secs(again)), "{now}");
    };
    check(None, "2026-01-01T00:01:00Z", None, 240);
    check(
        None,
        "2026-01-01T00:05:00Z",
        Some("2026-01-01T00:05:00Z"),
        300,
    );
    check(
        Some("2026-01-01T00:05:00Z"),
        "2026-01-01T00:05:01Z",
        None,
        299,
    );
    // Of many that were missed only the last one is made up for.
    check(
        None,
        "2031-06-01T12:34:00Z",
        Some("2031-06-01T12:30:00Z"),
        60,
    );
    let plan = planned(&cron(json!({}), None), &[], "2026-01-01T00:05:00Z");
    assert_eq!(plan.create.unwrap()["metadata"]["name"], "c-29453765");
    assert_eq!(plan.status["lastScheduleTime"], "2026-01-01T00:05:00Z");
}

#[test]
fn a_time_long_past_is_not_made_up_for() {
    let cron = cron(json!({ "startingDeadlineSeconds": 10 }), None);
    assert_eq!(due(&planned(&cron, &[], "2026-01-01T00:05:11Z")), None);
    assert!(due(&planned(&cron, &[], "2026-01-01T00:05:09Z")).is_some());
}

#[test]
fn intervals_are_counted_from_the_last_time() {
    let cron = |last| cron(json!({ "schedule": "@every 90s" }), last);
    let plan = planned(&cron(None), &[], "2026-01-01T00:01:00Z");
    assert_eq!(
        (due(&plan), plan.again),
        (None, Some(Duration::from_mins(1)))
    );
    let plan = planned(&cron(None), &[], "2026-01-01T00:02:03Z");
    assert_eq!(due(&plan), Some("2026-01-01T00:02:00Z"));
    assert_eq!(plan.again, Some(Duration::from_secs(87)));
}

#[test]
fn a_suspended_one_makes_nothing() {
    let plan = planned(
        &cron(json!({ "suspend": true }), None),
        &[],
        "2026-01-01T01:00:00Z",
    );
    assert_eq!((plan.create, plan.again), (None, None));
}

#[test]
fn what_runs_may_be_left_alone_waited_for_or_replaced() {
    let now = "2026-01-01T00:05:00Z";
    let check = |policy: &str, made: bool, deleted: &[&str]| {
        let cron = cron(json!({ "concurrencyPolicy": policy }), None);
        let plan = planned(&cron, &[job("a", None)], now);
        assert_eq!(
            (plan.create.is_some(), plan.delete),
            (made, deleted.iter().map(|d| (*d).to_owned()).collect())
        );
    };
    check("Allow", true, &[]);
    check("Forbid", false, &[]);
    check("Replace", true, &["a"]);
}

#[test]
fn only_the_last_jobs_are_kept() {
    let cron = cron(
        json!({ "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0 }),
        None,
    );
    let jobs = [
        job("1", Some("Complete")),
        job("2", Some("Complete")),
        job("3", Some("Failed")),
        job("4", None),
    ];
    let plan = planned(&cron, &jobs, "2026-01-01T00:01:00Z");
    assert_eq!(plan.delete, ["1", "3"]);
    assert_eq!(plan.status["active"][0]["name"], "4");
    assert_eq!(plan.status["lastSuccessfulTime"], "2026-01-01T00:01:00Z");
}
