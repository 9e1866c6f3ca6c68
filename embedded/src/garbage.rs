//! The garbage collector: what nobody owns any more, and namespaces that are to go.

use std::sync::{Arc, Weak};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing::warn;

use crate::{
    api::{Api, DeleteOptions, Inner, Propagation, Subresource},
    metadata,
    resource::{CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, Resource, intern},
    status::Status,
    store::{Change, Expect, Hint, Key, Object},
};

/// The finalizer of an object whose dependents go first.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object whose dependents stay.
pub(crate) const ORPHAN: &str = "orphan";

/// The finalizer of a definition whose objects go first.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Collects until the store is closed.
pub(crate) async fn collect(inner: Weak<Inner>, mut hints: UnboundedReceiver<Hint>) {
    // What a former run left undone. Looked up before the first hint is taken.
    let found = inner
        .upgrade()
        .map(|inner| leftovers(&Api::from_inner(inner)));
    for hint in found.into_iter().flatten() {
        let Some(inner) = inner.upgrade() else { return };
        follow(&Api::from_inner(inner), hint).await;
    }
    while let Some(hint) = hints.recv().await {
        let Some(inner) = inner.upgrade() else { return };
        follow(&Api::from_inner(inner), hint).await;
    }
}

fn leftovers(api: &Api) -> Vec<Hint> {
    api.store().read(|state| {
        let mut hints = Vec::new();
        for object in state.all() {
            if object.is_deleting {
                hints.push(Hint::Ending(object.key.clone()));
            }
        }
        hints.extend(state.owned().cloned().map(Hint::Owned));
        hints
    })
}

async fn follow(api: &Api, hint: Hint) {
    let result = match &hint {
        Hint::Gone { uid } => release(api, uid).await,
        Hint::Owned(key) => check_owners(api, key).await,
        Hint::Ending(key) => end(api, key).await,
    };
    match result {
        Ok(()) => {}
        Err(status) if matches!(status.reason.as_str(), "NotFound" | "Conflict") => {}
        Err(status) => warn!(%status, ?hint, "could not collect garbage"),
    }
}

/// An owner is gone: its dependents go, unless they have others.
async fn release(api: &Api, uid: &str) -> Result<(), Status> {
    let dependents = api.store().read(|state| state.dependents(uid));
    for dependent in dependents {
        check_owners(api, &dependent.key).await?;
    }
    Ok(())
}

/// Deletes an object when none of its owners is there. An owner in another namespace counts as
/// absent, as does one whose name has been taken over by another object.
async fn check_owners(api: &Api, key: &Key) -> Result<(), Status> {
    let Some(resource) = resource_of(api, key) else {
        return Ok(());
    };
    let Some(object) = api.object(resource, &key.namespace, &key.name) else {
        return Ok(());
    };
    let value = object.value();
    let owners = metadata::owners(&value);
    if owners.is_empty() || object.is_deleting {
        return Ok(());
    }
    let (absent, present): (Vec<&Value>, Vec<&Value>) = owners
        .iter()
        .partition(|owner| is_absent(api, owner, &key.namespace));
    if absent.is_empty() {
        return Ok(());
    }
    if present.is_empty() {
        let uid = Some(metadata::uid(&object.value()).to_owned());
        let options = DeleteOptions {
            uid,
            ..DeleteOptions::background()
        };
        api.delete(resource, &key.namespace, &key.name, options)
            .await?;
        return Ok(());
    }
    let gone: Vec<String> = absent
        .iter()
        .filter_map(|owner| owner["uid"].as_str())
        .map(str::to_owned)
        .collect();
    forget_owners(api, resource, key, &gone).await
}

fn is_absent(api: &Api, owner: &Value, namespace: &str) -> bool {
    let (version, kind) = (owner["apiVersion"].as_str(), owner["kind"].as_str());
    let kinds = api.kinds();
    let known = kinds.find_kind(version.unwrap_or_default(), kind.unwrap_or_default());
    // An owner of a kind that is not served here can't be looked up: it is left alone.
    if known.is_none() {
        return false;
    }
    let uid = owner["uid"].as_str().unwrap_or_default();
    api.store().read(|state| {
        let found = state.by_uid(uid);
        found.is_none_or(|o| !o.key.namespace.is_empty() && o.key.namespace != namespace)
    })
}

async fn forget_owners(
    api: &Api,
    resource: &'static Resource,
    key: &Key,
    uids: &[String],
) -> Result<(), Status> {
    api.modify(
        resource,
        &key.namespace,
        &key.name,
        Subresource::None,
        |object| {
            let owners = object
                .pointer_mut("/metadata/ownerReferences")
                .and_then(Value::as_array_mut);
            let Some(owners) = owners else { return false };
            owners.retain(|owner| !uids.iter().any(|uid| owner["uid"] == **uid));
            if owners.is_empty() {
                metadata::unset(object, "ownerReferences");
            }
            true
        },
    )
    .await?;
    Ok(())
}

