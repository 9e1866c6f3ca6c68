//! The ReplicaSet controller: keeps as many pods as are asked for.

pub(crate) mod plan;

use std::sync::Arc;

use diwan_embedded::event::{Event, Recorder};
use diwan_embedded::resource::{PODS, REPLICA_SETS, Resource};
use diwan_embedded::{Api, Status};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;

use self::plan::{Situation, plan, status};
use crate::claim::claimed;
use crate::driver::{Again, Controller, Key};
use crate::object::{is_controlled, metadata, selects};
use crate::replica::Replica;
use crate::write::{delete, write_status};

/// The name under which the controller writes events.
const COMPONENT: &str = "replicaset-controller";

/// The ReplicaSet controller.
pub(crate) struct ReplicaSets {
    api: Api,
    node: String,
    events: Recorder,
}

impl ReplicaSets {
    pub(crate) fn new(api: Api, node: &str) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            node: node.to_owned(),
            api,
        }
    }

    /// Makes pods; the error is why one could not be made.
    async fn create(&self, set: &Value, count: usize) -> Result<(), Status> {
        let namespace = metadata(set, "namespace");
        let made = join_all((0..count).map(|_| {
            self.api
                .create(&PODS, namespace, plan::pod(set, &self.node))
        }));
        let mut failure = Ok(());
        for outcome in made.await {
            match outcome {
                Ok(pod) => {
                    let message = format!("Created pod: {}", metadata(&pod, "name"));
                    self.events
                        .record(set, Event::normal("SuccessfulCreate", message));
                }
                Err(status) => {
                    let message = format!("Error creating: {status}");
                    self.events
                        .record(set, Event::warning("FailedCreate", message));
                    failure = Err(status);
                }
            }
        }
        failure
    }

    fn pods(set: &Value, pods: &[Arc<Value>]) -> (Vec<Replica>, usize) {
        let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
        let is_labelled = |pod: &Value| {
            let own = &pod["metadata"]["labels"];
            labels
                .into_iter()
                .flatten()
                .all(|(key, value)| own[key] == *value)
        };
        let replicas: Vec<Replica> = pods.iter().map(|pod| Replica::read(pod)).collect();
        let labelled = replicas.iter().zip(pods);
        let labelled = labelled.filter(|(replica, pod)| replica.is_active() && is_labelled(pod));
        let count = labelled.count();
        (replicas, count)
    }
}

impl Controller for ReplicaSets {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&PODS, &REPLICA_SETS]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &REPLICA_SETS {
            return vec![Key::of(object)];
        }
        let namespace = metadata(object, "namespace");
        if let Some(owner) = Key::of_controller(object, "ReplicaSet") {
            return vec![owner];
        }
        if is_controlled(object) {
            return Vec::new();
        }
        let (sets, _) = self.api.list(&REPLICA_SETS, Some(namespace));
        let fitting = sets
            .iter()
            .filter(|set| selects(&set["spec"]["selector"], object));
        fitting.map(|set| Key::of(set)).collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let Some(set) = self.api.get(&REPLICA_SETS, &key.namespace, &key.name) else {
            return Ok(None);
        };
        let objects = claimed(&self.api, &set, &PODS).await?;
        let (pods, _) = Self::pods(&set, &objects);
        let seen = Situation {
            set: &set,
            pods: &pods,
            now: Timestamp::now(),
        };
        let plan = plan(&seen);
        let made = self.create(&set, plan.create).await;
        for name in &plan.delete {
            delete(&self.api, &PODS, &key.namespace, name).await?;
            let event = Event::normal("SuccessfulDelete", format!("Deleted pod: {name}"));
            self.events.record(&set, event);
        }
        for name in &plan.sweep {
            delete(&self.api, &PODS, &key.namespace, name).await?;
        }
        let changed = plan.create + plan.delete.len() + plan.sweep.len() > 0;
        let objects = if changed {
            claimed(&self.api, &set, &PODS).await?
        } else {
            objects
        };
        let (pods, labelled) = Self::pods(&set, &objects);
        let seen = Situation {
            set: &set,
            pods: &pods,
            now: Timestamp::now(),
        };
        let failure = made.as_ref().err().map(ToString::to_string);
        let status = status(&seen, labelled, failure.as_deref());
        write_status(&self.api, &REPLICA_SETS, &set, status).await?;
        made.map(|()| plan.again)
    }
}
