//! The StatefulSet controller: pods with numbers, each with claims of its own.

mod plan;
mod pod;
mod rest;
mod revision;

use std::sync::Arc;
use std::time::Instant;

use diwan_embedded::event::{Event, Recorder};
use diwan_embedded::resource::{
    CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, Resource, STATEFUL_SETS,
};
use diwan_embedded::{Api, Status, Subresource};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::plan::{Member, Plan, Situation};
use self::rest::Rests;
use crate::claim::claimed;
use crate::driver::{Again, Controller, Key};
use crate::object::{is_deleting, metadata, number};
use crate::replica::Replica;
use crate::write::{delete, write_status};

/// The name under which the controller writes events.
const COMPONENT: &str = "statefulset-controller";

/// The StatefulSet controller.
pub(crate) struct StatefulSets {
    api: Api,
    node: String,
    events: Recorder,
    rests: Rests,
}

/// The revisions of a set: the one pods come from, the one they are brought to, and how many names
/// others had.
struct Revisions {
    all: Vec<Arc<Value>>,
    current: String,
    update: String,
    collisions: u64,
}

impl StatefulSets {
    pub(crate) fn new(api: Api, node: &str) -> Self {
        Self {
            events: Recorder::new(api.clone(), COMPONENT),
            node: node.to_owned(),
            rests: Rests::default(),
            api,
        }
    }

    /// Finds the revision of the set's template, or makes it; the newest one has the largest number.
    async fn revisions(&self, set: &Value) -> Result<Revisions, Status> {
        let namespace = metadata(set, "namespace");
        let mut collisions = number(&set["status"]["collisionCount"], 0);
        loop {
            let all = claimed(&self.api, set, &CONTROLLER_REVISIONS).await?;
            let known: Vec<&Value> = all.iter().map(|revision| &**revision).collect();
            let next = revision::next(&known);
            if let Some(found) = revision::of(set, &known) {
                let update = metadata(found, "name").to_owned();
                if number(&found["revision"], 0) + 1 < next && !is_deleting(set) {
                    let kind = &CONTROLLER_REVISIONS;
                    let written =
                        self.api
                            .modify(kind, namespace, &update, Subresource::None, |object| {
                                object["revision"] = json!(next);
                                true
                            });
                    written.await?;
                }
                let current = set["status"]["currentRevision"].as_str().unwrap_or(&update);
                let is_kept = known
                    .iter()
                    .any(|revision| metadata(revision, "name") == current);
                let current = if is_kept {
                    current.to_owned()
                } else {
                    update.clone()
                };
                return Ok(Revisions {
                    all,
                    current,
                    update,
                    collisions,
                });
            }
            let made = revision::make(set, next, collisions);
            match self
                .api
                .create(&CONTROLLER_REVISIONS, namespace, made)
                .await
            {
                Err(status) if status.reason == "AlreadyExists" => collisions += 1,
                outcome => drop(outcome?),
            }
        }
    }

    async fn members(&self, set: &Value) -> Result<Vec<Member>, Status> {
        let pods = claimed(&self.api, set, &PODS).await?;
        let member = |object: &Arc<Value>| {
            Some(Member {
                ordinal: pod::ordinal(set, metadata(object, "name"))?,
                revision: object["metadata"]["labels"][pod::REVISION]
                    .as_str()?
                    .to_owned(),
                replica: Replica::read(object),
            })
        };
        Ok(pods.iter().filter_map(member).collect())
    }

