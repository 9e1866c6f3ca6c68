//! A pod's status as the kubelet writes it, from what the holder recorded. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Map, Value, json};

use crate::pod::{self, Pod};
use crate::record::{ContainerRecord, Program, Record};

/// The exit code of a container whose program could not be started.
const CODE_NOT_STARTED: i32 = 128;
/// The exit code of a container whose end nobody saw.
const CODE_LOST: i32 = 137;

/// Which containers with a readiness probe are ready.
pub(crate) type Readiness = BTreeMap<String, bool>;

/// Why the node itself ended a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It ran longer than `activeDeadlineSeconds`.
    DeadlineExceeded,
    /// The node was stopped. The pod is not to blame, so a Job makes another one.
    NodeStopped,
}

/// What a status is made from.
pub(crate) struct Observed<'a> {
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// The status so far.
    pub(crate) previous: &'a Value,
    /// What its holder wrote.
    pub(crate) record: &'a Record,
    /// A process holds the pod.
    pub(crate) held: bool,
    /// What its readiness probes found.
    pub(crate) readiness: &'a Readiness,
    /// Why the node ended it, if it did.
    pub(crate) cause: Option<&'a Cause>,
    /// When this was seen.
    pub(crate) now: Timestamp,
}

impl Observed<'_> {
    /// Returns the status.
    pub(crate) fn status(&self) -> Value {
        let phase = self.phase();
        let mut status = self.previous.as_object().cloned().unwrap_or_default();
        let start = status.get("startTime").cloned().filter(Value::is_string);
        status.insert("phase".into(), json!(phase));
        status.insert("conditions".into(), self.conditions(phase));
        status.insert("hostIP".into(), json!("127.0.0.1"));
        status.insert("hostIPs".into(), json!([{ "ip": "127.0.0.1" }]));
        let address = self.pod.address();
        status.insert("podIP".into(), json!(address));
        status.insert("podIPs".into(), json!([{ "ip": address }]));
        status.insert(
            "startTime".into(),
            start.unwrap_or_else(|| time(self.started())),
        );
        let inits = self.pod.spec.init_containers.iter().flatten();
        let inits: Vec<Value> = inits.map(|c| self.container(c, true)).collect();
        if !inits.is_empty() {
            status.insert("initContainerStatuses".into(), inits.into());
        }
        let mains = self
            .pod
            .spec
            .containers
            .iter()
            .map(|c| self.container(c, false));
        status.insert("containerStatuses".into(), mains.collect());
        self.reason(&mut status);
        Value::Object(status)
    }

    /// When the pod started: the first program, or now.
    fn started(&self) -> Timestamp {
        let first = |c: &ContainerRecord| match c.current {
            Program::Running { started, .. } | Program::Exited { started, .. } => started,
            Program::NotStarted { at, .. } => at,
        };
        self.record
            .containers
            .values()
            .map(first)
            .min()
            .unwrap_or(self.now)
    }

    /// No process is left, and none will be started.
    fn over(&self) -> bool {
        self.record.ended.is_some() || !self.held
    }

    fn phase(&self) -> &'static str {
        if self.over() {
            let fine =
                |c: &Container| matches!(self.program(c), Some(Program::Exited { code: 0, .. }));
            let succeeded = self.cause.is_none() && self.pod.spec.containers.iter().all(fine);
            return if succeeded { "Succeeded" } else { "Failed" };
        }
        let runs = self
            .pod
            .spec
            .containers
            .iter()
            .any(|c| self.program(c).is_some());
        if runs { "Running" } else { "Pending" }
    }

    fn program(&self, container: &Container) -> Option<&Program> {
        self.record
            .containers
            .get(&container.name)
            .map(|c| &c.current)
    }

    fn initialized(&self) -> bool {
        let fine = |c: &Container| {
            if pod::is_sidecar(c) {
                return self.has_started(c);
            }
            matches!(self.program(c), Some(Program::Exited { code: 0, .. }))
        };
        let mut mains = self.pod.spec.containers.iter();
        mains.any(|c| self.program(c).is_some())
            || self.pod.spec.init_containers.iter().flatten().all(fine)
    }

    /// Whether a container's program runs and has passed its startup probe and hook.
    fn has_started(&self, container: &Container) -> bool {
        self.record
            .containers
            .get(&container.name)
            .is_some_and(|record| {
                // An older holder takes no word about that.
                let known = record.started || !self.record.takes_orders;
                record.pid().is_some() && (known || !pod::is_awaited(container))
            })
    }

    /// Whether a container serves.
    fn is_ready(&self, container: &Container) -> bool {
        let found = || self.readiness.get(&container.name) == Some(&true);
        self.has_started(container) && (container.readiness_probe.is_none() || found())
    }

    /// The containers that must be ready for the pod to be, and are not.
    fn unready(&self) -> Vec<&str> {
        let inits = self.pod.spec.init_containers.iter().flatten();
        let served = inits
            .filter(|c| pod::is_sidecar(c))
            .chain(&self.pod.spec.containers);
        let unready = served.filter(|c| !self.is_ready(c));
        unready.map(|c| c.name.as_str()).collect()
    }

    /// Whether every condition that the pod waits for beside its containers holds.
    fn gates_are_open(&self) -> bool {
        let conditions = self.previous["conditions"].as_array();
        let open = |kind: &str| {
            let mut all = conditions.into_iter().flatten();
            all.any(|c| c["type"] == kind && c["status"] == "True")
        };
        let mut gates = self.pod.spec.readiness_gates.iter().flatten();
        gates.all(|gate| open(&gate.condition_type))
    }

    fn conditions(&self, phase: &str) -> Value {
        let unready = self.unready();
        let served = !self.over() && unready.is_empty();
        let ready = served && self.gates_are_open();
        let why = |on: bool| match phase {
            "Succeeded" => Some("PodCompleted"),
            "Failed" => Some("PodFailed"),
            _ if on => None,
            _ if served => Some("ReadinessGatesNotReady"),
            _ => Some("ContainersNotReady"),
        };
        let initialized = self.initialized();
        let mut rows = vec![
            ("PodReadyToStartContainers", !self.over(), None),
            (
                "Initialized",
                initialized,
                (!initialized).then_some("ContainersNotInitialized"),
            ),
            ("Ready", ready, why(ready)),
            ("ContainersReady", served, why(served)),
            ("PodScheduled", true, None),
        ];
        if self.cause == Some(&Cause::NodeStopped) {
            rows.push(("DisruptionTarget", true, Some("TerminationByKubelet")));
        }
        let text = format!("containers with unready status: [{}]", unready.join(" "));
        let old = self.previous["conditions"].as_array().into_iter().flatten();
        // Those that somebody else sets stay.
        let foreign = old.filter(|c| rows.iter().all(|(kind, ..)| c["type"] != *kind));
        let own = rows.iter().map(|(kind, on, reason)| {
            let mut condition = self.condition(kind, *on, *reason);
            if *reason == Some("ContainersNotReady") {
                condition["message"] = json!(text);
            }
            condition
        });
        own.chain(foreign.cloned()).collect()
    }

    /// One condition; its time changes only when it does.
    fn condition(&self, kind: &str, on: bool, reason: Option<&str>) -> Value {
        let state = if on { "True" } else { "False" };
        let old = self.previous["conditions"].as_array();
        let old = old
            .into_iter()
            .flatten()
            .find(|c| c["type"] == kind && c["status"] == state);
        let since = old.map_or_else(|| time(self.now), |c| c["lastTransitionTime"].clone());
        let mut condition = json!({
            "type": kind, "status": state, "lastProbeTime": null, "lastTransitionTime": since,
        });
        if let Some(reason) = reason {
            condition["reason"] = json!(reason);
        }
        condition
    }

    fn container(&self, container: &Container, init: bool) -> Value {
        let record = self.record.containers.get(&container.name);
        let current = record.map(|r| &r.current);
        let live = !self.over();
        let done = matches!(current, Some(Program::Exited { code: 0, .. }));
        let (state, last) = self.states(container, init, record);
        let restarts = record.map_or(0, |r| r.restarts);
        let mut status = json!({
            "name": container.name,
            "image": container.image.as_deref().unwrap_or_default(),
            "imageID": "",
            "restartCount": restarts,
            "ready": if init && !pod::is_sidecar(container) { done } else { live && self.is_ready(container) },
            "started": live && self.has_started(container),
            "state": state,
            "lastState": last,
        });
        if record.is_some() {
            status["containerID"] = json!(container_id(self.pod, &container.name, restarts));
        }
        status
    }

    /// The current and the last state of a container.
    fn states(
        &self,
        container: &Container,
        init: bool,
        record: Option<&ContainerRecord>,
    ) -> (Value, Value) {
        let Some(record) = record else {
            return (self.not_begun(init), json!({}));
        };
        let last = record
            .previous
            .as_ref()
            .map_or_else(|| json!({}), terminated);
        match &record.current {
            Program::Running { started, .. } if self.over() => (self.lost(*started), last),
            Program::Running { started, .. } => {
                (json!({ "running": { "startedAt": time(*started) } }), last)
            }
            ended if !self.over() && record.backoff > 0 => {
                let message = format!(
                    "back-off {} restarting failed container={} pod={}_{}({})",
                    minutes(record.backoff),
                    container.name,
                    self.pod.name,
                    self.pod.namespace,
                    self.pod.uid
                );
                let waiting = json!({ "reason": "CrashLoopBackOff", "message": message });
                (json!({ "waiting": waiting }), terminated(ended))
            }
            ended => (terminated(ended), last),
        }
    }

    fn not_begun(&self, init: bool) -> Value {
        let reason = match self.pod.spec.init_containers.as_deref() {
            Some([_, ..]) if !init => "PodInitializing",
            _ => "ContainerCreating",
        };
        json!({ "waiting": { "reason": reason } })
    }

    /// The state of a container whose holder vanished.
    fn lost(&self, started: Timestamp) -> Value {
        json!({ "terminated": {
            "exitCode": CODE_LOST,
            "reason": "ContainerStatusUnknown",
            "message": "the process that held the pod was killed, so how the container ended is \
                        not known",
            "startedAt": time(started),
            "finishedAt": time(self.now),
        }})
    }

    /// The pod's own reason and message.
    fn reason(&self, status: &mut Map<String, Value>) {
        let failures = self.pod.containers().filter_map(|c| match self.program(c) {
            Some(Program::NotStarted { message, .. }) => Some(message.clone()),
            _ => None,
        });
        let (reason, message) = match self.cause {
            Some(Cause::DeadlineExceeded) => (
                "DeadlineExceeded",
                "Pod was active on the node longer than the specified deadline".to_owned(),
            ),
            Some(Cause::NodeStopped) => ("Terminated", "the node was stopped".to_owned()),
            None => match failures.into_iter().next() {
                Some(message) if self.over() => ("StartError", message),
                _ => {
                    status.remove("reason");
                    status.remove("message");
                    return;
                }
            },
        };
        status.insert("reason".into(), json!(reason));
        status.insert("message".into(), json!(message));
    }
}

