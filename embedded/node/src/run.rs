//! One pod from its start, or from where a new node finds it, to its end.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use diwan_embedded::resource::{
    CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, SECRETS, SERVICES,
};
use diwan_embedded::{Api, DeleteOptions, Subresource};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::attend::{self, Attendants};
use crate::cgroup;
use crate::changes::Subscription;
use crate::engine::images::{self, Images};
use crate::event::{self, Event};
use crate::holder;
use crate::ignored::ignored;
use crate::image;
use crate::node::Shared;
use crate::pod::{self, Pod};
use crate::prepare::{self, Blame, Preparation};
use crate::record::{ContainerRecord, Program, Record};
use crate::refusal::Refusal;
use crate::source::Lookup;
use crate::status::{self, Cause, Observed, Readiness, Wait};
use crate::volume;

/// How long to wait before a pod's end is written again, when the API refused it.
const PUBLISH_AGAIN: Duration = Duration::from_secs(1);
/// A pod that ends within this time is published once, when it has ended.
const RUNNING_AFTER: Duration = Duration::from_millis(100);
/// How long what follows a pod may take after its end.
const HOOK_LIMIT: Duration = Duration::from_mins(1);
/// So many seconds are left to a container after what runs before its end, as in the kubelet.
const LEAST_GRACE: u64 = 2;

/// Where a pod's run begins.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Nothing has run yet. The pod may use these graphics processors.
    Start(Vec<u64>),
    /// An earlier node started it.
    Adopt,
}

/// What the node wants of a pod that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Go on.
    No,
    /// The pod is deleted; its processes have this many seconds.
    Delete(u64),
    /// The object is gone already.
    Gone,
    /// The node stops; the pod's processes have at most this many seconds.
    Node(u64),
}

/// Where a pod's run leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is over, and that is published.
    Over,
    /// Nothing was started, because something is missing.
    Waiting(Wait),
}

/// Runs a pod.
pub(crate) async fn run(
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    begin: Begin,
    stop: watch::Receiver<Stop>,
) -> Outcome {
    let child = match begin {
        Begin::Adopt => None,
        Begin::Start(gpus) => {
            bind(&shared.api, &pod).await;
            let Some(images) = images(&shared, &pod, stop.clone()).await else {
                let wanted = *stop.borrow();
                return leave(&shared, &pod, wanted).await;
            };
            match start(&shared, &pod, gpus, images).await {
                Ok(child) => {
                    tell_ignored(&shared, &pod);
                    Some(child)
                }
                Err(blame) => return refuse(&shared, &pod, blame).await,
            }
        }
    };
    let mut run = Run::new(shared, pod, child, stop);
    let record = run.hold().await;
    run.finish(record).await;
    Outcome::Over
}

/// Has the images of a pod ready, where an engine runs its containers. Nothing, when the node wants
/// something else of the pod meanwhile.
async fn images(shared: &Shared, pod: &Pod, mut stop: watch::Receiver<Stop>) -> Option<Images> {
    let Some(engine) = &shared.settings.engine else {
        return Some(Images::new());
    };
    tokio::select! {
        biased;
        Ok(_) = stop.wait_for(|wanted| *wanted != Stop::No) => None,
        images = images::ready(shared, engine, pod) => Some(images),
    }
}

/// Does what the node wants of a pod of which nothing runs.
async fn leave(shared: &Shared, pod: &Pod, wanted: Stop) -> Outcome {
    if let Stop::Delete(_) = wanted {
        delete(&shared.api, pod).await;
    }
    Outcome::Over
}

/// Says once which fields of a pod have no effect here.
fn tell_ignored(shared: &Shared, pod: &Pod) {
    let fields = ignored(&pod.spec, shared.settings.abilities());
    if !fields.is_empty() {
        let text = format!("this machine does not honour {}", fields.join(", "));
        let event = Event::normal("FieldsIgnored", text);
        shared.events.record(&pod.object, event);
    }
}

