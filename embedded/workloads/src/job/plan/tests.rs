use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn job(spec: Value) -> Value {
    let mut job = json!({
        "metadata": { "name": "j", "uid": "u", "creationTimestamp": "1970-01-01T00:00:00Z" },
        "spec": { "parallelism": 1, "completions": 1, "backoffLimit": 1 },
        "status": {},
    });
    for (key, value) in spec.as_object().unwrap() {
        match value {
            Value::Null => job["spec"].as_object_mut().unwrap().remove(key),
            value => job["spec"]
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), value.clone()),
        };
    }
    job
}

/// Pods in words: `a` active, `r` ready, `s` succeeded, `f` failed at second 10, `d` being deleted,
/// `x` failed because the node was stopped, `e` could not be started, `2` restarted twice.
fn pods(text: &str) -> Vec<PodView> {
    let pod = |(index, kind): (usize, char)| PodView {
        name: format!("p{index}"),
        attempt: index as u32,
        index: None,
        phase: match kind {
            's' => Phase::Succeeded,
            'f' | 'x' | 'e' => Phase::Failed,
            _ => Phase::Active,
        },
        ready: kind == 'r',
        deleting: kind == 'd',
        ended: "sfxe".contains(kind).then(|| at(10)),
        start_error: (kind == 'e').then(|| "program not found: x".to_owned()),
        restarts: if kind == '2' { 2 } else { 0 },
        disrupted: kind == 'x',
    };
    text.chars().enumerate().map(pod).collect()
}

fn plan_at(job: &Value, text: &str, creating: usize, second: i64) -> Plan {
    let pods = pods(text);
    plan(&Situation {
        job,
        pods: pods.iter().collect(),
        creating: vec![None; creating],
        now: at(second),
    })
}

/// The plan of an indexed Job of four parts, two at a time; each pod comes with its index.
fn indexed(status: Value, text: &str, indexes: &[u32], creating: &[u32]) -> Plan {
    let spec = json!({ "completionMode": "Indexed", "completions": 4, "parallelism": 2 });
    let mut job = job(spec);
    job["status"] = status;
    let mut pods = pods(text);
    for (pod, index) in pods.iter_mut().zip(indexes) {
        pod.index = Some(*index);
    }
    plan(&Situation {
        job: &job,
        pods: pods.iter().collect(),
        creating: creating.iter().copied().map(Some).collect(),
        now: at(100),
    })
}

/// The plan in words: pods created, pods deleted, conditions in the status, counts, wake.
fn words(plan: &Plan) -> String {
    let mut words = Vec::new();
    if plan.create > 0 {
        words.push(format!("create {}", plan.create));
    }
    for action in &plan.actions {
        match action {
            Action::DeletePod(name) => words.push(format!("delete {name}")),
            Action::DeleteJob => words.push("delete job".into()),
            Action::Event(_) => {}
        }
    }
    if let Some(status) = &plan.status {
        for condition in status["conditions"].as_array().into_iter().flatten() {
            let on = if condition["status"] == "True" {
                ""
            } else {
                "not "
            };
            let (kind, reason) = (&condition["type"], &condition["reason"]);
            words.push(format!(
                "{on}{}:{}",
                kind.as_str().unwrap(),
                reason.as_str().unwrap()
            ));
        }
        for field in ["active", "ready", "terminating", "succeeded", "failed"] {
            if let Some(count @ 1..) = status[field].as_u64() {
                words.push(format!("{field}={count}"));
            }
        }
    }
    if let Some(wake) = plan.wake_after {
        words.push(format!("wake {}", wake.as_secs()));
    }
    words.join(" ")
}

fn check(spec: Value, pods: &str, second: i64, expected: &str) {
    let plan = plan_at(&job(spec.clone()), pods, 0, second);
    assert_eq!(words(&plan), expected, "{spec} {pods:?} at {second}");
}

#[test]
fn a_job_of_one_pod_runs_once() {
    check(json!({}), "", 0, "create 1 active=1");
    check(json!({}), "a", 1, "active=1");
    check(json!({}), "r", 1, "active=1 ready=1");
    check(
        json!({}),
        "s",
        11,
        "SuccessCriteriaMet:CompletionsReached Complete:CompletionsReached succeeded=1",
    );
}

#[test]
fn a_pod_that_is_being_created_is_not_created_again() {
    let plan = plan_at(&job(json!({})), "", 1, 0);
    assert_eq!((plan.create, words(&plan).as_str()), (0, "active=1"));
}

