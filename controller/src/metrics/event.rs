//! What happens to experiments and trials, counted by namespace under Katib's names.
//!
//! The caches tell of each change once. An object that is seen for the first time counts for
//! nothing, so that a restart of the controllers repeats no event.

use diwan_api::experiment::condition_type as experiment;
use diwan_api::trial::condition_type as trial;
use diwan_api::{Condition, Conditions};
use kube::Resource;
use kube::core::object::HasStatus;
use prometheus_client::registry::Registry;

use super::{Counters, counters};
use crate::cache::Change;

/// The counters of one kind.
pub(super) struct Events {
    /// By the condition that becomes true.
    by_condition: Vec<(&'static str, Counters)>,
    deleted: Counters,
}

impl Events {
    pub(super) fn of_experiments(registry: &mut Registry) -> Self {
        let events = [
            (experiment::CREATED, "created"),
            (experiment::SUCCEEDED, "succeeded"),
            (experiment::FAILED, "failed"),
        ];
        Self::new(registry, "experiment", &events)
    }

    pub(super) fn of_trials(registry: &mut Registry) -> Self {
        let events = [
            (trial::CREATED, "created"),
            (trial::SUCCEEDED, "succeeded"),
            (trial::FAILED, "failed"),
            (trial::METRICS_UNAVAILABLE, "metrics_unavailable"),
        ];
        Self::new(registry, "trial", &events)
    }

    fn new(registry: &mut Registry, kind: &str, events: &[(&'static str, &str)]) -> Self {
        let mut counted = |event: &str| {
            let help = format!("How often an event befell {kind}s: {event}");
            counters(registry, &format!("katib_{kind}_{event}"), &help)
        };
        let by_condition = events.iter().map(|(type_, event)| (*type_, counted(event)));
        Self {
            by_condition: by_condition.collect(),
            deleted: counted("deleted"),
        }
    }

    /// Counts what a change tells.
    pub(super) fn count<K>(&self, change: &Change<K>)
    where
        K: Resource + HasStatus,
        K::Status: Conditions,
    {
        let Some(old) = &change.old else { return };
        let count = |counters: &Counters| {
            let label = [("namespace", change.key.namespace.clone())];
            counters.get_or_create(&label).inc();
        };
        match &change.new {
            Some(new) if new.meta().uid == old.meta().uid => {
                let (was, is) = (conditions(&**old), conditions(&**new));
                for (type_, counters) in &self.by_condition {
                    if holds(is, type_) && !holds(was, type_) {
                        count(counters);
                    }
                }
            }
            _ => count(&self.deleted),
        }
    }
}

/// The conditions of an object.
pub(super) fn conditions<K>(object: &K) -> &[Condition]
where
    K: HasStatus,
    K::Status: Conditions,
{
    object.status().map_or(&[], Conditions::conditions)
}

fn holds(conditions: &[Condition], type_: &str) -> bool {
    use diwan_api::ConditionStatus::True;
    let mut conditions = conditions.iter();
    conditions.any(|condition| condition.type_ == type_ && condition.status == True)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use diwan_api::Trial;
    use serde_json::json;

    use super::*;
    use crate::key::Key;

    fn trial(uid: &str, types: &[(&str, &str)]) -> Arc<Trial> {
        let conditions = types.iter();
        let conditions = conditions.map(|(type_, status)| json!({"type": type_, "status": status}));
        let trial = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
            "metadata": {"name": "a", "namespace": "team", "uid": uid},
            "spec": {}, "status": {"conditions": conditions.collect::<Vec<_>>()},
        });
        Arc::new(serde_json::from_value(trial).unwrap())
    }

    /// The counters that are not zero after the trial was seen in these states.
    #[track_caller]
    fn check(states: &[Option<Arc<Trial>>], expected: &[&str]) {
        let mut registry = Registry::default();
        let events = Events::of_trials(&mut registry);
        for pair in states.windows(2) {
            let (old, new) = (pair[0].clone(), pair[1].clone());
            let key = Key::new("team", "a");
            events.count(&Change { key, old, new });
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let mut samples: Vec<&str> = samples.collect();
        samples.sort_unstable();
        assert_eq!(samples, expected);
    }

    #[test]
    fn a_life_counts_each_of_its_events_once() {
        let created = ("Created", "True");
        check(
            &[
                None,
                Some(trial("1", &[])),
                Some(trial("1", &[created, ("Running", "True")])),
                Some(trial("1", &[created, ("Running", "True")])),
                Some(trial(
                    "1",
                    &[created, ("Running", "False"), ("Succeeded", "True")],
                )),
                None,
            ],
            &[
                "katib_trial_created_total{namespace=\"team\"} 1",
                "katib_trial_deleted_total{namespace=\"team\"} 1",
                "katib_trial_succeeded_total{namespace=\"team\"} 1",
            ],
        );
    }

    #[test]
    fn what_was_so_before_the_start_does_not_count() {
        let seen = trial("1", &[("Created", "True"), ("Failed", "True")]);
        check(&[None, Some(seen.clone()), Some(seen)], &[]);
    }

    #[test]
    fn a_namesake_is_another_object() {
        let old = trial("1", &[("Created", "True")]);
        let new = trial("2", &[]);
        let created = trial("2", &[("Created", "True"), ("MetricsUnavailable", "True")]);
        check(
            &[Some(old), Some(new), Some(created)],
            &[
                "katib_trial_created_total{namespace=\"team\"} 1",
                "katib_trial_deleted_total{namespace=\"team\"} 1",
                "katib_trial_metrics_unavailable_total{namespace=\"team\"} 1",
            ],
        );
    }
}
