//! The request that has an engine create a container. Pure.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, SecurityContext};
use serde_json::{Map, Value, json};

use crate::engine::images::Image;
use crate::engine::{DATA, Engine, POD};
use crate::environment::Environment;
use crate::mount::Mount;
use crate::pod::Pod;
use crate::quantity;
use crate::refusal::Refusal;

/// The signal that asks a program to end when its image says nothing else.
const SIGTERM: &str = "SIGTERM";
/// The longest name that a machine may have.
const HOST_NAME_MAX: usize = 63;
/// So much of a pod's name is in the names of its containers.
const POD_NAME_MAX: usize = 128;

/// What an engine is to make.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The container's name.
    pub(crate) name: String,
    /// The body of the request.
    pub(crate) body: Value,
    /// The signal that asks its program to end.
    pub(crate) signal: String,
}

/// What a container is made of, beside the pod's own fields.
pub(crate) struct Parts<'a> {
    pub(crate) image: &'a Image,
    pub(crate) environment: &'a Environment,
    pub(crate) mounts: &'a [Mount],
    /// The numbers of the graphics processors that are the pod's.
    pub(crate) gpus: &'a [u64],
}

/// The request for a container.
///
/// # Errors
/// It has no program, or would run as root and must not.
pub(crate) fn request(
    engine: &Engine,
    pod: &Pod,
    container: &Container,
    parts: &Parts<'_>,
) -> Result<Request, Refusal> {
    let own = container.security_context.clone().unwrap_or_default();
    let shared = pod.spec.security_context.clone().unwrap_or_default();
    let image = container.image.as_deref().unwrap_or_default();
    let command = given(container.command.as_deref());
    let arguments = given(container.args.as_deref());
    if command.or(arguments).is_none() && !parts.image.has_program {
        return Err(Refusal::Broken("no command specified".to_owned()));
    }
    check_user(&own, &shared, pod, container, parts.image)?;
    let expand = |words: Option<&[String]>| -> Option<Vec<String>> {
        let words = words?.iter().map(|word| parts.environment.expand(word));
        Some(words.collect())
    };
    let variables = parts.environment.0.iter();
    let variables: Vec<String> = variables
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let body = json!({
        "Image": image,
        "Hostname": &pod.host_name()[..pod.host_name().len().min(HOST_NAME_MAX)],
        "User": user(&own, &shared, parts.image),
        "Env": variables,
        "Entrypoint": expand(command),
        "Cmd": expand(arguments),
        "WorkingDir": directory(container, parts.image),
        "Labels": {
            DATA: engine.data,
            POD: pod.uid,
            "io.kubernetes.pod.name": pod.name,
            "io.kubernetes.pod.namespace": pod.namespace,
            "io.kubernetes.container.name": container.name,
        },
        "HostConfig": host(engine, pod, container, parts, (&own, &shared)),
    });
    let name = &pod.name[..pod.name.len().min(POD_NAME_MAX)];
    Ok(Request {
        name: format!(
            "diwan_{}_{name}_{}_{}",
            container.name, pod.namespace, pod.uid
        ),
        body,
        signal: parts
            .image
            .stop_signal
            .clone()
            .unwrap_or_else(|| SIGTERM.to_owned()),
    })
}

/// Where a container's program starts.
fn directory(container: &Container, image: &Image) -> PathBuf {
    let named = container
        .working_dir
        .as_deref()
        .filter(|dir| !dir.is_empty());
    let named = named.or(image.working_directory.as_deref());
    Path::new("/").join(named.unwrap_or_default())
}

fn given(words: Option<&[String]>) -> Option<&[String]> {
    words.filter(|words| !words.is_empty())
}

/// The rights, limits and mounts of a container.
fn host(
    engine: &Engine,
    pod: &Pod,
    container: &Container,
    parts: &Parts<'_>,
    (own, shared): (&SecurityContext, &PodSecurityContext),
) -> Value {
    let mut host = json!({
        // As processes of this machine have it: what serves on the pod's address is found there.
        "NetworkMode": "host",
        "LogConfig": { "Type": "none" },
        "Privileged": own.privileged == Some(true),
        "ReadonlyRootfs": own.read_only_root_filesystem == Some(true),
        "SecurityOpt": security(own, shared),
        "GroupAdd": groups(shared),
        "Mounts": parts.mounts.iter().map(mount).collect::<Vec<_>>(),
    });
    if pod.spec.host_pid == Some(true) {
        host["PidMode"] = json!("host");
    }
    if pod.spec.host_ipc == Some(true) {
        host["IpcMode"] = json!("host");
    }
    if let Some(capabilities) = &own.capabilities {
        let names = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
        host["CapAdd"] = json!(names(&capabilities.add));
        host["CapDrop"] = json!(names(&capabilities.drop));
    }
    if let Value::Object(host) = &mut host {
        host.extend(limits(container));
        host.extend(devices(engine, parts.gpus));
    }
    host
}

