//! What is done for containers while they run: probes and hooks, and the orders to the holder that
//! follow from them.
//!
//! Nothing of it is on disk but what the holder echoes: a new node asks the probes anew, runs a
//! `postStart` hook again when nobody said that the container has started, and a `preStop` hook
//! again while the pod is ending.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Probe};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::event::{self, Event};
use crate::exec::Inside;
use crate::holder;
use crate::node::Shared;
use crate::pod::{self, Pod};
use crate::probe::{self, Tally, Timing};
use crate::record::{Program, Record};
use crate::status::{Readiness, container_id};

/// Attends to the containers of one pod.
pub(crate) struct Attendants {
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    readiness: watch::Sender<Readiness>,
    changes: watch::Receiver<Readiness>,
    /// What is done for a run of a container while it runs.
    while_running: HashMap<(String, u32), AbortOnDropHandle<()>>,
    /// What is done for it before it is asked to end.
    at_end: HashMap<(String, u32), AbortOnDropHandle<()>>,
    /// So many seconds may that take.
    grace: u64,
}

/// Whether anything is to be done for a pod beside waiting.
pub(crate) fn is_needed(pod: &Pod) -> bool {
    pod.containers().any(is_attended)
}

fn is_attended(container: &Container) -> bool {
    pod::is_awaited(container)
        || pod::pre_stop(container).is_some()
        || container.readiness_probe.is_some()
        || container.liveness_probe.is_some()
}

impl Attendants {
    pub(crate) fn new(shared: Arc<Shared>, pod: Arc<Pod>) -> Self {
        let readiness = watch::Sender::new(Readiness::new());
        let changes = readiness.subscribe();
        let grace = pod.grace();
        Self {
            shared,
            pod,
            readiness,
            changes,
            while_running: HashMap::new(),
            at_end: HashMap::new(),
            grace,
        }
    }

    /// What the readiness probes found.
    pub(crate) fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    /// Waits until the readiness of a container changes.
    pub(crate) async fn changed(&mut self) {
        // The sender is here too.
        let _ = self.changes.changed().await;
    }

    /// What is done before the end may take so many seconds.
    pub(crate) fn end_within(&mut self, grace: u64) {
        self.grace = grace;
    }

    /// Begins what is due for the containers that run and gives up what is done for others.
    pub(crate) fn observe(&mut self, record: &Record) {
        if !record.takes_orders {
            return;
        }
        let runs = |(name, run): &(String, u32)| {
            let container = record.containers.get(name);
            container.is_some_and(|c| c.restarts == *run && c.pid().is_some())
        };
        self.while_running
            .retain(|key, _| runs(key) && !record.ending);
        self.at_end.retain(|key, _| runs(key));
        let ready = |name: &String| {
            let container = record.containers.get(name);
            container.is_some_and(|c| c.pid().is_some())
        };
        self.readiness.send_if_modified(|all| {
            let before = all.len();
            all.retain(|name, _| ready(name));
            all.len() != before
        });
        let pod = Arc::clone(&self.pod);
        for container in pod.containers().filter(|c| is_attended(c)) {
            self.attend(record, container);
        }
    }

    fn attend(&mut self, record: &Record, container: &Container) {
        let Some(known) = record.containers.get(&container.name) else {
            return;
        };
        let Program::Running { pid, started } = known.current else {
            return;
        };
        let key = (container.name.clone(), known.restarts);
        let attendant = || Attendant {
            shared: Arc::clone(&self.shared),
            pod: Arc::clone(&self.pod),
            container: container.clone(),
            run: known.restarts,
            pid,
            started,
            readiness: self.readiness.clone(),
        };
        if record.ending {
            if let Some(hook) = pod::pre_stop(container)
                && !self.at_end.contains_key(&key)
            {
                let (attendant, hook, grace) = (attendant(), hook.clone(), self.grace);
                let task = tokio::spawn(async move {
                    attendant.before_end(&hook, grace).await;
                    attendant.order("go", "");
                });
                self.at_end.insert(key, AbortOnDropHandle::new(task));
            }
        } else if !self.while_running.contains_key(&key) {
            self.keep_readiness(container, known.restarts);
            let task: JoinHandle<()> = tokio::spawn(attendant().attend(known.started));
            self.while_running.insert(key, AbortOnDropHandle::new(task));
        }
    }

    /// A run that an earlier node found ready is so until a probe says something else.
    fn keep_readiness(&self, container: &Container, run: u32) {
        let id = container_id(&self.pod, &container.name, run);
        let mut statuses = ["initContainerStatuses", "containerStatuses"]
            .into_iter()
            .flat_map(|list| {
                self.pod.object["status"][list]
                    .as_array()
                    .into_iter()
                    .flatten()
            });
        if statuses.any(|s| s["containerID"] == id.as_str() && s["ready"] == true) {
            self.readiness.send_modify(|all| {
                all.insert(container.name.clone(), true);
            });
        }
    }
}

/// Attends to one run of a container.
struct Attendant {
    shared: Arc<Shared>,
    pod: Arc<Pod>,
    container: Container,
    run: u32,
    pid: i32,
    started: Timestamp,
    readiness: watch::Sender<Readiness>,
}