/// Notes on the pod which node runs it. From then on a deletion waits for the processes.
async fn bind(api: &Api, pod: &Pod) {
    if pod.spec.node_name.is_some() {
        return;
    }
    let scheduler = api.managed_by("kube-scheduler");
    let bound = scheduler.modify(
        &PODS,
        &pod.namespace,
        &pod.name,
        Subresource::None,
        |object| {
            object["spec"]["nodeName"] = json!(pod.node_name);
            pod::metadata(object, "uid") == pod.uid
        },
    );
    if let Err(status) = bound.await {
        tracing::warn!(pod.name, pod.namespace, %status, "cannot bind the pod to the node");
    }
}

/// Prepares the pod's folder and starts its holder.
async fn start(
    shared: &Arc<Shared>,
    pod: &Arc<Pod>,
    gpus: Vec<u64>,
    images: Images,
) -> Result<Child, Blame> {
    let (shared, pod) = (Arc::clone(shared), Arc::clone(pod));
    let task = tokio::task::spawn_blocking(move || {
        let lookup = InNamespace {
            api: &shared.api,
            namespace: &pod.namespace,
        };
        let hook = shared
            .hook
            .as_ref()
            .filter(|_| shared.settings.engine.is_some());
        let folders = hook.map_or_else(Vec::new, |hook| hook.folders(&pod.object));
        let preparation = Preparation {
            pod: &pod,
            settings: &shared.settings,
            lookup: &lookup,
            gpus: &gpus,
            images: &images,
            folders: &folders,
        };
        preparation.prepare()?;
        let folder = shared.settings.pod(&pod.uid);
        holder::spawn(&shared.settings.entrypoint, &folder).map_err(|e| {
            let program = shared.settings.entrypoint.display();
            (
                String::new(),
                Refusal::Broken(format!("cannot start {program}: {e}")),
            )
        })
    });
    task.await
        .unwrap_or_else(|e| Err((String::new(), Refusal::Broken(e.to_string()))))
}

/// Publishes why a pod was not started.
async fn refuse(shared: &Shared, pod: &Pod, (container, refusal): Blame) -> Outcome {
    let message = refusal.to_string();
    let warning = Event::warning("Failed", format!("Error: {message}"));
    event::record(&shared.api, "kubelet", &pod.object, warning);
    let now = Timestamp::now();
    if let Refusal::Waiting(message) = refusal {
        let wait = Wait::Config { container, message };
        publish(&shared.api, pod, |previous| {
            status::waiting(pod, previous, &wait, now)
        })
        .await;
        return Outcome::Waiting(wait);
    }
    let name = if container.is_empty() {
        pod.spec.containers[0].name.clone()
    } else {
        container
    };
    let record = not_started(name, message, now);
    publish(&shared.api, pod, |previous| {
        Observed {
            pod,
            previous,
            record: &record,
            held: false,
            readiness: &Readiness::new(),
            cause: None,
            now,
        }
        .status()
    })
    .await;
    clean(shared, pod).await;
    Outcome::Over
}

/// The record of a pod of which one container could not be started.
fn not_started(container: String, message: String, at: Timestamp) -> Record {
    let current = Program::NotStarted { at, message };
    Record {
        containers: [(container, ContainerRecord::first(current))].into(),
        ended: Some(at),
        ..Record::default()
    }
}

/// Writes a pod's status, unless it is as it was. Returns whether that worked.
pub(crate) async fn publish(
    api: &Api,
    pod: &Pod,
    mut status: impl FnMut(&Value) -> Value + Send,
) -> bool {
    let written = api.modify(
        &PODS,
        &pod.namespace,
        &pod.name,
        Subresource::Status,
        |object| {
            if pod::metadata(object, "uid") != pod.uid {
                return false;
            }
            let new = status(&object["status"]);
            let changed = new != object["status"];
            object["status"] = new;
            changed
        },
    );
    if let Err(status) = written.await {
        tracing::warn!(pod.name, pod.namespace, %status, "cannot write the pod's status");
        return false;
    }
    true
}

