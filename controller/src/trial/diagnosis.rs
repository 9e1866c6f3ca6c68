//! What a trial's pods say about why it does not start, or why it failed.

use std::time::Duration;

use diwan_api::metadata::LABEL_TRIAL;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, LogParams};

use crate::key::Key;
use crate::world::World;

/// How many of the last lines of a log are shown.
const LINES: i64 = 10;
/// How much of them is shown.
const BYTES: usize = 2_000;
/// How long a pod may go on after the trial's program has ended.
const LINGER: Duration = Duration::from_secs(30);
/// How long a log is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a trial does not get going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// One word.
    pub(super) reason: &'static str,
    /// A sentence.
    pub(super) message: String,
}

/// How a trial's pods stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pods {
    /// There are none, or they are about to start.
    Coming,
    /// Something keeps one of them from starting.
    Blocked(Obstacle),
    /// All have started.
    Started,
    /// The trial's program has ended, and its pod should end within this time.
    Ending(Duration),
    /// The trial's program has ended, and its pod goes on.
    Lingering(Obstacle),
}

/// How the trial's pods stand.
pub(super) async fn pods(world: &World, trial: &Key, primary: &str) -> Result<Pods, kube::Error> {
    let found = list(world, trial).await?;
    let Some((pod, container, since)) = found.iter().find_map(|pod| lingering(pod, primary)) else {
        return Ok(judge(&found));
    };
    let age = Duration::try_from(world.now().duration_since(since)).unwrap_or_default();
    let left = LINGER.saturating_sub(age);
    if !left.is_zero() {
        return Ok(Pods::Ending(left));
    }
    let said = read_log(world, pod, container, 1).await;
    let why = said.map_or_else(String::new, |line| format!(": {line}"));
    Ok(Pods::Lingering(Obstacle {
        reason: "TrialLingering",
        message: format!(
            "container {primary} of pod {} has ended, container {container} has not{why}",
            pod.name_any()
        ),
    }))
}

/// The container that keeps a pod from ending, and since when.
fn lingering<'a>(pod: &'a Pod, primary: &str) -> Option<(&'a Pod, &'a str, jiff::Timestamp)> {
    if phase(pod) != Some("Running") {
        return None;
    }
    let statuses = pod.status.as_ref()?.container_statuses.as_deref()?;
    let main = statuses.iter().find(|status| status.name == primary)?;
    let ended = main.state.as_ref()?.terminated.as_ref()?;
    let is_running = |status: &&ContainerStatus| {
        let state = status.state.as_ref();
        state.is_some_and(|state| state.running.is_some())
    };
    let other = statuses.iter().find(is_running)?;
    Some((pod, &other.name, ended.finished_at.as_ref()?.0))
}

/// What keeps a pod of this selector from starting, if anything does.
pub(crate) async fn obstacle_of(world: &World, namespace: &str, selector: &str) -> Option<String> {
    let selector = ListParams::default().labels(selector);
    let pods = world.api::<Pod>(namespace).list(&selector).await.ok()?;
    let stuck = pods.items.iter().find_map(stuck);
    let stuck = stuck.map(|obstacle| obstacle.message);
    stuck.or_else(|| pods.items.iter().find_map(fallen))
}

/// Which container of a pod has ended with an error, to be started again.
fn fallen(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_deref()?;
    statuses.iter().find_map(|container| {
        let ended = container.state.as_ref()?.terminated.as_ref()?;
        (ended.exit_code != 0).then(|| {
            let (name, code) = (&container.name, ended.exit_code);
            format!(
                "container {name} of pod {} ended with exit code {code}",
                pod.name_any()
            )
        })
    })
}

async fn list(world: &World, trial: &Key) -> Result<Vec<Pod>, kube::Error> {
    let selector = ListParams::default().labels(&format!("{LABEL_TRIAL}={}", trial.name));
    Ok(world
        .api::<Pod>(&trial.namespace)
        .list(&selector)
        .await?
        .items)
}

