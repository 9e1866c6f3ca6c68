//! What a ReplicaSet needs next. Pure: looks at it and its pods, changes nothing, reads no clock.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::object::{is_deleting, metadata, number, time};
use crate::replica::{Life, Replica, remaining};

/// The wait after a pod that ended; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait after a pod that ended.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// As many pods that ended are kept to be looked at.
const KEPT: usize = 10;

/// A ReplicaSet as it is seen.
pub(super) struct Situation<'a> {
    /// The ReplicaSet.
    pub(super) set: &'a Value,
    /// Its pods.
    pub(super) pods: &'a [Replica],
    /// Now.
    pub(super) now: Timestamp,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// How many pods to create.
    pub(super) create: usize,
    /// The pods to delete because there are too many.
    pub(super) delete: Vec<String>,
    /// Pods that ended and are not worth keeping.
    pub(super) sweep: Vec<String>,
    /// When to look again.
    pub(super) again: Option<Duration>,
}

/// Says what a ReplicaSet needs.
pub(super) fn plan(situation: &Situation<'_>) -> Plan {
    let Situation { set, pods, now } = situation;
    if is_deleting(set) {
        return Plan::default();
    }
    let wanted = number(&set["spec"]["replicas"], 1) as usize;
    let mut active: Vec<&Replica> = pods.iter().filter(|pod| pod.is_active()).collect();
    let mut plan = Plan {
        sweep: sweep(pods),
        ..Plan::default()
    };
    if active.len() > wanted {
        // First those that are of least use, and of these the youngest.
        active.sort_by_key(|pod| {
            (
                pod.ready.is_some(),
                pod.running,
                Reverse(pod.ready),
                Reverse(pod.created),
            )
        });
        let surplus = active.len() - wanted;
        plan.delete = active
            .iter()
            .take(surplus)
            .map(|pod| pod.name.clone())
            .collect();
    } else if active.len() < wanted {
        match backoff(pods, *now) {
            Duration::ZERO => plan.create = wanted - active.len(),
            wait => plan.again = Some(wait),
        }
    }
    let least = min_ready(set);
    let ripe = pods
        .iter()
        .filter_map(|pod| pod.available_in(least, *now))
        .min();
    plan.again = plan.again.into_iter().chain(ripe).min();
    plan
}

/// How long a pod has to be ready until it counts as available.
pub(super) fn min_ready(set: &Value) -> Duration {
    Duration::from_secs(number(&set["spec"]["minReadySeconds"], 0))
}

/// How long to wait until another pod is made: programs that can't be started end at once.
fn backoff(pods: &[Replica], now: Timestamp) -> Duration {
    let ended = || pods.iter().filter(|pod| pod.life == Life::Ended);
    let Some(last) = ended().filter_map(|pod| pod.ended).max() else {
        return Duration::ZERO;
    };
    let doublings = ended().count().saturating_sub(1).min(16) as u32;
    remaining(
        last,
        (FIRST_BACKOFF * 2_u32.pow(doublings)).min(LONGEST_BACKOFF),
        now,
    )
}

/// Pods that the node ended are not to blame and have nothing to tell; of others the last are kept.
fn sweep(pods: &[Replica]) -> Vec<String> {
    let disrupted = pods.iter().filter(|pod| pod.life == Life::Disrupted);
    let mut ended: Vec<&Replica> = pods.iter().filter(|pod| pod.life == Life::Ended).collect();
    ended.sort_by_key(|pod| Reverse((pod.ended, pod.created)));
    let old = ended.into_iter().skip(KEPT);
    disrupted.chain(old).map(|pod| pod.name.clone()).collect()
}

/// The status that a ReplicaSet with these pods has. `failure` is why no pod could be made.
pub(super) fn status(situation: &Situation<'_>, labelled: usize, failure: Option<&str>) -> Value {
    let Situation { set, pods, now } = situation;
    let least = min_ready(set);
    let count = |of: &dyn Fn(&Replica) -> bool| pods.iter().filter(|pod| of(pod)).count();
    let mut status = Map::new();
    status.insert("replicas".into(), json!(count(&Replica::is_active)));
    let mut insert = |field: &str, count: usize| {
        if count > 0 {
            status.insert(field.into(), json!(count));
        }
    };
    insert("fullyLabeledReplicas", labelled);
    insert(
        "readyReplicas",
        count(&|pod| pod.is_active() && pod.ready.is_some()),
    );
    insert(
        "availableReplicas",
        count(&|pod| pod.is_active() && pod.is_available(least, *now)),
    );
    let generation = set["metadata"]["generation"].clone();
    status.insert("observedGeneration".into(), generation);
    let terminating = count(&|pod| pod.life == Life::Terminating);
    status.insert("terminatingReplicas".into(), json!(terminating));
    if let Some(message) = failure {
        let old = crate::object::condition(set, "ReplicaFailure");
        let since = old.map_or_else(|| time(*now), |c| c["lastTransitionTime"].clone());
        let condition = json!({
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
            "message": message, "lastTransitionTime": since,
        });
        status.insert("conditions".into(), json!([condition]));
    }
    Value::Object(status)
}

/// The pod that a ReplicaSet, or another controller with a template, makes.
pub(crate) fn pod(set: &Value, node: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut spec = template["spec"].clone();
    // There is one node, and a pod that has it is asked to end before it is removed.
    if spec["nodeName"].is_null() {
        spec["nodeName"] = json!(node);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("{}-", metadata(set, "name")),
            "namespace": metadata(set, "namespace"),
            "labels": template["metadata"]["labels"].as_object().cloned().unwrap_or_default(),
            "annotations": template["metadata"]["annotations"].as_object().cloned().unwrap_or_default(),
            "ownerReferences": [crate::object::reference(set)],
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests;