/// Removes a pod's folder, and what is left of its containers. Its logs stay.
async fn clean(shared: &Shared, pod: &Pod) {
    let folder = shared.settings.pod(&pod.uid);
    if let Some(engine) = &shared.settings.engine {
        engine.remove_pod(&pod.uid).await;
    }
    volume::unmount(&folder);
    if let Some(base) = &shared.settings.cgroup {
        cgroup::remove(base, &pod.uid);
    }
    match shared.settings.spares.give(&folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), error = %e, "cannot remove the pod's folder");
        }
        _ => {}
    }
}

/// Finds the ConfigMaps and Secrets of a namespace.
pub(crate) struct InNamespace<'a> {
    /// The API.
    pub(crate) api: &'a Api,
    /// The namespace.
    pub(crate) namespace: &'a str,
}

impl Lookup for InNamespace<'_> {
    fn pod(&self, name: &str) -> Option<Arc<Value>> {
        self.api.get(&PODS, self.namespace, name)
    }
    fn config_map(&self, name: &str) -> Option<Arc<Value>> {
        self.api.get(&CONFIG_MAPS, self.namespace, name)
    }
    fn secret(&self, name: &str) -> Option<Arc<Value>> {
        self.api.get(&SECRETS, self.namespace, name)
    }
    fn claim(&self, name: &str) -> Option<Arc<Value>> {
        self.api
            .get(&PERSISTENT_VOLUME_CLAIMS, self.namespace, name)
    }
    fn services(&self) -> Vec<Arc<Value>> {
        self.api.list(&SERVICES, Some(self.namespace)).0
    }
    fn volume(&self, name: &str) -> Option<Arc<Value>> {
        self.api.get(&PERSISTENT_VOLUMES, "", name)
    }
}

/// A pod whose holder runs, or ran.
struct Run {
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    folder: PathBuf,
    /// The holder, when this process started it.
    child: Option<Child>,
    /// With which status the holder ended.
    ended_with: Option<i32>,
    stop: watch::Receiver<Stop>,
    cause: Option<Cause>,
    /// The holder is to be asked to end the pod within so many seconds.
    asked: Option<u64>,
    /// Tells readers of the logs that something happened; they see its end as the pod's.
    live: watch::Sender<()>,
    ended: watch::Sender<bool>,
    hook: Option<JoinHandle<()>>,
    /// What is done for the containers while they run, if anything.
    attendants: Option<Attendants>,
    /// The runs of containers whose wait for the next one was told.
    told: BTreeSet<(String, u32)>,
}

impl Run {
    fn new(
        shared: Arc<Shared>,
        pod: Arc<Pod>,
        child: Option<Child>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let live = watch::Sender::new(());
        shared.live.lock().insert(pod.uid.clone(), live.subscribe());
        let ended = watch::Sender::new(false);
        let hook = shared.hook.as_ref().and_then(|hook| {
            let files = prepare::files(&pod, &shared.settings);
            hook.follow(Arc::clone(&pod.object), files, ended.subscribe())
        });
        let attendants =
            attend::is_needed(&pod).then(|| Attendants::new(Arc::clone(&shared), Arc::clone(&pod)));
        Self {
            attendants,
            told: BTreeSet::new(),
            folder: shared.settings.pod(&pod.uid),
            shared,
            pod,
            child,
            ended_with: None,
            stop,
            cause: None,
            asked: None,
            live,
            ended,
            hook: hook.map(tokio::spawn),
        }
    }