#[test]
fn failures_are_tried_again_with_a_growing_wait_up_to_the_limit() {
    check(json!({ "backoffLimit": 3 }), "f", 10, "failed=1 wake 1");
    check(
        json!({ "backoffLimit": 3 }),
        "f",
        11,
        "create 1 active=1 failed=1",
    );
    check(json!({ "backoffLimit": 3 }), "fff", 11, "failed=3 wake 3");
    let over = "FailureTarget:BackoffLimitExceeded Failed:BackoffLimitExceeded";
    check(json!({}), "ff", 11, &format!("{over} failed=2"));
    check(
        json!({ "backoffLimit": 0 }),
        "f",
        11,
        &format!("{over} failed=1"),
    );
}

#[test]
fn restarts_inside_a_pod_count_towards_the_limit() {
    let spec = |limit: u64, policy: &str| {
        let template = json!({ "spec": { "restartPolicy": policy } });
        json!({ "backoffLimit": limit, "template": template })
    };
    check(spec(3, "OnFailure"), "2", 1, "active=1");
    let over = "delete p0 FailureTarget:BackoffLimitExceeded active=1";
    check(spec(2, "OnFailure"), "2", 1, over);
    // Where containers don't start again these are restarts of sidecars.
    check(spec(2, "Never"), "2", 1, "active=1");
}

#[test]
fn no_more_pods_are_made_at_once_than_can_be_held() {
    let many = json!({ "parallelism": 2_000_000_000, "completions": null });
    let mut plan = plan_at(&job(many), "", 0, 0);
    assert_eq!(
        (plan.create, &plan.status.as_ref().unwrap()["active"]),
        (500, &json!(500))
    );
    // What is refused is not there.
    plan.forgo_pods();
    assert_eq!((plan.create, plan.status.unwrap().get("active")), (0, None));
}

#[test]
fn a_job_that_shrinks_loses_the_parts_that_are_wanted_no_more() {
    let spec = json!({ "completionMode": "Indexed", "completions": 2, "parallelism": 2 });
    let mut pods = pods("aaaa");
    for (pod, index) in pods.iter_mut().zip([3, 2, 1, 0]) {
        pod.index = Some(index);
    }
    let plan = plan(&Situation {
        job: &job(spec),
        pods: pods.iter().collect(),
        creating: Vec::new(),
        now: at(1),
    });
    let gone = ["p1", "p0"].map(|name| Action::DeletePod(name.to_owned()));
    assert_eq!(plan.actions, gone);
}

#[test]
fn a_program_that_cannot_start_ends_the_job_at_once_with_its_text() {
    check(
        json!({ "backoffLimit": 6 }),
        "e",
        10,
        "FailureTarget:StartError Failed:StartError failed=1",
    );
    let plan = plan_at(&job(json!({ "backoffLimit": 6 })), "e", 0, 10);
    let status = plan.status.unwrap();
    assert_eq!(status["conditions"][1]["message"], "program not found: x");
}

#[test]
fn a_pod_that_the_node_stopped_is_replaced_and_not_counted() {
    check(json!({ "backoffLimit": 0 }), "x", 10, "create 1 active=1");
}

#[test]
fn parallelism_and_completions_bound_the_pods() {
    check(
        json!({ "parallelism": 3, "completions": 5 }),
        "",
        0,
        "create 3 active=3",
    );
    check(
        json!({ "parallelism": 3, "completions": 5 }),
        "ssa",
        1,
        "create 2 active=3 succeeded=2",
    );
    check(
        json!({ "parallelism": 3, "completions": 5 }),
        "ssssa",
        1,
        "active=1 succeeded=4",
    );
    check(
        json!({ "parallelism": 1, "completions": 5 }),
        "aaa",
        1,
        "delete p2 delete p1 active=3",
    );
    check(json!({ "parallelism": 0 }), "a", 1, "delete p0 active=1");
}

#[test]
fn without_completions_one_success_ends_it_when_all_have_ended() {
    let spec = json!({ "parallelism": 2, "completions": null });
    check(spec.clone(), "", 0, "create 2 active=2");
    check(spec.clone(), "sa", 1, "active=1 succeeded=1");
    check(
        spec,
        "ss",
        1,
        "SuccessCriteriaMet:CompletionsReached Complete:CompletionsReached succeeded=2",
    );
}

