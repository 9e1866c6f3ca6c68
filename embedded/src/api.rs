//! The Kubernetes API below HTTP: what a request does to the store.
//!
//! Everything that writes goes through here, so every object gets its identity, defaults,
//! validation, admission, generation and finalizers in the same way, whoever sends it.

mod account;
mod create;
mod delete;
mod quota;
mod update;

use std::{path::PathBuf, sync::Arc};

use async_stream::stream;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, stream::BoxStream};
use jiff::Timestamp;
use parking_lot::RwLock;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use self::{account::ROOT_CERTIFICATE, update::Revision};
pub use self::{
    delete::{DeleteOptions, Deletion, Propagation},
    update::Subresource,
};
use crate::{
    access::{self, Keys},
    custom::{self, definition},
    default, garbage, metadata,
    ownership::Writer,
    pod_streams::PodStreams,
    pod_usage::PodUsage,
    resource::{
        CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, CUSTOM_RESOURCE_DEFINITIONS, Kinds, NAMESPACES, PODS,
        PRIORITY_CLASSES, Resource, STORAGE_CLASSES,
    },
    selector::Selector,
    status::Status,
    storage_class,
    store::{self, Key, Object, OpenError, Store},
    watch::{EventKind, WatchEvent},
};

/// Who owns the fields that the program writes itself.
const MANAGER: &str = "diwan";
/// Namespaces that are there from the start.
const FIRST_NAMESPACES: [&str; 5] = [
    "default",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "kubeflow",
];

/// What an API is opened with.
#[derive(Clone)]
pub struct Options {
    /// The data directory; one process at a time uses it.
    pub data: PathBuf,
    /// What looks at objects before they are stored.
    pub admission: Option<Arc<dyn Admission>>,
    /// Whether namespaces have an account and the certificate of the API, and pods run as an
    /// account. A kube-apiserver alone, without the controllers that make these, does without.
    pub accounts: bool,
}

impl Options {
    /// The data directory and nothing else.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            admission: None,
            accounts: true,
        }
    }
}

/// What is about to happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It changes.
    Update,
}

/// Looks at pods and at objects of our kinds before they are stored; may change or refuse them.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Changes `new`, or refuses it. `old` is there on updates. Not asked about status updates.
    async fn admit(
        &self,
        operation: Operation,
        resource: &'static Resource,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status>;

    /// What whoever creates an object that was accepted should be told.
    fn advice(&self, _resource: &'static Resource, _object: &Value) -> Vec<String> {
        Vec::new()
    }
}

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogOptions {
    /// Whether to wait for more until the container ends.
    pub follow: bool,
    /// Only as many of the last lines.
    pub tail_lines: Option<u64>,
    /// Only lines at most this many seconds old.
    pub since_seconds: Option<i64>,
    /// Only lines from then on.
    pub since_time: Option<Timestamp>,
    /// Whether each line starts with its time.
    pub timestamps: bool,
    /// At most as many bytes.
    pub limit_bytes: Option<u64>,
    /// The container's run before the current one.
    pub previous: bool,
}

/// Gives the logs of pods.
#[async_trait]
pub trait PodLogs: Send + Sync {
    /// Opens the log of a container; of the only one when none is named.
    async fn open(
        &self,
        pod: &Value,
        container: Option<&str>,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Bytes>, Status>;
}

/// The Kubernetes API in process. Clones share one store.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
    /// The name that owns the fields that are written through this clone.
    manager: &'static str,
}

/// What the clones of an [`Api`] share.
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) accounts: bool,
    kinds: RwLock<Option<(u64, Arc<Kinds>)>>,
    keys: Keys,
    /// Held while an object is created under a quota.
    quotas: tokio::sync::Mutex<()>,
    admission: RwLock<Option<Arc<dyn Admission>>>,
    logs: RwLock<Option<Arc<dyn PodLogs>>>,
    streams: RwLock<Option<Arc<dyn PodStreams>>>,
    usage: RwLock<Option<Arc<dyn PodUsage>>>,
}