/// An object waits for us: a namespace with content, or one that names its dependents' end.
async fn end(api: &Api, key: &Key) -> Result<(), Status> {
    let Some(resource) = resource_of(api, key) else {
        return Ok(());
    };
    let Some(object) = api.object(resource, &key.namespace, &key.name) else {
        return Ok(());
    };
    if !object.is_deleting {
        return Ok(());
    }
    if resource == &NAMESPACES {
        return end_namespace(api, &object).await;
    }
    let value = object.value();
    let finalizers = metadata::finalizers(&value);
    if finalizers.contains(&CLEANUP) && resource == &CUSTOM_RESOURCE_DEFINITIONS {
        return end_kind(api, &object).await;
    }
    if finalizers.contains(&ORPHAN) {
        orphan(api, resource, &object).await
    } else if finalizers.contains(&FOREGROUND) {
        delete_dependents(api, resource, &object).await
    } else {
        Ok(())
    }
}

async fn end_namespace(api: &Api, namespace: &Object) -> Result<(), Status> {
    for key in api.store().read(|state| state.content(&namespace.key.name)) {
        let Some(resource) = resource_of(api, &key) else {
            continue;
        };
        let deleted = api
            .delete(
                resource,
                &key.namespace,
                &key.name,
                DeleteOptions::background(),
            )
            .await;
        if let Err(status) = deleted
            && status.reason != "NotFound"
        {
            return Err(status);
        }
    }
    if api
        .store()
        .read(|state| state.is_empty(&namespace.key.name))
    {
        let last = (*namespace.value()).clone();
        let expect = Expect::EmptyNamespace(namespace.version);
        // When something came in between, its removal hints at the namespace again.
        api.store()
            .write(namespace.key.clone(), expect, Change::Remove(last))
            .await;
    }
    Ok(())
}

/// Deletes the objects of a kind before its definition goes.
async fn end_kind(api: &Api, definition: &Object) -> Result<(), Status> {
    let storage = intern::storage(&definition.key.name);
    let objects = || {
        api.store()
            .read(|state| state.list(storage, None).cloned().collect())
    };
    let found: Vec<Arc<Object>> = objects();
    for object in found {
        let key = &object.key;
        // The kind may never have been served: then it has no objects.
        let Some(resource) = resource_of(api, key) else {
            break;
        };
        let options = DeleteOptions::background();
        let deleted = api
            .delete(resource, &key.namespace, &key.name, options)
            .await;
        if let Err(status) = deleted
            && status.reason != "NotFound"
        {
            return Err(status);
        }
    }
    let left: Vec<Arc<Object>> = objects();
    if left.is_empty() {
        let kind = &CUSTOM_RESOURCE_DEFINITIONS;
        return remove_finalizer(api, kind, &definition.key, CLEANUP).await;
    }
    // The removal of each object hints at its definition.
    Ok(())
}

async fn orphan(api: &Api, resource: &'static Resource, owner: &Object) -> Result<(), Status> {
    let uid = metadata::uid(&owner.value()).to_owned();
    for dependent in api.store().read(|state| state.dependents(&uid)) {
        if let Some(kind) = resource_of(api, &dependent.key) {
            forget_owners(api, kind, &dependent.key, std::slice::from_ref(&uid)).await?;
        }
    }
    remove_finalizer(api, resource, &owner.key, ORPHAN).await
}

async fn delete_dependents(
    api: &Api,
    resource: &'static Resource,
    owner: &Object,
) -> Result<(), Status> {
    let value = owner.value();
    let uid = metadata::uid(&value);
    let mut blocked = false;
    for dependent in api.store().read(|state| state.dependents(uid)) {
        let Some(kind) = resource_of(api, &dependent.key) else {
            continue;
        };
        let (namespace, name) = (&dependent.key.namespace, &dependent.key.name);
        if !dependent.is_deleting {
            let options = DeleteOptions {
                propagation: Some(Propagation::Foreground),
                uid: Some(metadata::uid(&dependent.value()).to_owned()),
                ..DeleteOptions::default()
            };
            match api.delete(kind, namespace, name, options).await {
                Err(status) if status.reason != "NotFound" => return Err(status),
                _ => {}
            }
        }
        let blocks = metadata::owners(&dependent.value())
            .iter()
            .any(|o| o["uid"] == *uid && o["blockOwnerDeletion"] == true);
        blocked |= blocks && api.object(kind, namespace, name).is_some();
    }
    if blocked {
        // The removal of each dependent hints at its owner.
        return Ok(());
    }
    remove_finalizer(api, resource, &owner.key, FOREGROUND).await
}

async fn remove_finalizer(
    api: &Api,
    resource: &'static Resource,
    key: &Key,
    finalizer: &str,
) -> Result<(), Status> {
    api.modify(
        resource,
        &key.namespace,
        &key.name,
        Subresource::None,
        |object| metadata::remove_finalizer(object, finalizer),
    )
    .await?;
    Ok(())
}

fn resource_of(api: &Api, key: &Key) -> Option<&'static Resource> {
    api.kinds().of_storage(key.storage)
}
