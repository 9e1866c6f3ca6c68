//! Quotas: asked before an object is created, and kept up to date afterwards.

use std::{collections::BTreeSet, sync::Weak};

use futures::{StreamExt, stream::select_all};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::MutexGuard;
use tracing::warn;

use super::{Api, Inner, Subresource};
use crate::{
    admission::quota,
    metadata,
    resource::{EVENTS, LEASES, RESOURCE_QUOTAS, Resource},
    status::Status,
    store::State,
    watch::WatchEvent,
};

/// As many changes are looked at together at most.
const TOGETHER: usize = 256;

impl Api {
    /// Refuses an object for which a quota has no room, or what it is to become from `old`. While
    /// the result is kept, nothing else is created or grows under a quota; there is none where no
    /// quota is.
    pub(super) async fn within_quotas(
        &self,
        resource: &'static Resource,
        namespace: &str,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<Option<MutexGuard<'_, ()>>, Status> {
        if old.is_some() && !quota::may_grow(resource) {
            return Ok(None);
        }
        let is_quota = resource == &RESOURCE_QUOTAS;
        let has_quotas = |state: &State| {
            state
                .list(RESOURCE_QUOTAS.storage, Some(namespace))
                .next()
                .is_some()
        };
        if namespace.is_empty() || !is_quota && !self.store().read(has_quotas) {
            return Ok(None);
        }
        let held = self.inner.quotas.lock().await;
        let now = Timestamp::now();
        for quota in self.list(&RESOURCE_QUOTAS, Some(namespace)).0 {
            let hard = quota::hard(&quota);
            if !quota::concerns(&hard, resource) || !quota::applies(&quota, resource, object) {
                continue;
            }
            let used = self.used(&quota, now);
            quota::refuse(&quota, &used, resource, object, old, now)
                .map_err(|why| Status::forbidden(resource, metadata::name(object), &why))?;
        }
        if is_quota {
            object["status"] = quota::status(object, &self.used(object, now));
        }
        Ok(Some(held))
    }

    /// What counts against a quota.
    fn used(&self, quota: &Value, now: Timestamp) -> quota::Amounts {
        let hard = quota::hard(quota);
        let namespace = Some(metadata::namespace(quota));
        let mut used: quota::Amounts = hard
            .keys()
            .map(|key| (key.clone(), quota::NOTHING))
            .collect();
        let kinds = self.kinds();
        self.store().read(|state| {
            for resource in kinds.all().iter().filter(|r| is_counted(r)) {
                if !quota::concerns(&hard, resource) {
                    continue;
                }
                for object in state.list(resource.storage, namespace) {
                    let object = object.value();
                    if quota::applies(quota, resource, &object) {
                        quota::add(&mut used, quota::charge(resource, &object, now));
                    }
                }
            }
        });
        used
    }

    /// Brings the status of a namespace's quotas up to date.
    pub(super) async fn refresh_quotas(&self, namespace: &str) {
        for quota in self.list(&RESOURCE_QUOTAS, Some(namespace)).0 {
            let status = quota::status(&quota, &self.used(&quota, Timestamp::now()));
            if quota["status"] == status {
                continue;
            }
            let change = |quota: &mut Value| {
                quota["status"] = status.clone();
                true
            };
            let name = metadata::name(&quota);
            let changed = self
                .modify(
                    &RESOURCE_QUOTAS,
                    namespace,
                    name,
                    Subresource::Status,
                    change,
                )
                .await;
            if let Err(status) = changed {
                warn!(%status, namespace, name, "could not keep the status of a quota");
            }
        }
    }
}

/// Whether objects of a kind can count against a quota.
fn is_counted(resource: &Resource) -> bool {
    resource.namespaced && resource.storage != EVENTS.storage && resource != &LEASES
}

/// Keeps the status of quotas until the store is closed. Looks at other kinds only while there are
/// quotas.
pub(super) async fn keep(inner: Weak<Inner>) {
    loop {
        let Some(api) = inner.upgrade().map(Api::from_inner) else {
            return;
        };
        let (quotas, version) = api.list(&RESOURCE_QUOTAS, None);
        let kinds: Vec<&'static Resource> = if quotas.is_empty() {
            vec![&RESOURCE_QUOTAS]
        } else {
            api.kinds()
                .all()
                .iter()
                .copied()
                .filter(|resource| is_counted(resource))
                .collect()
        };
        let streams = kinds
            .iter()
            .map(|kind| api.watch(kind, None, version).boxed());
        let mut changes = select_all(streams).ready_chunks(TOGETHER);
        let namespaces: BTreeSet<&str> = quotas.iter().map(|q| metadata::namespace(q)).collect();
        for namespace in namespaces {
            api.refresh_quotas(namespace).await;
        }
        drop(api);
        let idle = quotas.is_empty();
        loop {
            let Some(events) = changes.next().await else {
                return;
            };
            let Some(api) = inner.upgrade().map(Api::from_inner) else {
                return;
            };
            if idle || events.contains(&WatchEvent::Expired) {
                break;
            }
            for namespace in places(&events) {
                api.refresh_quotas(namespace).await;
            }
            if api.list(&RESOURCE_QUOTAS, None).0.is_empty() {
                break;
            }
        }
    }
}

/// The namespaces in which something has changed.
fn places(events: &[WatchEvent]) -> BTreeSet<&str> {
    let objects = events.iter().filter_map(|event| match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
            Some(object)
        }
        WatchEvent::Expired => None,
    });
    objects.map(|object| metadata::namespace(object)).collect()
}
