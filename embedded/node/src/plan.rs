//! The words of a plan, as the entrypoint reads them (see its `plan.rs`). Pure.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::holder::Isolation;
use crate::pod::{self, Pod};
use crate::prepare::{Kind, Ready};
use crate::settings::Settings;

/// Writes the words of the plan.
pub(crate) fn plan(pod: &Pod, settings: &Settings, containers: &[Ready<'_>]) -> Vec<u8> {
    let mut words = Words::default();
    words.add(["diwan-pod-1", "isolate", settings.isolation.name()]);
    words.add([
        "restart",
        restart(pod.spec.restart_policy.as_deref()),
        "grace",
        &pod.grace().to_string(),
        "stage",
    ]);
    words.path(&settings.stage);
    if let Some(engine) = &settings.engine {
        words.add(["engine"]);
        words.path(&engine.socket);
    }
    for ready in containers {
        container(&mut words, settings.isolation, ready);
    }
    words.add(["end"]);
    words.0
}

fn restart(policy: Option<&str>) -> &'static str {
    match policy {
        Some("Never") => "never",
        Some("OnFailure") => "onfailure",
        _ => "always",
    }
}

/// Writes the words of one container.
fn container(words: &mut Words, isolation: Isolation, ready: &Ready<'_>) {
    let kind = match ready.kind {
        Kind::Init => "init",
        Kind::Sidecar => "sidecar",
        Kind::Main => "main",
    };
    words.add(["container", &ready.container.name, kind, "log"]);
    words.path(&ready.log);
    words.add(["cwd"]);
    words.path(&ready.working_directory);
    rights(words, ready);
    follow(words, isolation, ready);
    if let Some((file, request)) = &ready.request {
        words.add(["create"]);
        words.path(file);
        words.add([&request.name, &request.signal]);
    }
    for word in &ready.words {
        words.add(["arg", word]);
    }
    for (name, value) in &ready.environment.0 {
        words.add(["env", &format!("{name}={value}")]);
    }
    for mount in &ready.mounts {
        words.add(["mount"]);
        words.path(&mount.source);
        words.path(&mount.target);
        words.add([if mount.read_only { "ro" } else { "rw" }]);
    }
}

/// Writes what the container may.
fn rights(words: &mut Words, ready: &Ready<'_>) {
    let rights = &ready.rights;
    if let Some((uid, gid)) = rights.user {
        words.add(["user", &uid.to_string(), &gid.to_string()]);
    }
    for group in &rights.groups {
        words.add(["group", &group.to_string()]);
    }
    if let Some(cgroup) = &ready.cgroup {
        words.add(["cgroup"]);
        words.path(cgroup);
    }
    if let Some(kept) = rights.capabilities {
        words.add(["capabilities", &kept.to_string()]);
    }
    if rights.no_new_privileges {
        words.add(["nonewprivileges"]);
    }
    if rights.read_only {
        words.add(["readonly"]);
    }
}

/// Writes how the container starts and ends.
fn follow(words: &mut Words, isolation: Isolation, ready: &Ready<'_>) {
    let container = ready.container;
    if isolation != Isolation::None {
        let policy = container.termination_message_policy.as_deref();
        words.add(["message"]);
        words.path(&ready.message);
        words.add([if policy == Some("FallbackToLogsOnError") {
            "logs"
        } else {
            "file"
        }]);
    }
    if pod::is_awaited(container) {
        words.add(["await"]);
    }
    if pod::pre_stop(container).is_some() {
        words.add(["held"]);
    }
    if ready.kind != Kind::Sidecar && container.restart_policy.is_some() {
        words.add(["policy", restart(container.restart_policy.as_deref())]);
    }
}

/// Words, each ended by a NUL byte.
#[derive(Default)]
struct Words(Vec<u8>);

impl Words {
    fn add<const N: usize>(&mut self, words: [&str; N]) {
        for word in words {
            self.0.extend_from_slice(word.as_bytes());
            self.0.push(0);
        }
    }
    fn path(&mut self, path: &Path) {
        self.0.extend_from_slice(path.as_os_str().as_bytes());
        self.0.push(0);
    }
}
