//! The Deployment controller: brings pods from one template to the next, by way of ReplicaSets.

mod plan;
mod revision;
mod size;
mod status;

use std::sync::Arc;

use diwan_embedded::event::Recorder;
use diwan_embedded::resource::{DEPLOYMENTS, PODS, REPLICA_SETS, Resource};
use diwan_embedded::{Api, Status, Subresource};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::plan::{Action, Plan, Situation, plan};
use self::revision::REVISION;
use crate::claim::claimed;
use crate::driver::{Again, Controller, Key};
use crate::object::{controller_of, metadata};
use crate::write::{delete, write_status};

/// The name under which the controller writes events.
const COMPONENT: &str = "deployment-controller";

/// The Deployment controller.
pub(crate) struct Deployments {
    api: Api,
    events: Recorder,
}

impl Deployments {
    pub(crate) fn new(api: Api) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            api,
        }
    }

    /// The ReplicaSets that have pods that have not ended.
    fn alive<'a>(&self, sets: &'a [Arc<Value>]) -> Vec<&'a str> {
        let namespace = sets.first().map(|set| metadata(set, "namespace"));
        let (pods, _) = self.api.list(&PODS, Some(namespace.unwrap_or_default()));
        let is_over = |pod: &Value| {
            matches!(
                pod["status"]["phase"].as_str(),
                Some("Succeeded" | "Failed")
            )
        };
        let lives = |set: &&Arc<Value>| {
            pods.iter().any(|pod| {
                let owner = controller_of(pod, "ReplicaSet");
                owner.is_some_and(|owner| owner["uid"] == set["metadata"]["uid"]) && !is_over(pod)
            })
        };
        let alive = sets.iter().filter(lives);
        alive.map(|set| metadata(set, "name")).collect()
    }

    /// Makes a ReplicaSet, unless another object has its name.
    async fn create(&self, deployment: &Value, set: &Value) -> Result<bool, Status> {
        let namespace = metadata(deployment, "namespace");
        match self.api.create(&REPLICA_SETS, namespace, set.clone()).await {
            Err(status) if status.reason == "AlreadyExists" => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }

    async fn carry_out(&self, deployment: &Value, plan: Plan) -> Result<Option<String>, Status> {
        let (namespace, name) = (
            metadata(deployment, "namespace"),
            metadata(deployment, "name"),
        );
        for action in plan.actions {
            match action {
                Action::Create(set) => {
                    if !self.create(deployment, &set).await? {
                        return Ok(Some(metadata(&set, "name").to_owned()));
                    }
                }
                Action::Change {
                    name,
                    size,
                    annotations,
                } => {
                    let least = &deployment["spec"]["minReadySeconds"];
                    let kind = &REPLICA_SETS;
                    let written =
                        self.api
                            .modify(kind, namespace, &name, Subresource::None, |set| {
                                set["metadata"]["annotations"] = json!(annotations);
                                set["spec"]["replicas"] = json!(size);
                                if !least.is_null() {
                                    set["spec"]["minReadySeconds"] = least.clone();
                                } else if let Some(spec) = set["spec"].as_object_mut() {
                                    spec.remove("minReadySeconds");
                                }
                                true
                            });
                    written.await?;
                }
                Action::Delete(name) => {
                    delete(&self.api, &REPLICA_SETS, namespace, &name).await?;
                }
            }
        }
        for event in plan.events {
            self.events.record(deployment, event);
        }
        if let Some(revision) = plan.revision {
            let kind = &DEPLOYMENTS;
            let written = self
                .api
                .modify(kind, namespace, name, Subresource::None, |object| {
                    object["metadata"]["annotations"][REVISION] = json!(revision.to_string());
                    metadata(object, "uid") == metadata(deployment, "uid")
                });
            written.await?;
        }
        write_status(&self.api, &DEPLOYMENTS, deployment, plan.status).await?;
        Ok(None)
    }
}

impl Controller for Deployments {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&PODS, &REPLICA_SETS, &DEPLOYMENTS]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &DEPLOYMENTS {
            return vec![Key::of(object)];
        }
        let owner = |object: &Value| Key::of_controller(object, "Deployment");
        if resource == &REPLICA_SETS {
            return owner(object).into_iter().collect();
        }
        // Only whether a pod is there matters here, to those that wait for it to go.
        let is_over = matches!(
            object["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        if !is_over && !crate::object::is_deleting(object) {
            return Vec::new();
        }
        let set = Key::of_controller(object, "ReplicaSet");
        let set = set.and_then(|set| self.api.get(&REPLICA_SETS, &set.namespace, &set.name));
        set.and_then(|set| owner(&set)).into_iter().collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let mut taken = None;
        loop {
            let found = self.api.get(&DEPLOYMENTS, &key.namespace, &key.name);
            let Some(deployment) = found else {
                return Ok(None);
            };
            let objects = claimed(&self.api, &deployment, &REPLICA_SETS).await?;
            let sets: Vec<&Value> = objects.iter().map(|set| &**set).collect();
            let alive = self.alive(&objects);
            let plan = plan(&Situation {
                deployment: &deployment,
                sets: &sets,
                alive: &alive,
                taken: taken.as_deref(),
                now: Timestamp::now(),
            });
            let again = plan.again;
            taken = self.carry_out(&deployment, plan).await?;
            if taken.is_none() {
                return Ok(again);
            }
        }
    }
}
