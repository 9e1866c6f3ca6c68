//! The Job controller: makes the pods of Jobs and counts how they end.
//!
//! It keeps an index of pods by owner and plans a Job when the Job or one of its pods changes, or
//! when the plan asked to be made again at some time. Pods get names that follow from the Job and
//! the number of the attempt, so a controller that was killed makes no pod twice.

mod index;
mod plan;
mod pod;
mod status;
mod view;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use diwan_embedded::event::{Event, Recorder};
use diwan_embedded::resource::{JOBS, PODS};
use diwan_embedded::{Api, DeleteOptions, Subresource, WatchEvent};
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use self::plan::{Action, Plan, Situation};
use self::pod::Attempt;
use self::view::PodView;
use crate::object::metadata;

/// A status that only counts is written this late, so that a short Job has one write, its end.
const WRITE_AFTER: Duration = Duration::from_millis(100);
/// The longest wait before a pod that was refused is tried again.
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// The name under which the controller writes events.
const COMPONENT: &str = "job-controller";

/// A running Job controller. Dropping it ends it.
pub(crate) struct JobController {
    worker: JoinHandle<()>,
}

impl JobController {
    /// Starts the controller; pods go to the node of that name. To be called within a Tokio
    /// runtime.
    pub(crate) fn start(api: Api, node_name: impl Into<String>) -> Self {
        let events = Recorder::new(api.clone(), COMPONENT);
        let worker = Worker {
            api,
            node_name: node_name.into(),
            events,
            jobs: HashMap::new(),
            pods: HashMap::new(),
            wakes: BTreeSet::new(),
            tasks: JoinSet::new(),
        };
        Self {
            worker: tokio::spawn(worker.work()),
        }
    }
}

impl Drop for JobController {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// What the controller knows of a Job.
struct Entry {
    job: Arc<Value>,
    /// Attempts whose pods are being created and were not seen yet, with their indexes.
    creating: HashMap<u32, Option<u32>>,
    /// No attempt below this number is made any more.
    next: u32,
    /// A plan is being carried out.
    busy: bool,
    /// Something changed since.
    dirty: bool,
    /// Since when a status waits to be written.
    pending: Option<Instant>,
    /// Refusals of pods in a row, and until when to wait after them.
    refusals: u32,
    retry_at: Option<Instant>,
}

/// What came of carrying out a plan.
#[derive(Default)]
struct Done {
    uid: String,
    /// The Job after its status was written.
    job: Option<Arc<Value>>,
    /// Attempts that made no pod, because another pod has the name.
    taken: Vec<u32>,
    /// Attempts that made no pod, because the API refused it.
    refused: Vec<u32>,
    /// Something else of the plan could not be done.
    failed: bool,
}

struct Worker {
    api: Api,
    node_name: String,
    events: Recorder,
    jobs: HashMap<String, Entry>,
    /// Pods by the Job that owns them, then by their own identifier.
    pods: HashMap<String, HashMap<String, PodView>>,
    /// When Jobs are to be planned again.
    wakes: BTreeSet<(Instant, String)>,
    tasks: JoinSet<Done>,
}

impl Worker {
    async fn work(mut self) {
        let api = self.api.clone();
        loop {
            // Pods first: a Job must never be planned without the pods it has.
            let (pods, pods_version) = api.list(&PODS, None);
            let (jobs, jobs_version) = api.list(&JOBS, None);
            self.synchronise(pods, jobs);
            let mut pods = pin!(api.watch(&PODS, None, pods_version));
            let mut jobs = pin!(api.watch(&JOBS, None, jobs_version));
            loop {
                let wake = self.wakes.first().map_or_else(Instant::now, |(at, _)| *at);
                tokio::select! {
                    biased;
                    event = pods.next() => match event {
                        Some(WatchEvent::Added(pod) | WatchEvent::Modified(pod)) => self.pod(&pod),
                        Some(WatchEvent::Deleted(pod)) => self.pod_gone(&pod),
                        Some(WatchEvent::Expired) => break,
                        None => return,
                    },
                    event = jobs.next() => match event {
                        Some(WatchEvent::Added(job) | WatchEvent::Modified(job)) => self.job(job),
                        Some(WatchEvent::Deleted(job)) => {
                            self.jobs.remove(metadata(&job, "uid"));
                        }
                        Some(WatchEvent::Expired) => break,
                        None => return,
                    },
                    Some(done) = self.tasks.join_next() => self.done(done.unwrap_or_default()),
                    () = sleep_until(wake), if !self.wakes.is_empty() => self.wake(),
                }
            }
        }
    }