/// The status of a pod that waits: for room on the machine, or for something to be created.
pub(crate) fn waiting(pod: &Pod, previous: &Value, wait: &Wait, now: Timestamp) -> Value {
    let record = Record::default();
    let observed = Observed {
        pod,
        previous,
        record: &record,
        held: true,
        readiness: &Readiness::new(),
        cause: None,
        now,
    };
    let mut status = previous.as_object().cloned().unwrap_or_default();
    status.insert("phase".into(), json!("Pending"));
    let (container, reason, message) = match wait {
        Wait::Unschedulable(message) => {
            let mut condition = observed.condition("PodScheduled", false, Some("Unschedulable"));
            condition["message"] = json!(message);
            status.insert("conditions".into(), json!([condition]));
            return Value::Object(status);
        }
        Wait::Config { container, message } => (container, "CreateContainerConfigError", message),
        Wait::Image {
            container,
            reason,
            message,
        } => (container, *reason, message),
    };
    status.insert("conditions".into(), observed.conditions("Pending"));
    let waiting = |c: &Container, init: bool| {
        let mut status = observed.container(c, init);
        if c.name == *container || container.is_empty() {
            status["state"] = json!({ "waiting": { "reason": reason } });
            if !message.is_empty() {
                status["state"]["waiting"]["message"] = json!(message);
            }
        }
        status
    };
    let inits = pod.spec.init_containers.iter().flatten();
    let inits: Vec<Value> = inits.map(|c| waiting(c, true)).collect();
    if !inits.is_empty() {
        status.insert("initContainerStatuses".into(), inits.into());
    }
    let mains = pod.spec.containers.iter().map(|c| waiting(c, false));
    status.insert("containerStatuses".into(), mains.collect());
    Value::Object(status)
}