    /// Waits until no process of the pod is left and returns the last record.
    async fn hold(&mut self) -> Record {
        let mut changes = None;
        let quiet = if self.child.is_some() && self.attendants.is_none() {
            RUNNING_AFTER
        } else {
            Duration::ZERO
        };
        let mut publish_at = Some(Instant::now() + quiet);
        let mut deadline = self.deadline();
        loop {
            let soon = publish_at.unwrap_or_else(Instant::now);
            let late = deadline.unwrap_or_else(Instant::now);
            tokio::select! {
                status = exit(&mut self.child) => {
                    self.child = None;
                    self.ended_with = status;
                    // Another holder may have been faster; then its record says how it goes on.
                    changes = changes.or_else(|| self.subscribe());
                }
                () = changed(&mut changes) => {}
                () = readiness_changed(&mut self.attendants) => {}
                () = sleep_until(soon), if publish_at.is_some() => {
                    publish_at = None;
                    changes = changes.or_else(|| self.subscribe());
                }
                () = sleep_until(late), if deadline.is_some() => {
                    deadline = None;
                    self.end(Some(Cause::DeadlineExceeded), self.pod.grace());
                }
                Ok(()) = self.stop.changed() => {
                    self.obey();
                    changes = changes.or_else(|| self.subscribe());
                }
            }
            let record = self.record();
            if record.ended.is_some() || (self.child.is_none() && !self.is_held(&record)) {
                // Read again: the last lines may have come in between.
                return self.record();
            }
            self.pass_on(&record);
            self.tell_waits(&record);
            if let Some(attendants) = &mut self.attendants {
                attendants.observe(&record);
            }
            self.live.send_replace(());
            if publish_at.is_none() {
                self.publish(&record, true).await;
            }
        }
    }

    /// What the holder wrote, with what helps where a program is missing.
    fn record(&self) -> Record {
        let mut record = holder::record(&self.folder);
        if self.shared.settings.engine.is_none() {
            image::explain(&mut record, &self.pod, &self.shared.settings.images);
        }
        record
    }

    fn is_held(&self, record: &Record) -> bool {
        holder::is_held(&self.folder, record)
    }

    fn subscribe(&self) -> Option<Subscription> {
        let subscribed = self.shared.changes.subscribe(&self.folder);
        subscribed
            .inspect_err(|e| {
                tracing::warn!(folder = %self.folder.display(), error = %e, "cannot watch the pod");
            })
            .ok()
    }

    /// When the pod has run for as long as it may.
    fn deadline(&self) -> Option<Instant> {
        let seconds = self.pod.spec.active_deadline_seconds?;
        let started = self.pod.object["status"]["startTime"].as_str();
        let started = started.and_then(|t| t.parse::<Timestamp>().ok());
        let passed = started.map_or(0, |t| Timestamp::now().as_second() - t.as_second());
        Some(Instant::now() + Duration::from_secs((seconds - passed).max(0) as u64))
    }

    /// Does what the node wants.
    fn obey(&mut self) {
        let wanted = *self.stop.borrow_and_update();
        match wanted {
            Stop::No => {}
            Stop::Delete(grace) => self.end(None, grace),
            Stop::Gone => self.end(None, self.pod.grace()),
            Stop::Node(grace) => {
                self.end(Some(Cause::NodeStopped), grace.min(self.pod.grace()));
            }
        }
    }

    /// Ends the pod.
    fn end(&mut self, cause: Option<Cause>, grace: u64) {
        if holder::record(&self.folder).ended.is_none() && self.cause.is_none() {
            self.cause = cause;
        }
        let Some(attendants) = &mut self.attendants else {
            self.asked = Some(grace);
            return;
        };
        attendants.end_within(grace);
        // What runs before the end must not leave a container without time for it.
        self.asked = Some(if grace > 0 { grace + LEAST_GRACE } else { 0 });
    }

