//! What a StatefulSet needs next. Pure: looks at it and its pods, changes nothing, reads no clock.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::object::{is_deleting, number};
use crate::replica::{Life, Replica, remaining};

/// The wait before a pod that ended by itself is made again.
const BACKOFF: Duration = Duration::from_secs(10);

/// A pod with a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    /// Its number.
    pub(super) ordinal: u64,
    /// The revision it was made from.
    pub(super) revision: String,
    /// The pod.
    pub(super) replica: Replica,
}

/// A StatefulSet as it is seen.
pub(super) struct Situation<'a> {
    /// The StatefulSet.
    pub(super) set: &'a Value,
    /// Its pods.
    pub(super) pods: &'a [Member],
    /// The revision that pods are brought from.
    pub(super) current: &'a str,
    /// The revision that pods are brought to.
    pub(super) update: &'a str,
    /// How long numbers whose pods are gone still rest.
    pub(super) resting: &'a HashMap<u64, Duration>,
    /// Now.
    pub(super) now: Timestamp,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// The pods to make, and whether from the newest revision.
    pub(super) create: Vec<(u64, bool)>,
    /// The pods to delete.
    pub(super) delete: Vec<u64>,
    /// The numbers that are not wanted any more.
    pub(super) condemned: Vec<u64>,
    /// When to look again.
    pub(super) again: Option<Duration>,
}

impl Situation<'_> {
    fn spec(&self) -> &Value {
        &self.set["spec"]
    }

    fn least(&self) -> Duration {
        Duration::from_secs(number(&self.spec()["minReadySeconds"], 0))
    }

    fn wanted(&self) -> std::ops::Range<u64> {
        let start = number(&self.spec()["ordinals"]["start"], 0);
        start..start + number(&self.spec()["replicas"], 1)
    }

    /// From this number on pods are brought to the newest revision.
    fn partition(&self) -> u64 {
        let rolling = &self.spec()["updateStrategy"]["rollingUpdate"];
        self.wanted().start + number(&rolling["partition"], 0)
    }

    fn rolls(&self) -> bool {
        self.spec()["updateStrategy"]["type"] != "OnDelete"
    }

    fn is_available(&self, member: &Member) -> bool {
        member.replica.is_active() && member.replica.is_available(self.least(), self.now)
    }

    fn find(&self, ordinal: u64) -> Option<&Member> {
        self.pods.iter().find(|member| member.ordinal == ordinal)
    }
}

/// Says what a StatefulSet needs.
pub(super) fn plan(seen: &Situation<'_>) -> Plan {
    let mut plan = Plan::default();
    if is_deleting(seen.set) {
        return plan;
    }
    let ripe = seen.pods.iter();
    plan.again = ripe
        .filter_map(|m| m.replica.available_in(seen.least(), seen.now))
        .min();
    let settled = fill(seen, &mut plan) && shrink(seen, &mut plan);
    if settled && plan.create.is_empty() && plan.delete.is_empty() && seen.rolls() {
        plan.delete.extend(outdated(seen));
    }
    plan
}

fn is_in_order(seen: &Situation<'_>) -> bool {
    seen.spec()["podManagementPolicy"] != "Parallel"
}

/// Makes the pods that lack; returns whether later steps may go on.
fn fill(seen: &Situation<'_>, plan: &mut Plan) -> bool {
    let in_order = is_in_order(seen);
    let mut complete = true;
    for ordinal in seen.wanted() {
        let Some(member) = seen.find(ordinal) else {
            if let Some(wait) = seen.resting.get(&ordinal) {
                plan.again = plan.again.into_iter().chain([*wait]).min();
                complete = false;
            } else {
                let newest =
                    !seen.rolls() || ordinal >= seen.partition() || seen.current == seen.update;
                plan.create.push((ordinal, newest));
            }
            if in_order {
                return false;
            }
            continue;
        };
        match member.replica.life {
            Life::Active | Life::Terminating => {}
            Life::Disrupted => plan.delete.push(ordinal),
            Life::Ended => match remaining(member.replica.created, BACKOFF, seen.now) {
                Duration::ZERO => plan.delete.push(ordinal),
                wait => plan.again = plan.again.into_iter().chain([wait]).min(),
            },
        }
        // Each waits for the one before it.
        if in_order && !seen.is_available(member) && !is_stuck(seen, member) {
            return false;
        }
    }
    complete
}

/// Whether a pod does not come up because of a template that has been replaced: it is not waited
/// for, or a mistake could never be mended.
fn is_stuck(seen: &Situation<'_>, member: &Member) -> bool {
    member.replica.is_active()
        && seen.rolls()
        && member.ordinal >= seen.partition()
        && member.revision != seen.update
}

/// Deletes the pods that are too many, the last one first.
fn shrink(seen: &Situation<'_>, plan: &mut Plan) -> bool {
    let wanted = seen.wanted();
    let mut surplus: Vec<&Member> = seen
        .pods
        .iter()
        .filter(|m| !wanted.contains(&m.ordinal))
        .collect();
    surplus.sort_by_key(|member| std::cmp::Reverse(member.ordinal));
    for member in &surplus {
        plan.condemned.push(member.ordinal);
        if member.replica.life != Life::Terminating {
            plan.delete.push(member.ordinal);
        }
        if is_in_order(seen) {
            return false;
        }
    }
    surplus.is_empty()
}

/// The pod that is brought to the newest revision next: from the last one down, one at a time.
fn outdated(seen: &Situation<'_>) -> Option<u64> {
    let mut members: Vec<&Member> = seen.pods.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.ordinal));
    for member in members
        .into_iter()
        .filter(|m| m.ordinal >= seen.partition())
    {
        if member.revision != seen.update {
            return member.replica.is_active().then_some(member.ordinal);
        }
        if !seen.is_available(member) {
            return None;
        }
    }
    None
}

/// The status of a StatefulSet with these pods.
pub(super) fn status(seen: &Situation<'_>, collisions: u64) -> Value {
    let there = |m: &&Member| matches!(m.replica.life, Life::Active | Life::Terminating);
    let count = |of: &dyn Fn(&Member) -> bool| {
        seen.pods.iter().filter(there).filter(|m| of(m)).count() as u64
    };
    let all = count(&|_| true);
    let ready = count(&|m| m.replica.is_active() && m.replica.ready.is_some());
    let updated = count(&|m| m.replica.is_active() && m.revision == seen.update);
    let wanted = number(&seen.spec()["replicas"], 1);
    // When all are new, the newest revision is the current one.
    let is_done = seen.rolls() && updated == wanted && ready == wanted && all == wanted;
    let current = if is_done { seen.update } else { seen.current };
    let mut status = Map::new();
    status.insert(
        "observedGeneration".into(),
        seen.set["metadata"]["generation"].clone(),
    );
    status.insert("replicas".into(), json!(all));
    status.insert(
        "availableReplicas".into(),
        json!(count(&|m| seen.is_available(m))),
    );
    status.insert("currentRevision".into(), json!(current));
    status.insert("updateRevision".into(), json!(seen.update));
    status.insert("collisionCount".into(), json!(collisions));
    for (field, count) in [
        ("readyReplicas", ready),
        ("updatedReplicas", updated),
        (
            "currentReplicas",
            count(&|m| m.replica.is_active() && m.revision == current),
        ),
    ] {
        if count > 0 {
            status.insert(field.into(), json!(count));
        }
    }
    Value::Object(status)
}

#[cfg(test)]
mod tests;