/// Why a pod waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The machine is too small for it.
    Unschedulable(String),
    /// Something that it names does not exist yet.
    Config {
        /// The container that needs it; empty for all.
        container: String,
        /// What is missing.
        message: String,
    },
    /// The image of a container cannot be used yet.
    Image {
        /// The container; empty for all.
        container: String,
        /// In one word, as the kubelet has it.
        reason: &'static str,
        /// Why.
        message: String,
    },
}

/// The state of a container whose program ended or could not be started.
fn terminated(program: &Program) -> Value {
    match program {
        Program::Exited {
            started,
            finished,
            code,
            signal,
            message,
            out_of_memory,
        } => {
            let reason = match code {
                0 => "Completed",
                _ if *out_of_memory => "OOMKilled",
                _ => "Error",
            };
            let mut state = json!({
                "exitCode": code, "reason": reason,
                "startedAt": time(*started), "finishedAt": time(*finished),
            });
            if *signal != 0 {
                state["signal"] = json!(signal);
            }
            if !message.is_empty() {
                state["message"] = json!(message);
            }
            json!({ "terminated": state })
        }
        Program::NotStarted { at, message } => json!({ "terminated": {
            "exitCode": CODE_NOT_STARTED, "reason": "StartError", "message": message,
            "startedAt": time(*at), "finishedAt": time(*at),
        }}),
        Program::Running { .. } => json!({}),
    }
}