fn judge(pods: &[Pod]) -> Pods {
    if let Some(obstacle) = pods.iter().find_map(obstacle) {
        return Pods::Blocked(obstacle);
    }
    let has_started = |pod: &Pod| phase(pod).is_some_and(|phase| phase != "Pending");
    if !pods.is_empty() && pods.iter().all(has_started) {
        Pods::Started
    } else {
        Pods::Coming
    }
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn obstacle(pod: &Pod) -> Option<Obstacle> {
    let status = pod.status.as_ref()?;
    if status
        .phase
        .as_deref()
        .is_some_and(|phase| phase != "Pending")
    {
        return None;
    }
    stuck(pod)
}

/// What a pod waits for, whether or not it ran before.
fn stuck(pod: &Pod) -> Option<Obstacle> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let unscheduled = conditions.iter().find(|c| {
        c.type_ == "PodScheduled"
            && c.status == "False"
            && c.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no reason is given");
        let message = format!("pod {} can't be scheduled: {why}", pod.name_any());
        return Some(Obstacle {
            reason: "TrialUnschedulable",
            message,
        });
    }
    let of = |list: &Option<Vec<ContainerStatus>>| list.clone().unwrap_or_default();
    let containers = of(&status.init_container_statuses).into_iter();
    containers
        .chain(of(&status.container_statuses))
        .find_map(|container| {
            let waiting = container.state?.waiting?;
            let reason = waiting.reason.filter(|reason| is_stuck(reason))?;
            let message = format!(
                "container {} of pod {} can't start: {reason}: {}",
                container.name,
                pod.name_any(),
                waiting.message.as_deref().unwrap_or("no reason is given"),
            );
            Some(Obstacle {
                reason: "TrialWaiting",
                message,
            })
        })
}

fn is_stuck(reason: &str) -> bool {
    !matches!(reason, "ContainerCreating" | "PodInitializing")
}

/// The last lines of what failed, for the condition of a failed trial.
pub(super) async fn last_lines(world: &World, trial: &Key, primary: &str) -> Option<String> {
    let read = async {
        let pods = list(world, trial).await.ok()?;
        let pod = pods.iter().max_by_key(|pod| failed_last(pod))?;
        let container = culprit(pod, primary);
        let log = read_log(world, pod, container, LINES).await?;
        Some(format!("Last lines of {container}:\n{log}"))
    };
    tokio::time::timeout(PATIENCE, read).await.ok()?
}

/// Why the last pod that failed did, where one is there to be asked.
pub(super) async fn last_failure(world: &World, trial: &Key, primary: &str) -> Option<String> {
    let read = async {
        let pods = list(world, trial).await.ok()?;
        let pod = pods.iter().max_by_key(|pod| failed_last(pod))?;
        let why = failure(pod, primary)?;
        let line = read_log(world, pod, culprit(pod, primary), 1).await;
        Some(line.map_or(why.clone(), |line| format!("{why}: {line}")))
    };
    tokio::time::timeout(PATIENCE, read).await.ok()?
}

/// How a failed pod has ended.
fn failure(pod: &Pod, primary: &str) -> Option<String> {
    let status = pod
        .status
        .as_ref()
        .filter(|_| phase(pod) == Some("Failed"))?;
    let name = pod.name_any();
    if let Some(reason) = &status.reason {
        let message = status.message.as_deref().unwrap_or_default();
        return Some(format!("pod {name} was ended: {reason}: {message}"));
    }
    let container = culprit(pod, primary);
    let mut statuses = status.container_statuses.iter().flatten();
    let ended = statuses.find(|status| status.name == container);
    let ended = ended.and_then(|status| status.state.as_ref()?.terminated.as_ref());
    let Some(ended) = ended else {
        return Some(format!("pod {name} has failed"));
    };
    let reason = ended.reason.as_deref().filter(|reason| *reason != "Error");
    let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
    let code = ended.exit_code;
    Some(format!(
        "container {container} of pod {name} ended with exit code {code}{reason}"
    ))
}

/// The last lines of a container, if there are any and they come in time.
async fn read_log(world: &World, pod: &Pod, container: &str, lines: i64) -> Option<String> {
    let parameters = LogParams {
        container: (!container.is_empty()).then(|| container.to_owned()),
        tail_lines: Some(lines),
        ..LogParams::default()
    };
    let api = world.api::<Pod>(&pod.namespace()?);
    let name = pod.name_any();
    let read = api.logs(&name, &parameters);
    last(&tokio::time::timeout(PATIENCE, read).await.ok()?.ok()?)
}

/// The container whose log tells why the pod failed: the primary one, unless it ended well and
/// another, such as the collector, did not.
fn culprit<'a>(pod: &'a Pod, primary: &'a str) -> &'a str {
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default();
    let exit_code =
        |status: &ContainerStatus| Some(status.state.as_ref()?.terminated.as_ref()?.exit_code);
    let ended_well =
        |status: &ContainerStatus| status.name == primary && exit_code(status) == Some(0);
    let mut failed = statuses
        .iter()
        .filter(|status| exit_code(status).is_some_and(|code| code != 0));
    match failed.next() {
        Some(other) if statuses.iter().any(ended_well) => &other.name,
        _ => primary,
    }
}

/// Failed pods before others, of these the newest.
fn failed_last(pod: &Pod) -> (bool, Option<jiff::Timestamp>) {
    let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
    (phase(pod) == Some("Failed"), created)
}

fn last(log: &str) -> Option<String> {
    let log = log.trim_end();
    let from = log.len().saturating_sub(BYTES);
    let from = (from..=log.len()).find(|&at| log.is_char_boundary(at))?;
    let lines: Vec<&str> = log[from..].lines().rev().take(LINES as usize).collect();
    let text = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    #[test]
    fn a_pod_that_is_too_large_blocks_the_trial() {
        let pod = pod(json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu."
        }]}));
        let message = "pod p can't be scheduled: 0/1 nodes are available: 1 Insufficient cpu.";
        let obstacle = Obstacle {
            reason: "TrialUnschedulable",
            message: message.to_owned(),
        };
        assert_eq!(judge(&[pod]), Pods::Blocked(obstacle));
    }

    #[test]
    fn a_container_that_can_t_start_blocks_the_trial() {
        let pod = pod(json!({"phase": "Pending", "containerStatuses": [{
            "name": "main", "ready": false, "restartCount": 0, "image": "", "imageID": "",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        }]}));
        let message = "container main of pod p can't start: ImagePullBackOff: no such image";
        let obstacle = Obstacle {
            reason: "TrialWaiting",
            message: message.to_owned(),
        };
        assert_eq!(judge(&[pod]), Pods::Blocked(obstacle));
    }

    #[test]
    fn pods_that_run_or_have_ended_have_started() {
        let pods = [
            pod(json!({"phase": "Running"})),
            pod(json!({"phase": "Succeeded"})),
        ];
        assert_eq!(judge(&pods), Pods::Started);
        assert_eq!(judge(&[pod(json!({"phase": "Pending"}))]), Pods::Coming);
        assert_eq!(judge(&[]), Pods::Coming);
    }

    #[test]
    fn a_pod_that_goes_on_after_its_program_lingers() {
        let with = |phase: &str, main: serde_json::Value| {
            let status = |name: &str, state: serde_json::Value| {
                json!({
                    "name": name, "ready": true, "restartCount": 0, "image": "", "imageID": "",
                    "state": state
                })
            };
            let running = json!({"running": {}});
            let statuses = [status("collector", running), status("main", main)];
            pod(json!({"phase": phase, "containerStatuses": statuses}))
        };
        let ended = json!({"terminated": {"exitCode": 0, "finishedAt": "2026-01-02T03:04:05Z"}});
        let pod = with("Running", ended.clone());
        let (_, container, since) = lingering(&pod, "main").unwrap();
        assert_eq!(container, "collector");
        assert_eq!(since.to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(lingering(&pod, "other"), None);
        assert_eq!(
            lingering(&with("Running", json!({"running": {}})), "main"),
            None
        );
        assert_eq!(lingering(&with("Succeeded", ended), "main"), None);
    }

    #[test]
    fn of_a_failed_pod_the_container_that_failed_is_asked() {
        let ended = |main: i32, collector: i32| {
            let status = |name: &str, code: i32| {
                json!({
                    "name": name, "ready": false, "restartCount": 0, "image": "", "imageID": "",
                    "state": {"terminated": {"exitCode": code}}
                })
            };
            let statuses = [status("collector", collector), status("main", main)];
            pod(json!({"phase": "Failed", "containerStatuses": statuses}))
        };
        assert_eq!(culprit(&ended(1, 1), "main"), "main");
        assert_eq!(culprit(&ended(0, 1), "main"), "collector");
        assert_eq!(culprit(&ended(0, 0), "main"), "main");
        assert_eq!(culprit(&pod(json!({"phase": "Failed"})), "main"), "main");
    }

    #[test]
    fn a_failed_pod_tells_how_it_ended() {
        let ended = |reason: &str| {
            json!({"phase": "Failed", "containerStatuses": [{
                "name": "main", "ready": false, "restartCount": 0, "image": "", "imageID": "",
                "state": {"terminated": {"exitCode": 137, "reason": reason}}
            }]})
        };
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "disk is full"});
        for (status, expected) in [
            (
                ended("Error"),
                Some("container main of pod p ended with exit code 137"),
            ),
            (
                ended("OOMKilled"),
                Some("container main of pod p ended with exit code 137 (OOMKilled)"),
            ),
            (evicted, Some("pod p was ended: Evicted: disk is full")),
            (json!({"phase": "Failed"}), Some("pod p has failed")),
            (json!({"phase": "Running"}), None),
        ] {
            assert_eq!(failure(&pod(status), "main").as_deref(), expected);
        }
    }

    #[test]
    fn of_a_log_the_last_lines_are_shown() {
        let log = (0..50)
            .map(|n| format!("line {n}"))
            .collect::<Vec<_>>()
            .join("\n");
        let shown = last(&log).unwrap();
        assert_eq!(shown.lines().count(), 10);
        assert!(shown.starts_with("line 40\n") && shown.ends_with("line 49"));
        assert_eq!(last(" \n"), None);
    }
}