    async fn carry_out(
        &self,
        set: &Value,
        revisions: &Revisions,
        plan: &Plan,
    ) -> Result<(), Status> {
        let (namespace, name) = (metadata(set, "namespace"), metadata(set, "name"));
        for (ordinal, newest) in &plan.create {
            let revision = if *newest {
                &revisions.update
            } else {
                &revisions.current
            };
            self.create(set, revisions, revision, *ordinal).await?;
        }
        for ordinal in &plan.delete {
            let pod = pod::name(set, *ordinal);
            delete(&self.api, &PODS, namespace, &pod).await?;
            let text = format!("delete Pod {pod} in StatefulSet {name} successful");
            self.events
                .record(set, Event::normal("SuccessfulDelete", text));
        }
        if set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Delete" {
            // They stay until their pods are gone.
            for (_, claim) in plan
                .condemned
                .iter()
                .flat_map(|ordinal| pod::claims(set, *ordinal))
            {
                let kind = &PERSISTENT_VOLUME_CLAIMS;
                delete(&self.api, kind, namespace, metadata(&claim, "name")).await?;
            }
        }
        Ok(())
    }

    async fn create(
        &self,
        set: &Value,
        revisions: &Revisions,
        revision: &str,
        ordinal: u64,
    ) -> Result<(), Status> {
        let (namespace, name) = (metadata(set, "namespace"), metadata(set, "name"));
        let known = revisions
            .all
            .iter()
            .find(|known| metadata(known, "name") == revision);
        let template = known.map_or_else(
            || set["spec"]["template"].clone(),
            |known| revision::template(known),
        );
        for (_, claim) in pod::claims(set, ordinal) {
            let kind = &PERSISTENT_VOLUME_CLAIMS;
            match self.api.create(kind, namespace, claim).await {
                Err(status) if status.reason != "AlreadyExists" => return Err(status),
                _ => {}
            }
        }
        let made = pod::pod(set, &template, revision, ordinal, &self.node);
        let pod = pod::name(set, ordinal);
        match self.api.create(&PODS, namespace, made).await {
            Ok(_) => {
                let text = format!("create Pod {pod} in StatefulSet {name} successful");
                self.events
                    .record(set, Event::normal("SuccessfulCreate", text));
                Ok(())
            }
            Err(status) => {
                let text = format!("create Pod {pod} in StatefulSet {name} failed error: {status}");
                self.events
                    .record(set, Event::warning("FailedCreate", text));
                Err(status)
            }
        }
    }

    /// Removes revisions that no pod has, but for the last ones.
    async fn clean(
        &self,
        set: &Value,
        revisions: &Revisions,
        pods: &[Member],
    ) -> Result<(), Status> {
        let limit = number(&set["spec"]["revisionHistoryLimit"], 10) as usize;
        let is_live = |name: &str| {
            name == revisions.current
                || name == revisions.update
                || pods.iter().any(|m| m.revision == name)
        };
        let old = revisions
            .all
            .iter()
            .filter(|revision| !is_live(metadata(revision, "name")));
        let mut old: Vec<&Arc<Value>> = old.collect();
        old.sort_by_key(|revision| number(&revision["revision"], 0));
        let surplus = old.len().saturating_sub(limit);
        for revision in old.into_iter().take(surplus) {
            let kind = &CONTROLLER_REVISIONS;
            delete(
                &self.api,
                kind,
                metadata(set, "namespace"),
                metadata(revision, "name"),
            )
            .await?;
        }
        Ok(())
    }
}

impl Controller for StatefulSets {
    fn watched(&self) -> Vec<&'static Resource> {
        vec![&PODS, &STATEFUL_SETS]
    }

    fn concerned(&self, resource: &'static Resource, object: &Value) -> Vec<Key> {
        if resource == &STATEFUL_SETS {
            return vec![Key::of(object)];
        }
        Key::of_controller(object, "StatefulSet")
            .into_iter()
            .collect()
    }

    async fn reconcile(&mut self, key: &Key) -> Result<Again, Status> {
        let Some(set) = self.api.get(&STATEFUL_SETS, &key.namespace, &key.name) else {
            self.rests.forget(key);
            return Ok(None);
        };
        let revisions = self.revisions(&set).await?;
        let pods = self.members(&set).await?;
        let present = pods.iter().map(|member| member.ordinal);
        let resting = self.rests.look(key, present, Instant::now());
        let seen = |pods| Situation {
            set: &set,
            pods,
            current: &revisions.current,
            update: &revisions.update,
            resting: &resting,
            now: Timestamp::now(),
        };
        let plan = plan::plan(&seen(&pods));
        let done = self.carry_out(&set, &revisions, &plan).await;
        let pods = self.members(&set).await?;
        let status = plan::status(&seen(&pods), revisions.collisions);
        write_status(&self.api, &STATEFUL_SETS, &set, status).await?;
        if !is_deleting(&set) {
            self.clean(&set, &revisions, &pods).await?;
        }
        done.map(|()| plan.again)
    }
}