/// What names one run of a container.
pub(crate) fn container_id(pod: &Pod, container: &str, restarts: u32) -> String {
    format!("diwan://{}/{container}/{restarts}", pod.uid)
}

/// A number of seconds as Go writes it.
fn minutes(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// A time as Kubernetes writes it: whole seconds.
pub(crate) fn time(at: Timestamp) -> Value {
    json!(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::schedule::Resources;

    fn pod(policy: &str) -> Pod {
        let object = json!({
            "metadata": { "name": "p", "namespace": "default", "uid": "u" },
            "spec": {
                "restartPolicy": policy,
                "initContainers": [{ "name": "i" }],
                "containers": [{ "name": "a" }, { "name": "b" }],
            },
            "status": { "phase": "Pending", "qosClass": "BestEffort" },
        });
        Pod::read(Arc::new(object), "node", Resources::default()).unwrap()
    }

    fn observe(policy: &str, record: &str, held: bool) -> Value {
        let (pod, record) = (pod(policy), Record::parse(record));
        let now = Timestamp::from_second(100).unwrap();
        let previous = &pod.object["status"];
        Observed {
            pod: &pod,
            previous,
            record: &record,
            held,
            readiness: &Readiness::new(),
            cause: None,
            now,
        }
        .status()
    }

    const INIT: &str = "hold 1 0\nstart 0 2 1000000000 i\nexit 0 0 0 2000000000 i\n";

    fn check(policy: &str, rest: &str, held: bool, phase: &str, states: [&str; 2]) {
        let status = observe(policy, &format!("{INIT}{rest}"), held);
        assert_eq!(status["phase"], phase, "{rest}");
        for (index, expected) in states.iter().enumerate() {
            let state = status["containerStatuses"][index]["state"]
                .as_object()
                .unwrap();
            let (name, value) = state.iter().next().unwrap();
            let reason = value["reason"].as_str().unwrap_or_default();
            let code = value["exitCode"]
                .as_i64()
                .map(|c| c.to_string())
                .unwrap_or_default();
            assert_eq!(
                format!("{name} {reason} {code}").trim(),
                *expected,
                "{rest}"
            );
        }
    }

    #[test]
    fn the_phase_and_states_follow_the_record() {
        let starting = "waiting PodInitializing";
        let completed = "terminated Completed 0";
        check("Never", "", true, "Pending", [starting, starting]);
        check(
            "Never",
            "start 0 3 3000000000 a\n",
            true,
            "Running",
            ["running", starting],
        );
        let both = "start 0 3 3000000000 a\nstart 0 4 3000000000 b\nexit 0 0 0 4000000000 a\n";
        check("Never", both, true, "Running", [completed, "running"]);
        check("Always", both, true, "Running", [completed, "running"]);
        check(
            "Always",
            &format!("{both}wait 10 a\n"),
            true,
            "Running",
            ["waiting CrashLoopBackOff", "running"],
        );
        let ended = format!("{both}exit 0 0 0 5000000000 b\nend 5000000000\n");
        check("Never", &ended, false, "Succeeded", [completed, completed]);
        let killed = format!("{both}exit 0 137 9 5000000000 b\nend 5000000000\n");
        check(
            "Never",
            &killed,
            false,
            "Failed",
            [completed, "terminated Error 137"],
        );
    }

    /// What a pod with a sidecar `s` and a main container `a` looks like.
    fn sidecar(record: &str, ready: &[&str], probe: bool) -> Value {
        let probe = if probe {
            json!({ "tcpSocket": { "port": 1 } })
        } else {
            Value::Null
        };
        let object = json!({
            "metadata": { "name": "p", "namespace": "default", "uid": "u" },
            "spec": {
                "restartPolicy": "Never",
                "initContainers": [
                    { "name": "s", "restartPolicy": "Always", "startupProbe": probe },
                ],
                "containers": [{ "name": "a", "readinessProbe": probe }],
            },
        });
        let pod = Pod::read(Arc::new(object), "node", Resources::default()).unwrap();
        Observed {
            pod: &pod,
            previous: &Value::Null,
            record: &Record::parse(record),
            held: true,
            readiness: &ready
                .iter()
                .map(|name| ((*name).to_owned(), true))
                .collect(),
            cause: None,
            now: Timestamp::UNIX_EPOCH,
        }
        .status()
    }

    fn conditions(status: &Value) -> String {
        let on = status["conditions"].as_array().unwrap().iter();
        let always = ["PodReadyToStartContainers", "PodScheduled"];
        let on = on.filter(|c| c["status"] == "True" && !always.iter().any(|t| c["type"] == *t));
        let names: Vec<&str> = on.map(|c| c["type"].as_str().unwrap()).collect();
        names.join(" ")
    }

    #[test]
    fn a_pod_is_ready_when_its_sidecars_and_containers_are() {
        let side = "hold 1 0 orders\nstart 0 2 1000000000 s\n";
        let both = format!("{side}started 0 s\nstart 0 3 2000000000 a\n");
        assert_eq!(conditions(&sidecar(side, &[], false)), "Initialized");
        assert_eq!(conditions(&sidecar(side, &[], true)), "");
        let status = sidecar(&both, &[], true);
        assert_eq!(conditions(&status), "Initialized");
        assert_eq!(
            status["conditions"][2]["message"],
            "containers with unready status: [a]"
        );
        let all = "Initialized Ready ContainersReady";
        assert_eq!(conditions(&sidecar(&both, &["a"], true)), all);
        let status = sidecar(&both, &[], false);
        assert_eq!(conditions(&status), all);
        assert_eq!(status["initContainerStatuses"][0]["started"], true);
    }

    #[test]
    fn last_words_and_waits_are_told() {
        let rest = "start 0 3 3000000000 a\nmessage 0 a why\nexit 0 1 0 4000000000 a\nwait 80 a\n";
        let status = observe("Always", &format!("{INIT}{rest}"), true);
        let container = &status["containerStatuses"][0];
        assert_eq!(container["lastState"]["terminated"]["message"], "why");
        assert_eq!(
            container["state"]["waiting"]["message"],
            "back-off 1m20s restarting failed container=a pod=p_default(u)"
        );
    }

    #[test]
    fn a_holder_that_vanished_leaves_an_unknown_end() {
        let rest = "start 0 3 3000000000 a\nstart 0 4 3000000000 b\nexit 0 0 0 4000000000 b\n";
        let lost = "terminated ContainerStatusUnknown 137";
        check(
            "Never",
            rest,
            false,
            "Failed",
            [lost, "terminated Completed 0"],
        );
    }

    #[test]
    fn a_start_error_is_the_pod_s_reason_with_its_text() {
        let status = observe(
            "Never",
            &format!("{INIT}fail 0 3000000000 a program not found: x\nend 4000000000\n"),
            false,
        );
        assert_eq!(
            (&status["reason"], &status["message"]),
            (&json!("StartError"), &json!("program not found: x"))
        );
        let state = &status["containerStatuses"][0]["state"]["terminated"];
        assert_eq!(
            (&state["exitCode"], &state["reason"]),
            (&json!(128), &json!("StartError"))
        );
        assert_eq!(status["startTime"], "1970-01-01T00:00:01Z");
        assert_eq!(status["qosClass"], "BestEffort");
    }
}
