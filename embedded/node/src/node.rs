//! The node: takes pods from the API in the order in which they come and gives each its place.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use diwan_embedded::resource::{CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS};
use diwan_embedded::{Api, PodLogs, Status, WatchEvent};
use futures::StreamExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::changes::Changes;
use crate::engine::{self, Engine};
use crate::event::{self, Event, Recorder};
use crate::holder;
use crate::hook::PodHook;
use crate::logs::Logs;
use crate::options::{NodeOptions, Runtime};
use crate::pod::{self, Pod};
use crate::registration;
use crate::run::{self, Begin, Outcome, Stop};
use crate::schedule::{Ledger, Place, Resources};
use crate::settings::Settings;
use crate::status::{self, Wait};
use crate::streams::Streams;
use crate::usage::Meter;
use crate::volume;

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("cannot prepare the data folder of the node: {0}")]
    Data(#[from] io::Error),
    /// The API refuses the Node object.
    #[error("cannot register the node: {0}")]
    Register(#[from] Status),
    /// The engine that is to run containers does not answer.
    #[error("{0}")]
    Engine(String),
}

/// What the node and the runs of its pods share.
pub(crate) struct Shared {
    /// The API.
    pub(crate) api: Api,
    /// Folders, isolation, variables.
    pub(crate) settings: Settings,
    /// Writes events that are not urgent.
    pub(crate) events: Recorder,
    /// Follows pods.
    pub(crate) hook: Option<Arc<dyn PodHook>>,
    /// Tells when files change.
    pub(crate) changes: Changes,
    /// Signals of the pods that run, by unique identifier: something happened; closed at the end.
    pub(crate) live: Mutex<HashMap<String, watch::Receiver<()>>>,
}

/// A running node. Dropping it is like killing it: pods go on, and the next node finds them.
pub struct Node {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedSender<(Duration, oneshot::Sender<()>)>,
    worker: JoinHandle<()>,
    names: JoinHandle<()>,
}

impl Node {
    /// Registers the machine, finds the pods of an earlier node and starts taking new ones.
    ///
    /// # Errors
    /// The data folder cannot be used or the API refuses the Node object.
    pub async fn start(api: Api, options: NodeOptions) -> Result<Self, StartError> {
        let api = api.managed_by("kubelet");
        let capacity = registration::capacity();
        let engine = match &options.runtime {
            Runtime::Processes => None,
            Runtime::Engine(socket) => {
                let engine = Engine::connect(socket, &options.data_dir).await;
                Some(engine.map_err(StartError::Engine)?)
            }
        };
        let settings = Settings::new(api.clone(), &options, capacity, engine)?;
        let changes = Changes::new()?;
        registration::register(&api, &options.node_name, capacity, options.max_pods).await?;
        let live = Mutex::default();
        let shared = Arc::new(Shared {
            events: Recorder::new(api.clone(), "kubelet"),
            api,
            settings,
            hook: options.hook,
            changes,
            live,
        });
        if let Some(engine) = &shared.settings.engine {
            // Pods without a folder are over; those with one are adopted.
            let uid = |labels: &Value| labels[engine::POD].as_str().unwrap_or_default().to_owned();
            let settings = &shared.settings;
            engine
                .remove(|labels| !settings.pod(&uid(labels)).exists())
                .await;
        }
        let names = tokio::spawn(Arc::clone(&shared.settings.hosts).follow());
        shared.api.set_logs(Arc::new(Logs::new(&shared)));
        shared.api.set_usage(Arc::new(Meter::new(&shared)));
        shared.api.set_streams(Arc::new(Streams::new(&shared)));
        let (requests, inbox) = mpsc::unbounded_channel();
        let ledger = Ledger::new(capacity, options.max_pods);
        let worker = Worker::new(Arc::clone(&shared), ledger);
        let worker = tokio::spawn(worker.work(inbox));
        Ok(Self {
            shared,
            requests,
            worker,
            names,
        })
    }

    /// How containers get mounts of their own on this machine.
    pub fn isolation(&self) -> holder::Isolation {
        self.shared.settings.isolation
    }

    /// Gives out the logs of this node's pods. The API asks it by itself.
    pub fn logs(&self) -> Arc<dyn PodLogs> {
        Arc::new(Logs::new(&self.shared))
    }

    /// Stops taking pods and ends the ones that run, within `grace` each. Returns when no process
    /// of any pod is left. The API must still work: the ends are published.
    pub async fn stop(mut self, grace: Duration) {
        let (reply, done) = oneshot::channel();
        if self.requests.send((grace, reply)).is_ok() {
            // An error means that the worker is gone, and with it nothing is left to wait for.
            let _ = done.await;
        }
        let _ = (&mut self.worker).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.worker.abort();
        self.names.abort();
    }
}

/// What the node knows of a pod that has not ended.
struct Entry {
    pod: Arc<Pod>,
    state: State,
}

/// Where a pod stands.
enum State {
    /// It waits for its place.
    Queued,
    /// It waits for something to be created, or forever.
    Waiting(Wait),
    /// It runs.
    Running {
        stop: watch::Sender<Stop>,
        place: Place,
        /// How many ConfigMaps, Secrets and claims had come or changed when it began.
        sources: u64,
    },
}

/// Pods in the order in which they came, those with requests apart from those without: a large
/// one that waits must not hold back small ones.
#[derive(Default)]
struct Queues {
    plain: VecDeque<String>,
    sized: VecDeque<String>,
}

struct Worker {
    shared: Arc<Shared>,
    ledger: Ledger,
    pods: HashMap<String, Entry>,
    queues: Queues,
    /// The runs of pods; each returns the pod's unique identifier and what came of it.
    runs: JoinSet<(String, Outcome)>,
    /// How many ConfigMaps, Secrets and claims have come or changed.
    sources: u64,
    stopping: bool,
}

impl Worker {
    fn new(shared: Arc<Shared>, ledger: Ledger) -> Self {
        Self {
            shared,
            ledger,
            pods: HashMap::new(),
            queues: Queues::default(),
            runs: JoinSet::new(),
            sources: 0,
            stopping: false,
        }
    }

    /// Works until the node is stopped.
    async fn work(mut self, mut inbox: mpsc::UnboundedReceiver<(Duration, oneshot::Sender<()>)>) {
        let api = self.shared.api.clone();
        let sources = [&CONFIG_MAPS, &SECRETS, &PERSISTENT_VOLUME_CLAIMS].map(|kind| {
            let (_, version) = api.list(kind, None);
            api.watch(kind, None, version).boxed()
        });
        let mut sources = futures::stream::select_all(sources);
        loop {
            let (objects, version) = api.list(&PODS, None);
            self.synchronise(objects);
            let mut events = pin!(api.watch(&PODS, None, version));
            loop {
                self.start_queued();
                tokio::select! {
                    event = events.next() => match event {
                        Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => self.observe(pod),
                        Some(WatchEvent::Deleted(pod)) => self.forget(pod::metadata(&pod, "uid")),
                        Some(WatchEvent::Expired) => break,
                        None => return,
                    },
                    Some(event) = sources.next() => self.source_changed(&event),
                    Some(done) = self.runs.join_next() => self.run_ended(done.ok()),
                    Some((grace, reply)) = inbox.recv() => {
                        self.stop(grace).await;
                        let _ = reply.send(());
                        return;
                    }
                }
            }
        }
    }

    /// Compares the pods of the API with what is known and what is on disk.
    fn synchronise(&mut self, mut objects: Vec<Arc<Value>>) {
        objects.sort_by_cached_key(|object| {
            let version: u64 = pod::metadata(object, "resourceVersion")
                .parse()
                .unwrap_or(0);
            (
                pod::metadata(object, "creationTimestamp").to_owned(),
                version,
            )
        });
        let known: Vec<String> = self.pods.keys().cloned().collect();
        for uid in known {
            if !objects
                .iter()
                .any(|object| pod::metadata(object, "uid") == uid)
            {
                self.forget(&uid);
            }
        }
        let entries = fs::read_dir(self.shared.settings.pods())
            .into_iter()
            .flatten()
            .flatten();
        let folders: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        for uid in folders {
            if self.pods.contains_key(&uid) {
                continue;
            }
            let object = objects
                .iter()
                .find(|object| pod::metadata(object, "uid") == uid.as_str());
            self.adopt(&uid, object);
        }
        for object in objects {
            self.observe(object);
        }
    }

    /// Takes over a folder that an earlier node left.
    fn adopt(&mut self, uid: &str, object: Option<&Arc<Value>>) {
        let folder = self.shared.settings.pod(uid);
        let live = object.filter(|object| !pod::is_terminal(object));
        let Some(pod) = live.and_then(|object| self.read(object)) else {
            self.runs
                .spawn(sweep(Arc::clone(&self.shared), uid.to_owned()));
            return;
        };
        // Without a record no program was started, and the pod is started like a new one.
        if folder.join("status").exists() {
            let gpus = fs::read_to_string(folder.join("gpus")).unwrap_or_default();
            let gpus = gpus.lines().filter_map(|line| line.parse().ok()).collect();
            let place = self.ledger.occupy(Resources::requested(&pod.spec), gpus);
            self.launch(pod, place, Begin::Adopt);
        }
    }

    fn read(&self, object: &Arc<Value>) -> Option<Arc<Pod>> {
        let settings = &self.shared.settings;
        Pod::read(Arc::clone(object), &settings.node_name, settings.capacity)
            .inspect_err(|error| {
                let name = pod::metadata(object, "name");
                tracing::warn!(pod.name = name, %error, "cannot read the pod's specification");
            })
            .ok()
            .map(Arc::new)
    }

    /// A pod is new or has changed.
    fn observe(&mut self, object: Arc<Value>) {
        let uid = pod::metadata(&object, "uid");
        let deleting = pod::is_deleting(&object);
        let Some(entry) = self.pods.get_mut(uid) else {
            return self.meet(&object);
        };
        if !deleting {
            let shown = |object: &Value| {
                let metadata = &object["metadata"];
                (metadata["labels"].clone(), metadata["annotations"].clone())
            };
            if shown(&entry.pod.object) != shown(&object) {
                self.relabel(&object);
            }
            return;
        }
        if let State::Running { stop, .. } = &entry.state {
            let grace = object["metadata"]["deletionGracePeriodSeconds"].as_u64();
            let wanted = Stop::Delete(grace.unwrap_or_else(|| entry.pod.grace()));
            stop.send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
        } else if let Some(entry) = self.pods.remove(uid) {
            self.delete(entry.pod);
        }
    }

    /// A pod's labels or annotations have changed.
    fn relabel(&mut self, object: &Arc<Value>) {
        let Some(pod) = self.read(object) else { return };
        if let Some(entry) = self.pods.get_mut(&pod.uid) {
            entry.pod = Arc::clone(&pod);
            if matches!(entry.state, State::Running { .. }) && volume::shows(&pod, None) {
                self.refresh(pod);
            }
        }
    }

    /// Brings the volumes of a pod up to date that runs.
    fn refresh(&self, pod: Arc<Pod>) {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || {
            let lookup = run::InNamespace {
                api: &shared.api,
                namespace: &pod.namespace,
            };
            volume::refresh(&pod, &shared.settings, &lookup);
        });
    }

    /// A pod that is not known is new, or has ended.
    fn meet(&mut self, seen: &Value) {
        // What was seen may be from before the end of a run that is over: only what is now counts.
        let (namespace, name) = (
            pod::metadata(seen, "namespace"),
            pod::metadata(seen, "name"),
        );
        let Some(object) = self.shared.api.get(&PODS, namespace, name) else {
            return;
        };
        if pod::metadata(&object, "uid") != pod::metadata(seen, "uid") {
            return;
        }
        let Some(pod) = self.read(&object) else {
            return;
        };
        if pod::is_deleting(&object) {
            self.delete(pod);
        } else if !pod::is_terminal(&object) {
            self.admit(pod);
        }
    }

    /// Removes the object of a pod without processes.
    fn delete(&mut self, pod: Arc<Pod>) {
        let shared = Arc::clone(&self.shared);
        self.runs.spawn(async move {
            run::delete(&shared.api, &pod).await;
            (pod.uid.clone(), Outcome::Over)
        });
    }

    /// Queues a new pod, or says that the machine is too small for it.
    fn admit(&mut self, pod: Arc<Pod>) {
        let uid = pod.uid.clone();
        let ran = pod.object["status"]["phase"] == "Running";
        if ran && !self.shared.settings.pod(&uid).exists() {
            // The folder went with a power cut or was removed: nobody knows how it ended.
            let place = self
                .ledger
                .occupy(Resources::requested(&pod.spec), Vec::new());
            self.launch(pod, place, Begin::Adopt);
            return;
        }
        let request = Resources::requested(&pod.spec);
        if let Some(message) = self.ledger.refusal(request) {
            let warning = Event::warning("FailedScheduling", message.clone());
            event::record(&self.shared.api, "default-scheduler", &pod.object, warning);
            let wait = Wait::Unschedulable(message);
            self.say(&pod, wait.clone());
            self.pods.insert(
                uid,
                Entry {
                    pod,
                    state: State::Waiting(wait),
                },
            );
            return;
        }
        self.queues.push(uid.clone(), request);
        self.pods.insert(
            uid,
            Entry {
                pod,
                state: State::Queued,
            },
        );
    }

    /// Publishes why a pod waits.
    fn say(&self, pod: &Arc<Pod>, wait: Wait) {
        let (shared, pod) = (Arc::clone(&self.shared), Arc::clone(pod));
        tokio::spawn(async move {
            let now = Timestamp::now();
            run::publish(&shared.api, &pod, |old| {
                status::waiting(&pod, old, &wait, now)
            })
            .await;
        });
    }

    /// Starts the pods at the heads of the queues for which there is room.
    fn start_queued(&mut self) {
        if self.stopping {
            return;
        }
        for sized in [false, true] {
            while let Some(uid) = self.queues.head(sized) {
                if let Some(Entry {
                    pod,
                    state: State::Queued,
                }) = self.pods.get(&uid)
                {
                    let Some(place) = self.ledger.take(Resources::requested(&pod.spec)) else {
                        break;
                    };
                    let pod = Arc::clone(pod);
                    let gpus = place.gpus.clone();
                    self.launch(pod, place, Begin::Start(gpus));
                }
                self.queues.pop(sized);
            }
        }
    }

    /// Starts the run of a pod.
    fn launch(&mut self, pod: Arc<Pod>, place: Place, begin: Begin) {
        let (stop, stopped) = watch::channel(Stop::No);
        let (shared, uid) = (Arc::clone(&self.shared), pod.uid.clone());
        let state = State::Running {
            stop,
            place,
            sources: self.sources,
        };
        self.pods.insert(
            uid.clone(),
            Entry {
                pod: pod.clone(),
                state,
            },
        );
        self.runs
            .spawn(async move { (uid, run::run(shared, pod, begin, stopped).await) });
    }

    /// A run has ended: its place is free.
    fn run_ended(&mut self, done: Option<(String, Outcome)>) {
        let Some((uid, outcome)) = done else { return };
        let Some(Entry {
            pod,
            state:
                State::Running {
                    place,
                    stop,
                    sources,
                },
        }) = self.pods.remove(&uid)
        else {
            return;
        };
        self.ledger.release(place);
        let Outcome::Waiting(wait) = outcome else {
            return;
        };
        match *stop.borrow() {
            Stop::Delete(_) => self.delete(pod),
            Stop::Gone => {}
            _ => {
                // What it waits for may have come after it was looked for and before now.
                let is_late = matches!(wait, Wait::Config { .. }) && sources != self.sources;
                let state = if is_late {
                    let request = Resources::requested(&pod.spec);
                    self.queues.push(uid.clone(), request);
                    State::Queued
                } else {
                    State::Waiting(wait)
                };
                self.pods.insert(uid, Entry { pod, state });
            }
        }
    }

    /// The object of a pod is gone.
    fn forget(&mut self, uid: &str) {
        let Some(entry) = self.pods.get(uid) else {
            return;
        };
        if let State::Running { stop, .. } = &entry.state {
            stop.send_if_modified(|now| std::mem::replace(now, Stop::Gone) != Stop::Gone);
        } else {
            self.pods.remove(uid);
        }
    }

    /// A ConfigMap, Secret or claim is new or has changed: pods that wait for one are tried again.
    fn source_changed(&mut self, event: &WatchEvent) {
        let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
            return;
        };
        self.sources += 1;
        let namespace = pod::metadata(object, "namespace");
        let source = (
            object["kind"].as_str().unwrap_or_default(),
            pod::metadata(object, "name"),
        );
        let showing = self.pods.values().filter(|entry| {
            entry.pod.namespace == namespace
                && matches!(entry.state, State::Running { .. })
                && volume::shows(&entry.pod, Some(source))
        });
        for pod in showing
            .map(|entry| Arc::clone(&entry.pod))
            .collect::<Vec<_>>()
        {
            self.refresh(pod);
        }
        for (uid, entry) in &mut self.pods {
            if entry.pod.namespace == namespace
                && matches!(entry.state, State::Waiting(Wait::Config { .. }))
            {
                entry.state = State::Queued;
                self.queues
                    .push(uid.clone(), Resources::requested(&entry.pod.spec));
            }
        }
    }

    /// Ends all pods that run and waits for them.
    async fn stop(&mut self, grace: Duration) {
        self.stopping = true;
        for entry in self.pods.values() {
            if let State::Running { stop, .. } = &entry.state {
                stop.send_if_modified(|now| {
                    let running = *now == Stop::No;
                    if running {
                        *now = Stop::Node(grace.as_secs());
                    }
                    running
                });
            }
        }
        while self.runs.join_next().await.is_some() {}
    }
}

