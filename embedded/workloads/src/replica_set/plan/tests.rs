use pretty_assertions::assert_eq;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Pods in words: `p` pending, `w` running and not ready, `r` ready since second 0, `t` being
/// deleted, `f` failed at second 10, `x` ended by the node. Their times are their places.
fn pods(text: &str) -> Vec<Replica> {
    let pod = |(index, kind): (usize, char)| Replica {
        name: format!("p{index}"),
        life: match kind {
            't' => Life::Terminating,
            'f' => Life::Ended,
            'x' => Life::Disrupted,
            _ => Life::Active,
        },
        running: "wr".contains(kind),
        ready: (kind == 'r').then(|| at(0)),
        created: at(index as i64),
        ended: "fx".contains(kind).then(|| at(10)),
    };
    text.chars().enumerate().map(pod).collect()
}

fn set(replicas: u64, min_ready: u64) -> Value {
    json!({
        "metadata": { "name": "r", "generation": 3 },
        "spec": { "replicas": replicas, "minReadySeconds": min_ready },
    })
}

fn check(text: &str, replicas: u64, second: i64, expected: &str) {
    let (set, pods) = (set(replicas, 0), pods(text));
    let plan = plan(&Situation {
        set: &set,
        pods: &pods,
        now: at(second),
    });
    let mut words = vec![format!("create {}", plan.create)];
    words.extend(plan.delete.iter().map(|name| format!("delete {name}")));
    words.extend(plan.sweep.iter().map(|name| format!("sweep {name}")));
    words.extend(
        plan.again
            .map(|wait| format!("again in {}", wait.as_secs())),
    );
    assert_eq!(
        words.join(", "),
        expected,
        "{text:?} {replicas} at {second}"
    );
}

#[test]
fn as_many_pods_are_made_as_lack() {
    check("", 3, 0, "create 3");
    check("rwp", 3, 0, "create 0");
    check("r", 3, 0, "create 2");
    // One that ends makes room at once.
    check("rt", 2, 0, "create 1");
    check("x", 1, 100, "create 1, sweep p0");
}

#[test]
fn of_too_many_those_of_least_use_go() {
    check("rwp", 2, 0, "create 0, delete p2");
    check("rwp", 1, 0, "create 0, delete p2, delete p1");
    check("rr", 1, 0, "create 0, delete p1");
    check("rrr", 0, 0, "create 0, delete p2, delete p1, delete p0");
}

#[test]
fn pods_that_keep_ending_are_made_ever_more_slowly() {
    check("f", 1, 10, "create 0, again in 1");
    check("f", 1, 11, "create 1");
    check("fff", 1, 11, "create 0, again in 3");
    check("fffffffffff", 1, 10, "create 0, sweep p0, again in 300");
}

#[test]
fn a_pod_counts_as_available_after_a_while() {
    let (set, pods) = (set(1, 5), pods("r"));
    let seen = |second| Situation {
        set: &set,
        pods: &pods,
        now: at(second),
    };
    assert_eq!(plan(&seen(2)).again, Some(Duration::from_secs(3)));
    assert_eq!(status(&seen(2), 1, None)["availableReplicas"], Value::Null);
    assert_eq!(plan(&seen(5)).again, None);
    assert_eq!(status(&seen(5), 1, None)["availableReplicas"], 1);
}

#[test]
fn the_status_counts_pods_that_have_not_ended() {
    let (set, pods) = (set(3, 0), pods("rwptf"));
    let seen = Situation {
        set: &set,
        pods: &pods,
        now: at(20),
    };
    assert_eq!(
        status(&seen, 2, None),
        json!({
            "replicas": 3, "fullyLabeledReplicas": 2, "readyReplicas": 1, "availableReplicas": 1,
            "observedGeneration": 3, "terminatingReplicas": 1,
        })
    );
    let failed = status(&seen, 2, Some("no"));
    assert_eq!(failed["conditions"][0]["reason"], "FailedCreate");
}

#[test]
fn one_that_is_being_deleted_is_left_alone() {
    let mut set = set(3, 0);
    set["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(
        plan(&Situation {
            set: &set,
            pods: &[],
            now: at(0)
        }),
        Plan::default()
    );
}
