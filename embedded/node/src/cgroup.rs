//! Limits of processor and memory through control groups (version 2), where this process may make
//! them: one group for each container that has a limit, below one for all of diwan.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Container;

use crate::quantity;

/// Where control groups are, when they are of version 2 alone.
const ROOT: &str = "/sys/fs/cgroup";
/// In what time a processor's share is counted, in microseconds.
const PERIOD: u64 = 100_000;
/// The kernel refuses less, in microseconds.
const LEAST_QUOTA: u64 = 1000;

/// The group of all containers, if this process may make groups with limits in it.
pub(crate) fn find() -> Option<PathBuf> {
    found_in(Path::new(ROOT))
}

fn found_in(root: &Path) -> Option<PathBuf> {
    root.join("cgroup.controllers").exists().then_some(())?;
    let base = root.join("diwan");
    fs::create_dir_all(&base).ok()?;
    for folder in [root, &base] {
        // Refused where a service manager does it, or nobody may.
        let _ = fs::write(folder.join("cgroup.subtree_control"), "+cpu +memory");
    }
    let enabled = fs::read_to_string(base.join("cgroup.subtree_control")).ok()?;
    let has = |name| {
        enabled
            .split_whitespace()
            .any(|word| word.trim_start_matches('+') == name)
    };
    (has("cpu") && has("memory")).then_some(base)
}

/// Makes the group of a container that has limits.
///
/// # Errors
/// The kernel refuses a limit.
pub(crate) fn make(base: &Path, uid: &str, container: &Container) -> io::Result<Option<PathBuf>> {
    let limits = limits(container);
    if limits.is_empty() {
        return Ok(None);
    }
    let group = base.join(format!("{uid}.{}", container.name));
    fs::create_dir_all(&group)?;
    for (file, value) in limits {
        let written = fs::write(group.join(file), value);
        // Kernels without swap lack the file.
        if file != "memory.swap.max" {
            written?;
        }
    }
    Ok(Some(group))
}

/// Removes the groups of a pod, in which no process is left.
pub(crate) fn remove(base: &Path, uid: &str) {
    let prefix = format!("{uid}.");
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // What stays is empty, and is used again by nobody.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// What is written for a container, by file.
fn limits(container: &Container) -> Vec<(&'static str, String)> {
    let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
    let limit = |name: &str| quantity::parse(&limits?.get(name)?.0);
    let mut files = Vec::new();
    if let Some(memory) = limit("memory") {
        files.push(("memory.max", format!("{memory:.0}")));
        files.push(("memory.swap.max", "0".to_owned()));
        files.push(("memory.oom.group", "1".to_owned()));
    }
    if let Some(cpu) = limit("cpu") {
        let quota = ((cpu * PERIOD as f64) as u64).max(LEAST_QUOTA);
        files.push(("cpu.max", format!("{quota} {PERIOD}")));
    }
    files
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(limits: serde_json::Value) -> Container {
        let object = json!({ "name": "a", "resources": { "limits": limits } });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let base = tempfile::tempdir().unwrap();
        let limited = container(json!({ "memory": "64Mi", "cpu": "1500m" }));
        let group = make(base.path(), "u", &limited).unwrap().unwrap();
        let read = |file: &str| fs::read_to_string(group.join(file)).unwrap();
        assert_eq!(read("memory.max"), "67108864");
        assert_eq!(read("cpu.max"), "150000 100000");
        let tiny = container(json!({ "cpu": "1m" }));
        assert_eq!(limits(&tiny), [("cpu.max", "1000 100000".to_owned())]);
        let free = container(json!({ "nvidia.com/gpu": "1" }));
        assert_eq!(make(base.path(), "u", &free).unwrap(), None);
    }

    #[test]
    fn without_controllers_there_are_no_limits() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(found_in(root.path()), None);
    }
}
