//! The Node object of this machine.

use std::fs;
use std::io;

use diwan_embedded::resource::NODES;
use diwan_embedded::{Api, Status, Subresource};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::schedule::Resources;
use crate::status::time;

/// What the machine has: processors, memory, graphics processors.
pub(crate) fn capacity() -> Resources {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Resources {
        cpu: cpus as u64 * 1000,
        memory: memory().unwrap_or(0),
        gpus: gpus(),
    }
}

fn memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Counts the devices `/dev/nvidia0`, `/dev/nvidia1`, ….
fn gpus() -> u64 {
    let Ok(entries) = fs::read_dir("/dev") else {
        return 0;
    };
    let is_gpu = |name: &str| {
        let number = name.strip_prefix("nvidia");
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(is_gpu))
        .count() as u64
}

/// Writes the Node object: once at the start, so that an idle node writes nothing.
///
/// # Errors
/// The API refuses it.
pub(crate) async fn register(
    api: &Api,
    name: &str,
    capacity: Resources,
    max_pods: usize,
) -> Result<(), Status> {
    let status = status(name, capacity, max_pods, Timestamp::now());
    let node = json!({
        "metadata": { "name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": arch(),
        }},
        "spec": {},
        "status": status,
    });
    match api.create(&NODES, "", node).await {
        Err(refused) if refused.reason == "AlreadyExists" => {}
        outcome => return outcome.map(drop),
    }
    api.modify(&NODES, "", name, Subresource::Status, |node| {
        node["status"] = status.clone();
        true
    })
    .await
    .map(drop)
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(name: &str, capacity: Resources, max_pods: usize, now: Timestamp) -> Value {
    let mut amounts = json!({
        "cpu": format!("{}m", capacity.cpu),
        "memory": format!("{}Ki", capacity.memory / 1024),
        "pods": max_pods.to_string(),
    });
    if capacity.cpu.is_multiple_of(1000) {
        amounts["cpu"] = json!((capacity.cpu / 1000).to_string());
    }
    if capacity.gpus > 0 {
        amounts["nvidia.com/gpu"] = json!(capacity.gpus.to_string());
    }
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "capacity": amounts,
        "allocatable": amounts,
        "addresses": [
            { "type": "InternalIP", "address": "127.0.0.1" },
            { "type": "Hostname", "address": name },
        ],
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "the node starts pods as processes",
            "lastHeartbeatTime": time(now), "lastTransitionTime": time(now),
        }],
        "nodeInfo": {
            "machineID": "", "systemUUID": "", "bootID": boot_id().unwrap_or_default(),
            "kernelVersion": release.trim(),
            "osImage": os_image().unwrap_or_else(|| "Linux".into()),
            "containerRuntimeVersion": format!("diwan://{}", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": format!("diwan-{}", env!("CARGO_PKG_VERSION")),
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": arch(),
        },
    })
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn os_image() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}