/// Limits of processor and memory.
fn limits(container: &Container) -> Map<String, Value> {
    let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
    let limit = |name: &str| quantity::parse(&limits?.get(name)?.0);
    let mut given = Map::new();
    if let Some(memory) = limit("memory") {
        given.insert("Memory".into(), json!(memory as i64));
        given.insert("MemorySwap".into(), json!(memory as i64));
    }
    if let Some(cpu) = limit("cpu") {
        given.insert("NanoCpus".into(), json!((cpu * 1e9) as i64));
    }
    given
}

/// Graphics processors, as each engine names them.
fn devices(engine: &Engine, gpus: &[u64]) -> Map<String, Value> {
    if gpus.is_empty() {
        return Map::new();
    }
    let request = if engine.is_podman {
        let names: Vec<String> = gpus.iter().map(|n| format!("nvidia.com/gpu={n}")).collect();
        json!({ "Driver": "cdi", "DeviceIDs": names })
    } else {
        let names: Vec<String> = gpus.iter().map(u64::to_string).collect();
        json!({ "Driver": "nvidia", "DeviceIDs": names, "Capabilities": [["gpu"]] })
    };
    [("DeviceRequests".to_owned(), json!([request]))]
        .into_iter()
        .collect()
}

fn mount(mount: &Mount) -> Value {
    json!({
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    })
}

fn security(own: &SecurityContext, shared: &PodSecurityContext) -> Vec<String> {
    // The folders of volumes have no labels for containers, and get none.
    let mut options = vec!["label=disable".to_owned()];
    if own.allow_privilege_escalation == Some(false) {
        options.push("no-new-privileges".to_owned());
    }
    let profile = own
        .seccomp_profile
        .as_ref()
        .or(shared.seccomp_profile.as_ref());
    if profile.is_some_and(|profile| profile.type_ == "Unconfined") {
        options.push("seccomp=unconfined".to_owned());
    }
    options
}

fn groups(shared: &PodSecurityContext) -> Vec<String> {
    let groups = shared
        .supplemental_groups
        .iter()
        .flatten()
        .chain(&shared.fs_group);
    groups.map(i64::to_string).collect()
}

/// The user and group of the program; empty: the image's.
fn user(own: &SecurityContext, shared: &PodSecurityContext, image: &Image) -> String {
    let uid = own.run_as_user.or(shared.run_as_user);
    let gid = own.run_as_group.or(shared.run_as_group);
    let images = image.user.split(':').next().unwrap_or_default();
    match (uid, gid) {
        (None, None) => String::new(),
        (Some(uid), None) => uid.to_string(),
        (Some(uid), Some(gid)) => format!("{uid}:{gid}"),
        (None, Some(gid)) if images.is_empty() => format!("0:{gid}"),
        (None, Some(gid)) => format!("{images}:{gid}"),
    }
}

/// Refuses a container that would run as root and must not, in the kubelet's words.
fn check_user(
    own: &SecurityContext,
    shared: &PodSecurityContext,
    pod: &Pod,
    container: &Container,
    image: &Image,
) -> Result<(), Refusal> {
    if own.run_as_non_root.or(shared.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let wanted = own.run_as_user.or(shared.run_as_user);
    let images = image.user.split(':').next().unwrap_or_default();
    let what = match (wanted, images) {
        (Some(0), _) => "container's runAsUser breaks non-root policy".to_owned(),
        (None, "" | "0" | "root") => {
            "container has runAsNonRoot and image will run as root".to_owned()
        }
        (None, name) if name.parse::<u32>().is_err() => format!(
            "container has runAsNonRoot and image has non-numeric user ({name}), cannot verify \
             user is non-root"
        ),
        _ => return Ok(()),
    };
    Err(Refusal::Waiting(format!(
        "{what} (pod: \"{}_{}({})\", container: {})",
        pod.name, pod.namespace, pod.uid, container.name
    )))
}

/// Where a container that was asked for starts, and what it sees elsewhere: path in the container and
/// on the machine.
pub(crate) fn places(body: &Value) -> (PathBuf, Vec<(PathBuf, PathBuf)>) {
    let path = |value: &Value| value.as_str().map(PathBuf::from);
    let mounts = body["HostConfig"]["Mounts"].as_array();
    let mounts = mounts.into_iter().flatten();
    let mounts =
        mounts.filter_map(|mount| Some((path(&mount["Target"])?, path(&mount["Source"])?)));
    let directory = path(&body["WorkingDir"]);
    (directory.unwrap_or_else(|| "/".into()), mounts.collect())
}

#[cfg(test)]
mod tests;