impl Api {
    /// Opens the data directory and starts the garbage collector. To be called within a Tokio
    /// runtime.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let lock = store::lock(&options.data)?;
        let keys = Keys::open(&options.data).map_err(|source| OpenError::Io {
            path: options.data.clone(),
            source,
        })?;
        let (store, hints) = Store::open(&options.data, lock, seeds(&keys))?;
        let inner = Arc::new(Inner {
            store,
            kinds: RwLock::new(None),
            accounts: options.accounts,
            keys,
            quotas: tokio::sync::Mutex::new(()),
            admission: RwLock::new(options.admission),
            logs: RwLock::new(None),
            streams: RwLock::new(None),
            usage: RwLock::new(None),
        });
        tokio::spawn(garbage::collect(Arc::downgrade(&inner), hints));
        tokio::spawn(access::keep(Arc::downgrade(&inner)));
        tokio::spawn(quota::keep(Arc::downgrade(&inner)));
        tokio::spawn(custom::keep(Arc::downgrade(&inner)));
        Ok(Self::from_inner(inner))
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self {
            inner,
            manager: MANAGER,
        }
    }

    /// The same API for a part of the program that owns the fields that it writes under a name of
    /// its own, such as `kubelet`.
    #[must_use]
    pub fn managed_by(&self, manager: &'static str) -> Self {
        Self {
            manager,
            ..self.clone()
        }
    }

    fn writer(&self) -> Writer {
        Writer::new(self.manager)
    }

    /// Sets what looks at objects before they are stored.
    pub fn set_admission(&self, admission: Arc<dyn Admission>) {
        *self.inner.admission.write() = Some(admission);
    }

    /// Sets who gives the logs of pods.
    pub fn set_logs(&self, logs: Arc<dyn PodLogs>) {
        *self.inner.logs.write() = Some(logs);
    }

    pub(crate) fn logs(&self) -> Option<Arc<dyn PodLogs>> {
        self.inner.logs.read().clone()
    }

    /// Sets who gives access to what runs in pods.
    pub fn set_streams(&self, streams: Arc<dyn PodStreams>) {
        *self.inner.streams.write() = Some(streams);
    }

    pub(crate) fn streams(&self) -> Option<Arc<dyn PodStreams>> {
        self.inner.streams.read().clone()
    }

    /// Sets who knows what pods use.
    pub fn set_usage(&self, usage: Arc<dyn PodUsage>) {
        *self.inner.usage.write() = Some(usage);
    }

    pub(crate) fn usage(&self) -> Option<Arc<dyn PodUsage>> {
        self.inner.usage.read().clone()
    }

    /// Whether namespaces have accounts.
    pub(crate) fn has_accounts(&self) -> bool {
        self.inner.accounts
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The kinds that are served now.
    pub fn kinds(&self) -> Arc<Kinds> {
        let storage = CUSTOM_RESOURCE_DEFINITIONS.storage;
        // Asked before the definitions are read: what comes in between is read again next time.
        let changed = self.store().changed(storage);
        let cached = self.inner.kinds.read().clone();
        if let Some((version, kinds)) = &cached
            && *version == changed
        {
            return kinds.clone();
        }
        let (definitions, _) = self.list(&CUSTOM_RESOURCE_DEFINITIONS, None);
        let before = cached.as_ref().map(|(_, kinds)| kinds.as_ref());
        let kinds = Arc::new(Kinds::new(&definitions, before));
        *self.inner.kinds.write() = Some((changed, kinds.clone()));
        kinds
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// The object of a name. `namespace` is empty for cluster-wide kinds.
    pub fn get(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Value>> {
        Some(self.object(resource, namespace, name)?.value())
    }

    pub(crate) fn object(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Object>> {
        self.store().get(resource.storage, namespace, name)
    }

    /// The objects of a kind, of one namespace or of all, and the version of the list, from which
    /// [`Api::watch`] goes on.
    pub fn list(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
    ) -> (Vec<Arc<Value>>, u64) {
        self.store().read(|state| {
            let objects = state.list(resource.storage, namespace);
            (
                objects.map(|object| object.value()).collect(),
                state.version(),
            )
        })
    }

    /// The objects of a kind that a selector selects, and the version of the list.
    pub fn select(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> (Vec<Arc<Value>>, u64) {
        let (objects, version) = self.select_objects(resource, namespace, selector);
        (
            objects.iter().map(|object| object.value()).collect(),
            version,
        )
    }

    /// Selects through an index where there is one.
    pub(crate) fn select_objects(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> (Vec<Arc<Object>>, u64) {
        let storage = resource.storage;
        self.store().read(|state| {
            let matching = |object: &&Arc<Object>| selector.selects(object);
            let version = state.version();
            if let (Some(name), Some(namespace)) = (selector.name(), namespace) {
                let object = state.get(storage, namespace, name);
                return (
                    object.into_iter().filter(matching).cloned().collect(),
                    version,
                );
            }
            for (label, value) in selector.equalities() {
                if let Some(labelled) = state.list_labelled(storage, namespace, label, value) {
                    // The index knows the answer without a look at the objects.
                    let found =
                        |object: &&Arc<Object>| selector.is_only(label, value) || matching(object);
                    return (labelled.filter(found).cloned().collect(), version);
                }
            }
            (
                state
                    .list(storage, namespace)
                    .filter(matching)
                    .cloned()
                    .collect(),
                version,
            )
        })
    }

    /// The objects that a selector selects, as they were at a version of the past; `None` when
    /// that is forgotten.
    pub(crate) fn select_at(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        selector: &Selector,
        version: u64,
    ) -> Option<Vec<Arc<Object>>> {
        let objects = self
            .store()
            .read(|state| state.list_at(resource.storage, namespace, version));
        let mut objects = objects.ok()?;
        objects.retain(|object| selector.selects(object));
        Some(objects)
    }

    /// The changes of a kind after a version, in one namespace or in all.
    pub fn watch(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        from: u64,
    ) -> impl Stream<Item = WatchEvent> + Send + use<> {
        let mut watcher = self.store().watch(resource.storage, from);
        let namespace = namespace.map(str::to_owned);
        stream! {
            loop {
                let events = match watcher.next().await {
                    Ok(Some(events)) => events,
                    Ok(None) => return,
                    Err(_) => {
                        yield WatchEvent::Expired;
                        return;
                    }
                };
                for event in events {
                    let object = &event.object;
                    if namespace.as_ref().is_some_and(|n| *n != object.key.namespace) {
                        continue;
                    }
                    let value = object.value();
                    yield match event.kind {
                        EventKind::Added => WatchEvent::Added(value),
                        EventKind::Modified => WatchEvent::Modified(value),
                        EventKind::Deleted => WatchEvent::Deleted(value),
                    };
                }
            }
        }
    }

    /// Fills in what a client leaves out.
    fn default(&self, resource: &'static Resource, subresource: Subresource, object: &mut Value) {
        if let Some(custom) = self.kinds().custom(resource) {
            custom.default(object);
        } else if resource == &CUSTOM_RESOURCE_DEFINITIONS {
            if let Some(own) = custom::own_specification(metadata::name(object)) {
                object["spec"] = own;
            }
            definition::default(object);
            if subresource == Subresource::None {
                definition::count_stored_version(object);
            }
        } else {
            default::apply(resource, object);
        }
    }

    /// Asks who admits objects of this kind.
    async fn admit(
        &self,
        operation: Operation,
        resource: &'static Resource,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        if resource != &PODS && !(resource.custom && resource.group == diwan_api::GROUP) {
            return Ok(());
        }
        let admission = self.inner.admission.read().clone();
        match admission {
            Some(admission) => admission.admit(operation, resource, new, old).await,
            None => Ok(()),
        }
    }

    /// What whoever has created an object should be told.
    pub(crate) fn advice(&self, resource: &'static Resource, object: &Value) -> Vec<String> {
        let admission = self.inner.admission.read().clone();
        admission.map_or_else(Vec::new, |admission| admission.advice(resource, object))
    }
}

/// What is there from the start.
fn seeds(keys: &Keys) -> Vec<(Key, Value)> {
    let mut seeds = Vec::new();
    let mut add = |resource: &Resource, namespace: &str, name: &str, mut value: Value| {
        identify(resource, &mut value, Timestamp::now());
        let key = Key {
            storage: resource.storage,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        seeds.push((key, value));
    };
    for name in FIRST_NAMESPACES {
        let value = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        });
        add(&NAMESPACES, "", name, value);
    }
    for namespace in FIRST_NAMESPACES {
        for (resource, name, value) in account::furniture(namespace, &keys.ca) {
            add(resource, namespace, name, value);
        }
    }
    let mut roles = access::defaults::cluster_roles();
    access::refresh_aggregated(&mut roles);
    let bindings = access::defaults::cluster_role_bindings();
    let priorities = access::defaults::priority_classes();
    for (resource, values) in [
        (&CLUSTER_ROLES, roles),
        (&CLUSTER_ROLE_BINDINGS, bindings),
        (&PRIORITY_CLASSES, priorities),
    ] {
        for value in values {
            let name = metadata::name(&value).to_owned();
            add(resource, "", &name, value);
        }
    }
    add(
        &STORAGE_CLASSES,
        "",
        storage_class::STANDARD,
        storage_class::standard(),
    );
    for definition in custom::seeds() {
        let name = metadata::name(&definition).to_owned();
        add(&CUSTOM_RESOURCE_DEFINITIONS, "", &name, definition);
    }
    seeds
}

/// Gives a new object its kind, identity and time.
fn identify(resource: &Resource, value: &mut Value, now: Timestamp) {
    let Some(object) = value.as_object_mut() else {
        return;
    };
    object.insert("apiVersion".to_owned(), json!(resource.api_version()));
    object.insert("kind".to_owned(), json!(resource.kind));
    metadata::set(value, "uid", Uuid::new_v4().to_string());
    metadata::set(value, "creationTimestamp", metadata::time(now));
    if resource.counts_generations() {
        metadata::set(value, "generation", 1);
    }
}
