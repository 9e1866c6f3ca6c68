//! The kinds of objects that run trials: each is watched from its first use on.

use std::collections::HashMap;
use std::sync::Arc;

use diwan_api::metadata::LABEL_TRIAL;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use kube::runtime::watcher;
use kube::{Api, Client, discovery};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cache::{Cache, Change};
use crate::key::Key;
use crate::queue::Queue;

/// One kind of object that runs trials.
pub(crate) struct Kind {
    /// How the API calls it.
    pub(crate) resource: ApiResource,
    /// All objects of this kind that run trials.
    pub(crate) cache: Arc<Cache<DynamicObject>>,
}

/// The kinds of objects that run trials.
pub(crate) struct Kinds {
    client: Client,
    queue: Arc<Queue>,
    tasks: TaskTracker,
    stop: CancellationToken,
    known: Mutex<HashMap<TypeMeta, Arc<Kind>>>,
}

impl Kinds {
    /// Watches Jobs, and others as they are asked for. A change puts the trial into `queue`.
    pub(crate) fn new(
        client: Client,
        queue: Arc<Queue>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let kinds = Self {
            client,
            queue,
            tasks,
            stop,
            known: Mutex::default(),
        };
        kinds.start(ApiResource::erase::<Job>(&()));
        kinds
    }

    /// The kind of this name; asks the API for it the first time.
    pub(crate) async fn get(&self, types: &TypeMeta) -> Result<Arc<Kind>, kube::Error> {
        if let Some(kind) = self.known.lock().get(types) {
            return Ok(kind.clone());
        }
        let gvk = GroupVersionKind::try_from(types).map_err(|error| {
            kube::Error::Service(format!("{}: {error}", types.api_version).into())
        })?;
        let (resource, _) = discovery::pinned_kind(&self.client, &gvk).await?;
        Ok(self.start(resource))
    }

    fn start(&self, resource: ApiResource) -> Arc<Kind> {
        let types = TypeMeta {
            api_version: resource.api_version.clone(),
            kind: resource.kind.clone(),
        };
        let mut known = self.known.lock();
        if let Some(kind) = known.get(&types) {
            return kind.clone();
        }
        let queue = self.queue.clone();
        let cache = Cache::new(
            |object: &mut DynamicObject| object.metadata.managed_fields = None,
            move |change: &Change<DynamicObject>| {
                let object = change.new.as_ref().or(change.old.as_ref());
                if let Some(trial) = object.and_then(|o| Key::of_owner(&o.metadata, "Trial")) {
                    queue.add(trial);
                }
            },
        );
        let kind = Arc::new(Kind {
            resource: resource.clone(),
            cache: Arc::new(cache),
        });
        let api = Api::all_with(self.client.clone(), &resource);
        let (cache, stop) = (kind.cache.clone(), self.stop.clone());
        let config = watcher::Config::default().labels(LABEL_TRIAL);
        self.tasks
            .spawn(async move { cache.follow(api, config, stop).await });
        known.insert(types, kind.clone());
        kind
    }
}
