use pretty_assertions::assert_eq;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Pods in words, by number: `r` ready, `p` not ready, `t` being deleted, `f` failed, `x` ended by the
/// node, `.` none; in upper case those of the newest revision.
fn members(text: &str) -> Vec<Member> {
    let member = |(ordinal, letter): (usize, char)| {
        let kind = letter.to_ascii_lowercase();
        let replica = Replica {
            name: format!("s-{ordinal}"),
            life: match kind {
                't' => Life::Terminating,
                'f' => Life::Ended,
                'x' => Life::Disrupted,
                _ => Life::Active,
            },
            running: kind == 'r',
            ready: (kind == 'r').then(|| at(0)),
            created: at(0),
            ended: None,
        };
        let revision = if letter.is_uppercase() { "new" } else { "old" };
        (letter != '.').then(|| Member {
            ordinal: ordinal as u64,
            revision: revision.to_owned(),
            replica,
        })
    };
    text.chars().enumerate().filter_map(member).collect()
}

fn words(text: &str, spec: &Value, second: i64) -> String {
    // `,` is none that rests.
    let rests = text
        .chars()
        .enumerate()
        .filter(|(_, letter)| *letter == ',');
    let resting = rests
        .map(|(i, _)| (i as u64, Duration::from_secs(2)))
        .collect();
    let pods = members(&text.replace(',', "."));
    let set = json!({ "metadata": { "name": "s" }, "spec": spec });
    let seen = Situation {
        set: &set,
        pods: &pods,
        current: "old",
        update: "new",
        resting: &resting,
        now: at(second),
    };
    let plan = plan(&seen);
    let mut words = Vec::new();
    words.extend(
        plan.create
            .iter()
            .map(|(i, newest)| format!("+{i}{}", if *newest { "" } else { " old" })),
    );
    words.extend(plan.delete.iter().map(|i| format!("-{i}")));
    words.extend(plan.again.map(|wait| format!("in {}", wait.as_secs())));
    words.join(" ")
}

#[test]
fn pods_are_made_one_after_the_other_or_all_at_once() {
    let (ordered, parallel) = (
        json!({ "replicas": 3 }),
        json!({ "replicas": 3, "podManagementPolicy": "Parallel" }),
    );
    let check = |text: &str, in_order: &str, at_once: &str| {
        assert_eq!(words(text, &ordered, 0), in_order, "{text}");
        assert_eq!(words(text, &parallel, 0), at_once, "{text}");
    };
    check("", "+0", "+0 +1 +2");
    check("P", "", "+1 +2");
    check("R", "+1", "+1 +2");
    check("R.R", "+1", "+1");
    check("RRR", "", "");
    check("TRR", "", "");
    // What rests comes later, and nothing is updated until then.
    check(",RR", "in 2", "in 2");
    check("R,", "in 2", "+2 in 2");
    check(",rr", "in 2", "in 2");
}

#[test]
fn the_last_go_first() {
    let two = json!({ "replicas": 2 });
    assert_eq!(words("RRRR", &two, 0), "-3");
    assert_eq!(words("RRRT", &two, 0), "");
    assert_eq!(words("RRR", &two, 0), "-2");
    let parallel = json!({ "replicas": 1, "podManagementPolicy": "Parallel" });
    assert_eq!(words("RRR", &parallel, 0), "-2 -1");
}

#[test]
fn an_update_goes_from_the_last_to_the_partition() {
    let three = json!({ "replicas": 3 });
    assert_eq!(words("rrr", &three, 0), "-2");
    assert_eq!(words("rrP", &three, 0), "");
    assert_eq!(words("rrR", &three, 0), "-1");
    assert_eq!(words("rRR", &three, 0), "-0");
    let partition =
        json!({ "replicas": 3, "updateStrategy": { "rollingUpdate": { "partition": 2 } } });
    assert_eq!(words("rrr", &partition, 0), "-2");
    assert_eq!(words("rrR", &partition, 0), "");
    assert_eq!(words(".rR", &partition, 0), "+0 old");
    let by_hand = json!({ "replicas": 3, "updateStrategy": { "type": "OnDelete" } });
    assert_eq!(words("rrr", &by_hand, 0), "");
    assert_eq!(words("rr", &by_hand, 0), "+2");
    // One that never came up does not hold its successor back.
    assert_eq!(words("rrp", &three, 0), "-2");
}

#[test]
fn pods_that_ended_are_made_again() {
    let one = json!({ "replicas": 1 });
    assert_eq!(words("X", &one, 0), "-0");
    assert_eq!(words("F", &one, 4), "in 6");
    assert_eq!(words("F", &one, 10), "-0");
}

#[test]
fn the_newest_revision_is_current_when_all_pods_have_it() {
    let status_of = |text: &str| {
        let pods = members(text);
        let set = json!({ "metadata": { "generation": 2 }, "spec": { "replicas": 2 } });
        let seen = Situation {
            set: &set,
            pods: &pods,
            current: "old",
            update: "new",
            resting: &HashMap::new(),
            now: at(0),
        };
        status(&seen, 0)
    };
    let half = status_of("rR");
    assert_eq!(
        (&half["currentRevision"], &half["updatedReplicas"]),
        (&json!("old"), &json!(1))
    );
    let whole = status_of("RR");
    assert_eq!(
        (&whole["currentRevision"], &whole["currentReplicas"]),
        (&json!("new"), &json!(2))
    );
    assert_eq!(whole["availableReplicas"], 2);
}