/// Ends what runs in a folder that belongs to no pod any more, and removes it.
async fn sweep(shared: Arc<Shared>, uid: String) -> (String, Outcome) {
    let folder = shared.settings.pod(&uid);
    let mut changes = shared.changes.subscribe(&folder).ok();
    loop {
        let record = holder::record(&folder);
        if record.ended.is_some() || !holder::is_held(&folder, &record) {
            holder::kill_leftovers(&record);
            break;
        }
        if let Err(error) = holder::stop(&folder, None) {
            tracing::warn!(folder = %folder.display(), %error, "cannot stop what runs there");
        }
        match &mut changes {
            Some(changes) => changes.changed().await,
            None => break,
        }
    }
    if let Some(engine) = &shared.settings.engine {
        engine.remove_pod(&uid).await;
    }
    volume::unmount(&folder);
    // What stays is found again by the next node.
    let _ = fs::remove_dir_all(&folder);
    (uid, Outcome::Over)
}

impl Queues {
    fn of(&mut self, sized: bool) -> &mut VecDeque<String> {
        if sized {
            &mut self.sized
        } else {
            &mut self.plain
        }
    }
    fn push(&mut self, uid: String, request: Resources) {
        self.of(request != Resources::default()).push_back(uid);
    }
    fn head(&mut self, sized: bool) -> Option<String> {
        self.of(sized).front().cloned()
    }
    fn pop(&mut self, sized: bool) {
        self.of(sized).pop_front();
    }
}