impl Attendant {
    /// Does all that is to be done while the container runs.
    async fn attend(self, has_started: bool) {
        if !has_started && pod::is_awaited(&self.container) {
            if !self.has_started().await {
                return;
            }
            self.order("started", "");
        }
        tokio::join!(self.watch_readiness(), self.watch_liveness());
    }

    /// Runs the hook and asks the startup probe; returns whether the container has started.
    async fn has_started(&self) -> bool {
        let hook = self.container.lifecycle.as_ref();
        if let Some(hook) = hook.and_then(|lifecycle| lifecycle.post_start.as_ref())
            && let Err(error) = self.hook(hook).await
        {
            self.warn(
                "FailedPostStartHook",
                format!("PostStartHook failed: {error}"),
            );
            self.kill("FailedPostStartHook", None).await;
            return false;
        }
        let Some(probe) = &self.container.startup_probe else {
            return true;
        };
        let started = self.until(probe, "Startup", |_| true).await;
        if !started {
            self.kill(
                "failed startup probe",
                probe.termination_grace_period_seconds,
            )
            .await;
        }
        started
    }

    async fn watch_readiness(&self) {
        let Some(probe) = &self.container.readiness_probe else {
            return;
        };
        let name = &self.container.name;
        let tell = |ready| {
            self.readiness
                .send_if_modified(|all| all.insert(name.clone(), ready) != Some(ready));
            false
        };
        self.until(probe, "Readiness", tell).await;
    }

    async fn watch_liveness(&self) {
        let Some(probe) = &self.container.liveness_probe else {
            return;
        };
        self.until(probe, "Liveness", |alive| !alive).await;
        self.kill(
            "failed liveness probe",
            probe.termination_grace_period_seconds,
        )
        .await;
    }

    /// Asks a probe again and again until what is known is enough; returns what is known.
    async fn until(&self, probe: &Probe, kind: &str, enough: impl Fn(bool) -> bool) -> bool {
        let host = self.pod.address().to_string();
        let timing = Timing::of(probe);
        let mut tally = Tally::new(timing);
        let ran = Timestamp::now().duration_since(self.started);
        let ran = Duration::try_from(ran).unwrap_or_default();
        let mut ticks = interval_at(timing.first(Instant::now(), ran), timing.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = probe::ask(probe, &self.container, &self.inside(), &host).await;
            if let Err(message) = &answer {
                self.warn(
                    "Unhealthy",
                    format!("{kind} probe failed: {}", message.trim_end()),
                );
            }
            if let Some(known) = tally.add(answer.is_ok())
                && enough(known)
            {
                return known;
            }
        }
    }

    /// Ends the run, after its hook.
    async fn kill(&self, why: &str, grace: Option<i64>) {
        let name = &self.container.name;
        let never = self.pod.spec.restart_policy.as_deref() == Some("Never");
        let again = if pod::is_sidecar(&self.container) || !never {
            ", will be restarted"
        } else {
            ""
        };
        let event = Event::normal("Killing", format!("Container {name} {why}{again}"));
        event::record(&self.shared.api, "kubelet", &self.pod.object, event);
        let grace = grace.map_or_else(|| self.pod.grace(), |seconds| seconds.max(0) as u64);
        if let Some(hook) = pod::pre_stop(&self.container) {
            self.before_end(hook, grace).await;
        }
        self.order("kill", &format!("{grace} "));
    }

    /// Runs a hook before the container is asked to end.
    async fn before_end(&self, hook: &LifecycleHandler, grace: u64) {
        let limit = Duration::from_secs(grace);
        let outcome = timeout(limit, self.hook(hook)).await;
        if let Ok(Err(error)) = outcome {
            self.warn("FailedPreStopHook", format!("PreStopHook failed: {error}"));
        }
    }

    async fn hook(&self, hook: &LifecycleHandler) -> Result<(), String> {
        if let Some(action) = &hook.exec {
            let words = action.command.clone().unwrap_or_default();
            return match self.inside().output(&words).await? {
                (0, _) => Ok(()),
                (code, output) => {
                    let words = words.join(" ");
                    Err(format!("command '{words}' exited with {code}: {output}"))
                }
            };
        }
        if let Some(action) = &hook.http_get {
            return probe::get(action, &self.container, &self.pod.address().to_string()).await;
        }
        if let Some(action) = &hook.sleep {
            sleep(Duration::from_secs(action.seconds.max(0) as u64)).await;
        }
        Ok(())
    }

    fn inside(&self) -> Inside {
        Inside {
            entrypoint: self.shared.settings.entrypoint.clone(),
            folder: self.shared.settings.pod(&self.pod.uid),
            container: self.container.name.clone(),
            pid: self.pid,
        }
    }

    /// Tells the holder something about this run.
    fn order(&self, word: &str, argument: &str) {
        let folder = self.shared.settings.pod(&self.pod.uid);
        let line = format!("{word} {} {argument}{}", self.run, self.container.name);
        if let Err(error) = holder::order(&folder, &line) {
            tracing::warn!(folder = %folder.display(), %error, "cannot tell the holder of the pod");
        }
    }

    fn warn(&self, reason: &'static str, message: String) {
        let event = Event::warning(reason, message);
        event::record(&self.shared.api, "kubelet", &self.pod.object, event);
    }
}