    /// Tells once that a container waits to be started again.
    fn tell_waits(&mut self, record: &Record) {
        for (name, container) in &record.containers {
            let key = (name.clone(), container.restarts);
            if container.backoff > 0 && self.told.insert(key) {
                let (pod, namespace, uid) = (&self.pod.name, &self.pod.namespace, &self.pod.uid);
                let text = format!(
                    "Back-off restarting failed container {name} in pod {pod}_{namespace}({uid})"
                );
                let warning = Event::warning("BackOff", text);
                event::record(&self.shared.api, "kubelet", &self.pod.object, warning);
            }
        }
    }

    /// Asks the holder to end the pod, as soon as it can hear that.
    fn pass_on(&mut self, record: &Record) {
        if record.holder.is_none() {
            return;
        }
        let Some(grace) = self.asked.take() else {
            return;
        };
        if let Err(e) = holder::stop(&self.folder, Some(grace)) {
            tracing::warn!(folder = %self.folder.display(), error = %e, "cannot stop the pod");
        }
    }

    async fn publish(&self, record: &Record, held: bool) -> bool {
        let (pod, cause, now) = (&self.pod, self.cause.as_ref(), Timestamp::now());
        let attendants = self.attendants.as_ref();
        let readiness = attendants.map(Attendants::readiness).unwrap_or_default();
        publish(&self.shared.api, pod, |previous| {
            Observed {
                pod,
                previous,
                record,
                held,
                readiness: &readiness,
                cause,
                now,
            }
            .status()
        })
        .await
    }

    /// Lets the hook finish, publishes the end and removes the folder.
    async fn finish(mut self, mut record: Record) {
        if record.ended.is_none() {
            holder::kill_leftovers(&record);
        }
        if !record.started() && self.cause.is_none() {
            let name = self.pod.spec.containers[0].name.clone();
            let message = match self.ended_with {
                Some(code) => format!("the process that holds the pod ended with status {code}"),
                None => "the process that held the pod was killed".to_owned(),
            };
            record.containers = not_started(name, message, Timestamp::now()).containers;
        }
        self.ended.send_replace(true);
        if let Some(mut hook) = self.hook.take()
            && timeout(HOOK_LIMIT, &mut hook).await.is_err()
        {
            hook.abort();
            tracing::warn!(
                pod.name = self.pod.name,
                "what follows the pod did not end in time"
            );
        }
        let wanted = *self.stop.borrow();
        match wanted {
            Stop::Gone => {}
            Stop::Delete(_) => delete(&self.shared.api, &self.pod).await,
            // Until the end is on record the folder must stay, or the pod would be run again.
            Stop::No | Stop::Node(_) => {
                while !self.publish(&record, false).await {
                    sleep(PUBLISH_AGAIN).await;
                }
            }
        }
        clean(&self.shared, &self.pod).await;
        self.shared.live.lock().remove(&self.pod.uid);
    }
}

/// Removes the object of a pod that has ended.
pub(crate) async fn delete(api: &Api, pod: &Pod) {
    let options = DeleteOptions {
        uid: Some(pod.uid.clone()),
        ..DeleteOptions::now()
    };
    match api.delete(&PODS, &pod.namespace, &pod.name, options).await {
        Err(status) if status.code != 404 && status.code != 409 => {
            tracing::warn!(pod.name, pod.namespace, %status, "cannot delete the pod");
        }
        _ => {}
    }
}

/// Waits for the end of a holder that this process started.
async fn exit(child: &mut Option<Child>) -> Option<i32> {
    match child {
        Some(child) => child.wait().await.ok().and_then(|status| status.code()),
        None => std::future::pending().await,
    }
}

/// Waits until a probe finds something new, if there are any.
async fn readiness_changed(attendants: &mut Option<Attendants>) {
    match attendants {
        Some(attendants) => attendants.changed().await,
        None => std::future::pending().await,
    }
}

/// Waits for a change, if anything is watched.
async fn changed(changes: &mut Option<Subscription>) {
    match changes {
        Some(changes) => changes.changed().await,
        None => std::future::pending().await,
    }
}