    fn synchronise(&mut self, pods: Vec<Arc<Value>>, jobs: Vec<Arc<Value>>) {
        self.pods.clear();
        for pod in pods {
            self.index(&pod);
        }
        let live: HashSet<&str> = jobs.iter().map(|job| metadata(job, "uid")).collect();
        self.jobs.retain(|uid, _| live.contains(uid.as_str()));
        for job in jobs {
            self.take(job);
        }
        // What pods did between two watches nobody has told: all Jobs are looked at.
        let all: Vec<String> = self.jobs.keys().cloned().collect();
        for uid in all {
            if let Some(entry) = self.jobs.get_mut(&uid).filter(|entry| !entry.busy) {
                entry.creating.clear();
            }
            self.plan(&uid);
        }
    }

    /// Takes a pod into the index; returns the owner.
    fn index(&mut self, pod: &Value) -> Option<String> {
        let owner = view::owner(pod)?.to_owned();
        let view = PodView::read(pod);
        if let Some(entry) = self.jobs.get_mut(&owner) {
            entry.creating.remove(&view.attempt);
            entry.next = entry.next.max(view.attempt.saturating_add(1));
        }
        let uid = metadata(pod, "uid").to_owned();
        self.pods
            .entry(owner.clone())
            .or_default()
            .insert(uid, view);
        Some(owner)
    }

    fn pod(&mut self, pod: &Value) {
        if let Some(owner) = self.index(pod) {
            self.plan(&owner);
        }
    }

    fn pod_gone(&mut self, pod: &Value) {
        let Some(owner) = view::owner(pod).map(str::to_owned) else {
            return;
        };
        if let Some(pods) = self.pods.get_mut(&owner) {
            pods.remove(metadata(pod, "uid"));
            if pods.is_empty() {
                self.pods.remove(&owner);
            }
        }
        self.plan(&owner);
    }

    fn job(&mut self, job: Arc<Value>) {
        if let Some(uid) = self.take(job) {
            self.plan(&uid);
        }
    }

    /// Takes a Job over as it is now; returns which, if that is new.
    fn take(&mut self, job: Arc<Value>) -> Option<String> {
        let uid = metadata(&job, "uid").to_owned();
        match self.jobs.get_mut(&uid) {
            Some(entry) if is_newer(&job, &entry.job) => entry.job = job,
            Some(_) => return None,
            None => {
                let attempts = self.pods.get(&uid).into_iter().flat_map(HashMap::values);
                let next = attempts
                    .map(|pod| pod.attempt.saturating_add(1))
                    .max()
                    .unwrap_or(0);
                let entry = Entry {
                    job,
                    creating: HashMap::new(),
                    next,
                    busy: false,
                    dirty: false,
                    pending: None,
                    refusals: 0,
                    retry_at: None,
                };
                self.jobs.insert(uid.clone(), entry);
            }
        }
        Some(uid)
    }

    fn wake(&mut self) {
        if let Some((at, uid)) = self.wakes.pop_first() {
            if at > Instant::now() {
                self.wakes.insert((at, uid));
                return;
            }
            self.plan(&uid);
        }
    }

    /// Plans a Job and starts to carry the plan out, unless one is being carried out.
    fn plan(&mut self, uid: &str) {
        let Some(entry) = self.jobs.get_mut(uid) else {
            return;
        };
        if entry.busy {
            entry.dirty = true;
            return;
        }
        let pods = self
            .pods
            .get(uid)
            .into_iter()
            .flat_map(HashMap::values)
            .collect();
        let now = Timestamp::now();
        let situation = Situation {
            job: &entry.job,
            pods,
            creating: entry.creating.values().copied().collect(),
            now,
        };
        let mut plan = plan::plan(&situation);
        if let Some(seconds) = plan.wake_after {
            self.wakes
                .insert((Instant::now() + seconds, uid.to_owned()));
        }
        entry.hold_back(&mut plan, |at| {
            self.wakes.insert((at, uid.to_owned()));
        });
        if plan.is_empty() {
            return;
        }
        let mut indexes = plan.indexes.iter().copied();
        let attempts: Vec<Attempt> = (entry.next..=u32::MAX)
            .take(plan.create)
            .map(|number| Attempt {
                number,
                index: indexes.next(),
            })
            .collect();
        entry.next = entry.next.saturating_add(plan.create as u32);
        let numbered = attempts
            .iter()
            .map(|attempt| (attempt.number, attempt.index));
        entry.creating.extend(numbered);
        entry.busy = true;
        entry.pending = None;
        let means = Means {
            api: self.api.clone(),
            node: self.node_name.clone(),
            events: self.events.clone(),
        };
        let job = Arc::clone(&entry.job);
        self.tasks
            .spawn(async move { carry_out(&means, &job, attempts, plan).await });
    }