#[test]
fn a_deadline_ends_the_job_after_its_pods() {
    let spec = json!({ "activeDeadlineSeconds": 5 });
    check(spec.clone(), "a", 2, "active=1 wake 3");
    check(
        spec.clone(),
        "a",
        5,
        "delete p0 FailureTarget:DeadlineExceeded active=1",
    );
    let mut ending = job(spec);
    ending["status"] = plan_at(&ending, "a", 0, 5).status.unwrap();
    let waiting = plan_at(&ending, "d", 0, 6);
    assert_eq!(
        words(&waiting),
        "FailureTarget:DeadlineExceeded terminating=1"
    );
    let over = plan_at(&ending, "", 0, 6);
    assert_eq!(
        words(&over),
        "FailureTarget:DeadlineExceeded Failed:DeadlineExceeded"
    );
}

#[test]
fn a_suspended_job_has_no_pods_until_it_is_resumed() {
    let spec = json!({ "suspend": true, "activeDeadlineSeconds": 5 });
    check(
        spec.clone(),
        "a",
        50,
        "delete p0 Suspended:JobSuspended active=1",
    );
    let mut resumed = job(json!({ "activeDeadlineSeconds": 5 }));
    resumed["status"] = plan_at(&job(spec), "", 0, 50).status.unwrap();
    resumed["metadata"]["creationTimestamp"] = json!("1970-01-01T00:01:39Z");
    let plan = plan_at(&resumed, "", 0, 100);
    assert_eq!(
        words(&plan),
        "create 1 not Suspended:JobResumed active=1 wake 4"
    );
    assert_eq!(plan.status.unwrap()["startTime"], "1970-01-01T00:01:40Z");
}

#[test]
fn a_finished_job_goes_when_its_time_is_over() {
    let mut done = job(json!({ "ttlSecondsAfterFinished": 10 }));
    done["status"] = plan_at(&done, "s", 0, 11).status.unwrap();
    assert_eq!(words(&plan_at(&done, "s", 0, 15)), "wake 6");
    assert_eq!(words(&plan_at(&done, "sa", 0, 21)), "delete p1 delete job");
}

#[test]
fn counts_survive_the_removal_of_pods() {
    let mut running = job(json!({ "completions": 3 }));
    running["status"] = json!({ "succeeded": 2 });
    assert_eq!(
        words(&plan_at(&running, "", 0, 1)),
        "create 1 active=1 succeeded=2"
    );
}

#[test]
fn each_part_of_an_indexed_job_is_done_once() {
    assert_eq!(indexed(json!({}), "", &[], &[]).indexes, [0, 1]);
    assert_eq!(indexed(json!({}), "a", &[0], &[1]).indexes, [0; 0]);
    assert_eq!(indexed(json!({}), "sa", &[1, 0], &[]).indexes, [2]);
    // Who failed is tried again; who succeeded and is gone stays counted.
    let counted = || json!({ "completedIndexes": "0,2" });
    let plan = indexed(counted(), "f", &[1], &[]);
    assert_eq!(plan.indexes, [1, 3]);
    let plan = indexed(counted(), "sa", &[1, 3], &[]);
    let status = plan.status.unwrap();
    assert_eq!(status["completedIndexes"], "0-2");
    assert_eq!(status["succeeded"], 3);
    let last = indexed(counted(), "ss", &[1, 3], &[]);
    let status = last.status.unwrap();
    assert_eq!(status["completedIndexes"], "0-3");
    assert!(status::has(&json!({ "status": status }), "Complete"));
}

proptest! {
    #[test]
    fn a_job_never_has_more_pods_than_it_may_and_planning_twice_changes_nothing(
        parallelism in 0u64..5,
        completions in 1u64..6,
        backoff in 0u64..4,
        text in "[arsfdx]{0,8}",
        creating in 0usize..3,
    ) {
        let spec = json!({
            "parallelism": parallelism, "completions": completions, "backoffLimit": backoff,
        });
        let mut job = job(spec);
        let first = plan_at(&job, &text, creating, 1000);
        let active = text.chars().filter(|c| "ar".contains(*c)).count() + creating;
        prop_assert!(first.create == 0 || (active + first.create) as u64 <= parallelism);
        if let Some(status) = first.status {
            job["status"] = status;
        }
        let text: String = text.chars().chain("a".repeat(first.create).chars()).collect();
        let second = plan_at(&job, &text, creating, 1000);
        prop_assert_eq!(second.create, 0);
        prop_assert_eq!(second.status, None);
    }
}
