//! What there is now, read from the caches when somebody asks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use diwan_api::Conditions;
use kube::Resource;
use kube::core::object::HasStatus;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::event::conditions;
use crate::key::Key;
use crate::world::World;

/// The status of an object without conditions, as Katib calls it.
const UNKNOWN: &str = "Unknown";

/// What there is now; nothing while no controllers run.
#[derive(Clone, Default)]
pub(super) struct Current {
    world: Arc<Mutex<Weak<World>>>,
}

impl Current {
    pub(super) fn follow(&self, world: &Arc<World>) {
        *self.world.lock() = Arc::downgrade(world);
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

impl Collector for Current {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let world = self.world.lock().upgrade();
        let name = "diwan_leader";
        let help = "Whether the controllers run in this process";
        let gauge = ConstGauge::new(i64::from(world.is_some()));
        gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        let Some(world) = world else { return Ok(()) };
        let mut experiments = Census::default();
        world.experiments.each(|key, e| experiments.count(key, e));
        let name = "katib_experiments_current";
        experiments.encode(&mut encoder, name, "Experiments by their last condition")?;
        let mut trials = Census::default();
        world.trials.each(|key, trial| trials.count(key, trial));
        let name = "katib_trials_current";
        trials.encode(&mut encoder, name, "Trials by their last condition")?;
        let name = "diwan_queue_depth";
        let help = "Objects that wait to be looked at";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (controller, queue) in world.queues.by_controller() {
            let label = [("controller", controller)];
            ConstGauge::new(queue.depth() as i64).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

/// How many objects there are, by namespace and last condition.
#[derive(Default)]
struct Census(BTreeMap<(String, String), i64>);

impl Census {
    fn count<K>(&mut self, key: &Key, object: &K)
    where
        K: Resource + HasStatus,
        K::Status: Conditions,
    {
        let last = conditions(object).last();
        let status = last.map_or(UNKNOWN, |condition| &condition.type_);
        let place = (key.namespace.clone(), status.to_owned());
        *self.0.entry(place).or_default() += 1;
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for ((namespace, status), count) in &self.0 {
            let labels = [("namespace", namespace), ("status", status)];
            ConstGauge::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diwan_api::Experiment;
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_counted_by_their_last_condition() {
        let mut census = Census::default();
        for (namespace, types) in [
            ("a", &["Created", "Running"][..]),
            ("a", &["Running"]),
            ("a", &[]),
            ("b", &["Created", "Running", "Succeeded"]),
        ] {
            let conditions = types.iter();
            let conditions = conditions.map(|type_| json!({"type": type_, "status": "True"}));
            let experiment: Experiment = serde_json::from_value(json!({
                "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
                "metadata": {"name": "e", "namespace": namespace},
                "spec": {}, "status": {"conditions": conditions.collect::<Vec<_>>()},
            }))
            .unwrap();
            census.count(&Key::new(namespace, "e"), &experiment);
        }
        let counts = census.0.iter();
        let counts = counts.map(|((namespace, status), n)| format!("{namespace} {status} {n}"));
        let counts: Vec<String> = counts.collect();
        assert_eq!(counts, ["a Running 2", "a Unknown 1", "b Succeeded 1"]);
    }
}