    fn done(&mut self, done: Done) {
        let Some(entry) = self.jobs.get_mut(&done.uid) else {
            return;
        };
        entry.busy = false;
        if let Some(job) = done.job
            && is_newer(&job, &entry.job)
        {
            entry.job = job;
        }
        for attempt in done.taken.iter().chain(&done.refused) {
            entry.creating.remove(attempt);
        }
        if done.refused.is_empty() && !done.failed {
            entry.refusals = 0;
        } else {
            let wait = Duration::from_secs(1 << entry.refusals.min(10)).min(LONGEST_RETRY);
            entry.refusals += 1;
            entry.retry_at = Some(Instant::now() + wait);
        }
        let is_dirty = std::mem::take(&mut entry.dirty);
        if let Some(at) = entry.retry_at.filter(|_| done.failed) {
            self.wakes.insert((at, done.uid));
        } else if is_dirty || !done.taken.is_empty() || !done.refused.is_empty() {
            self.plan(&done.uid);
        }
    }
}

impl Entry {
    /// Takes out of a plan what is to be done later, and says when.
    fn hold_back(&mut self, plan: &mut Plan, mut wake: impl FnMut(Instant)) {
        let now = Instant::now();
        if let Some(at) = self.retry_at.filter(|at| *at > now && plan.create > 0) {
            plan.forgo_pods();
            wake(at);
        }
        if plan.status.is_none() || plan.urgent {
            return;
        }
        let due = *self.pending.get_or_insert(now + WRITE_AFTER);
        if due > now {
            plan.status = None;
            wake(due);
        }
    }
}

/// Whether an object is a later version than another.
fn is_newer(new: &Value, old: &Value) -> bool {
    let version = |object| {
        metadata(object, "resourceVersion")
            .parse::<u64>()
            .unwrap_or(0)
    };
    version(new) > version(old)
}

/// With what plans are carried out.
struct Means {
    api: Api,
    node: String,
    events: Recorder,
}

/// Does what a plan says.
async fn carry_out(means: &Means, job: &Value, attempts: Vec<Attempt>, plan: Plan) -> Done {
    let api = &means.api;
    let (name, namespace) = (metadata(job, "name"), metadata(job, "namespace"));
    let mut done = Done {
        uid: metadata(job, "uid").to_owned(),
        ..Done::default()
    };
    let created = attempts
        .into_iter()
        .map(|attempt| async move { (attempt, create(means, job, attempt).await) });
    for (attempt, outcome) in futures::future::join_all(created).await {
        match outcome {
            Created::Done => {}
            Created::Taken => done.taken.push(attempt.number),
            Created::Refused => done.refused.push(attempt.number),
        }
    }
    for action in plan.actions {
        match action {
            // A pod that is gone already is as good as deleted.
            Action::DeletePod(pod) => {
                let options = DeleteOptions::background();
                let deleted = api.delete(&PODS, namespace, &pod, options).await;
                done.failed |= deleted.is_err_and(|status| status.reason != "NotFound");
            }
            Action::DeleteJob => {
                let uid = Some(done.uid.clone());
                let options = DeleteOptions {
                    uid,
                    ..DeleteOptions::background()
                };
                let deleted = api.delete(&JOBS, namespace, name, options).await;
                let is_other = |status: &str| !matches!(status, "NotFound" | "Conflict");
                done.failed |= deleted.is_err_and(|status| is_other(&status.reason));
            }
            Action::Event(event) => means.events.record(job, event),
        }
    }
    if let Some(status) = plan.status {
        let written = api.modify(&JOBS, namespace, name, Subresource::Status, |current| {
            current["status"] = status.clone();
            metadata(current, "uid") == done.uid
        });
        match written.await {
            Ok(job) => done.job = job,
            Err(status) => {
                done.failed |= status.reason != "NotFound";
                tracing::warn!(job.name = name, namespace, %status, "cannot write the status");
            }
        }
    }
    done
}

/// What came of creating a pod.
enum Created {
    /// It is there.
    Done,
    /// Another pod has its name.
    Taken,
    /// The API refuses it.
    Refused,
}

async fn create(means: &Means, job: &Value, attempt: Attempt) -> Created {
    let Means { api, node, events } = means;
    let namespace = metadata(job, "namespace");
    let pod = pod::pod(job, node, attempt);
    let name = metadata(&pod, "name").to_owned();
    match api.create(&PODS, namespace, pod).await {
        Ok(_) => {
            let event = Event::normal("SuccessfulCreate", format!("Created pod: {name}"));
            events.record(job, event);
            Created::Done
        }
        Err(status) if status.reason == "AlreadyExists" => {
            let existing = api.get(&PODS, namespace, &name);
            let ours = existing.is_some_and(|pod| {
                view::owner(&pod) == Some(metadata(job, "uid"))
                    && PodView::read(&pod).attempt == attempt.number
            });
            if ours { Created::Done } else { Created::Taken }
        }
        Err(status) => {
            let event = Event::warning("FailedCreate", format!("Error creating: {status}"));
            events.record(job, event);
            Created::Refused
        }
    }
}
