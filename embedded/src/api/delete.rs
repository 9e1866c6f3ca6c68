//! Deleting objects.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Api;
use crate::{
    custom::{self, status::set_condition},
    garbage::{CLEANUP, FOREGROUND, ORPHAN},
    metadata,
    resource::{CUSTOM_RESOURCE_DEFINITIONS, JOBS, NAMESPACES, PODS, Resource},
    status::Status,
    store::{Change, Expect, Object, Outcome},
};

/// Namespaces that clients count on.
const PERMANENT_NAMESPACES: [&str; 3] = ["default", "kube-public", "kube-system"];

/// What becomes of the objects that name a deleted one as their owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay and forget it.
    Orphan,
}

/// How an object is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// How long a pod has to end; its own choice when unset. 0: at once.
    pub grace_period_seconds: Option<i64>,
    /// What becomes of dependents. When unset: those of a Job stay, all others are deleted after
    /// their owner, as Kubernetes does it.
    pub propagation: Option<Propagation>,
    /// Only the object with this unique identifier.
    pub uid: Option<String>,
    /// Only the object with this version.
    pub resource_version: Option<String>,
    /// Whether to do everything but the deletion.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Dependents are deleted after the object.
    pub fn background() -> Self {
        Self {
            propagation: Some(Propagation::Background),
            ..Self::default()
        }
    }

    /// At once, without waiting for a pod's processes.
    pub fn now() -> Self {
        Self {
            grace_period_seconds: Some(0),
            ..Self::background()
        }
    }
}

/// What a deletion did.
#[derive(Clone, Debug, PartialEq)]
pub enum Deletion {
    /// The object is gone; this was its last state.
    Gone(Arc<Value>),
    /// The object is marked and goes when its finalizers or its node are done.
    Marked(Arc<Value>),
}

impl Api {
    /// Deletes an object.
    pub async fn delete(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Deletion, Status> {
        loop {
            let Some(current) = self.object(resource, namespace, name) else {
                return Err(Status::not_found(resource, name));
            };
            check_preconditions(resource, &current, &options)?;
            if resource == &NAMESPACES && PERMANENT_NAMESPACES.contains(&name) {
                return Err(Status::forbidden(
                    resource,
                    name,
                    "this namespace may not be deleted",
                ));
            }
            if resource == &CUSTOM_RESOURCE_DEFINITIONS && custom::own_specification(name).is_some()
            {
                let why = "this kind is Diwan's own, which needs it";
                return Err(Status::forbidden(resource, name, why));
            }
            let mark = mark(resource, &current.value(), &options, Timestamp::now());
            if options.dry_run {
                return Ok(match mark {
                    Mark::Set(value) => Deletion::Marked(Arc::new(value)),
                    _ => Deletion::Gone(current.value()),
                });
            }
            let change = match mark {
                Mark::Already => return Ok(Deletion::Marked(current.value())),
                Mark::Set(value) => Change::Put(value),
                Mark::Remove => Change::Remove((*current.value()).clone()),
            };
            let removes = matches!(change, Change::Remove(_));
            let expect = Expect::Version(current.version);
            match self
                .store()
                .write(current.key.clone(), expect, change)
                .await
            {
                // The caller sees the version that the end was made from.
                Outcome::Done(_) if removes => {
                    return Ok(Deletion::Gone(current.value()));
                }
                Outcome::Done(object) => return Ok(Deletion::Marked(object.value())),
                Outcome::Failed(why) => return Err(Status::internal(why)),
                _ => {}
            }
        }
    }
}

/// What deleting does to an object.
enum Mark {
    /// It is being deleted already, as wanted.
    Already,
    /// It stays, like this, until something lets it go.
    Set(Value),
    /// It goes.
    Remove,
}

fn check_preconditions(
    resource: &Resource,
    object: &Object,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let name = &object.key.name;
    let refuse = |what: &str, wanted: &str, actual: &str| {
        let guess = match what {
            "UID" => ". The object might have been deleted and then recreated",
            _ => ". The object might have been modified",
        };
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record \
             ({actual}){guess}"
        );
        Err(Status::conflict_of_kind(resource, name, &why))
    };
    let value = object.value();
    let uid = metadata::uid(&value);
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
        return refuse("UID", wanted, uid);
    }
    let version = object.version.to_string();
    if let Some(wanted) = options
        .resource_version
        .as_ref()
        .filter(|wanted| **wanted != version)
    {
        return refuse("ResourceVersion", wanted, &version);
    }
    Ok(())
}

fn mark(resource: &Resource, old: &Value, options: &DeleteOptions, now: Timestamp) -> Mark {
    let mut new = old.clone();
    let deleting = metadata::is_deleting(old);
    let grace = grace(resource, old, options);
    if !deleting && resource == &CUSTOM_RESOURCE_DEFINITIONS {
        add_finalizer(&mut new, CLEANUP);
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will \
                       begin soon";
        let condition = ("True", "InstanceDeletionPending", message.to_owned());
        set_condition(&mut new["status"], "Terminating", condition, now);
    }
    if !deleting && let Some(finalizer) = propagation_finalizer(resource, options) {
        add_finalizer(&mut new, finalizer);
    }
    if !metadata::finalizers(&new).is_empty() || waits_for_content(resource, old) || grace > 0 {
        let known = old["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0);
        if deleting && known <= grace {
            return Mark::Already;
        }
        // As Kubernetes does it, the time is when the object is expected to be gone.
        let end = now
            .saturating_add(SignedDuration::from_secs(grace))
            .unwrap_or(now);
        metadata::set(&mut new, "deletionTimestamp", metadata::time(end));
        metadata::set(&mut new, "deletionGracePeriodSeconds", grace);
        if let Some(generation) = new["metadata"]["generation"].as_i64().filter(|_| !deleting) {
            metadata::set(&mut new, "generation", generation + 1);
        }
        if resource == &NAMESPACES {
            new["status"] = json!({ "phase": "Terminating" });
        }
        return Mark::Set(new);
    }
    Mark::Remove
}

/// How long an object has to end. Only pods that run need any time.
fn grace(resource: &Resource, object: &Value, options: &DeleteOptions) -> i64 {
    let scheduled = object["spec"]["nodeName"]
        .as_str()
        .is_some_and(|n| !n.is_empty());
    let ended = matches!(
        object["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if resource != &PODS || !scheduled || ended {
        return 0;
    }
    let own = || {
        object["spec"]["terminationGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(30)
    };
    options.grace_period_seconds.unwrap_or_else(own).max(0)
}

fn propagation_finalizer(resource: &Resource, options: &DeleteOptions) -> Option<&'static str> {
    let default = if resource == &JOBS {
        Propagation::Orphan
    } else {
        Propagation::Background
    };
    match options.propagation.unwrap_or(default) {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    }
}

fn add_finalizer(object: &mut Value, finalizer: &str) {
    let mut list: Vec<Value> = metadata::finalizers(object)
        .into_iter()
        .map(Value::from)
        .collect();
    if !list.iter().any(|f| f == finalizer) {
        list.push(json!(finalizer));
    }
    metadata::set(object, "finalizers", list);
}

/// Whether an object stays until the garbage collector has emptied it: a namespace.
pub(super) fn waits_for_content(resource: &Resource, object: &Value) -> bool {
    resource == &NAMESPACES
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| !list.is_empty())
}
