//! What a pod asks for and a process cannot have, so that somebody is told. Pure.

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, PodSpec, Volume};

/// What this machine can do for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Containers may be other users.
    pub(crate) users: bool,
    /// Containers have mounts of their own.
    pub(crate) mounts: bool,
    /// Folders can be kept in memory.
    pub(crate) memory: bool,
    /// Processors and memory can be limited.
    pub(crate) limits: bool,
}

/// The paths of the fields of a pod that have no effect.
pub(crate) fn ignored(spec: &PodSpec, can: Abilities) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |given: bool, path: &str| {
        if given {
            found.push(format!("spec.{path}"));
        }
    };
    add(spec.dns_config.is_some(), "dnsConfig");
    add(spec.host_aliases.is_some(), "hostAliases");
    add(spec.host_users == Some(false), "hostUsers");
    add(spec.node_selector.is_some(), "nodeSelector");
    add(spec.affinity.is_some(), "affinity");
    add(spec.runtime_class_name.is_some(), "runtimeClassName");
    add(
        spec.share_process_namespace == Some(true),
        "shareProcessNamespace",
    );
    if let Some(context) = &spec.security_context {
        for (given, field) in pod_context(context, can) {
            add(given, &format!("securityContext.{field}"));
        }
    }
    for volume in spec.volumes.iter().flatten() {
        let limited = has_idle_limit(volume, can);
        add(
            limited,
            &format!("volumes[{}].emptyDir.sizeLimit", volume.name),
        );
    }
    let inits = spec
        .init_containers
        .iter()
        .flatten()
        .map(|c| ("initContainers", c));
    let mains = spec.containers.iter().map(|c| ("containers", c));
    for (list, container) in inits.chain(mains) {
        for (given, field) in of_container(container, can) {
            add(given, &format!("{list}[{}].{field}", container.name));
        }
    }
    found
}

fn pod_context(context: &PodSecurityContext, can: Abilities) -> [(bool, &'static str); 6] {
    [
        (context.se_linux_options.is_some(), "seLinuxOptions"),
        (context.seccomp_profile.is_some(), "seccompProfile"),
        (context.app_armor_profile.is_some(), "appArmorProfile"),
        (context.sysctls.is_some(), "sysctls"),
        (context.fs_group.is_some() && !can.users, "fsGroup"),
        (
            context.supplemental_groups.is_some() && !can.users,
            "supplementalGroups",
        ),
    ]
}

/// Whether the size of an empty folder is limited and nobody looks.
fn has_idle_limit(volume: &Volume, can: Abilities) -> bool {
    volume.empty_dir.as_ref().is_some_and(|empty| {
        let kept = empty.medium.as_deref() == Some("Memory") && can.memory;
        empty.size_limit.is_some() && !kept
    })
}

fn of_container(container: &Container, can: Abilities) -> Vec<(bool, &'static str)> {
    let context = container.security_context.clone().unwrap_or_default();
    let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref());
    let limited = |name: &str| !can.limits && limits.is_some_and(|all| all.contains_key(name));
    let read_only = context.read_only_root_filesystem == Some(true);
    vec![
        (limited("cpu"), "resources.limits.cpu"),
        (limited("memory"), "resources.limits.memory"),
        (container.stdin == Some(true), "stdin"),
        (container.tty == Some(true), "tty"),
        (container.volume_devices.is_some(), "volumeDevices"),
        (
            container.restart_policy_rules.is_some(),
            "restartPolicyRules",
        ),
        (
            context.privileged == Some(true) && !can.users,
            "securityContext.privileged",
        ),
        (
            context.capabilities.is_some() && !can.users,
            "securityContext.capabilities",
        ),
        (
            read_only && !can.mounts,
            "securityContext.readOnlyRootFilesystem",
        ),
        (
            context.se_linux_options.is_some(),
            "securityContext.seLinuxOptions",
        ),
        (
            context.seccomp_profile.is_some(),
            "securityContext.seccompProfile",
        ),
        (
            context.app_armor_profile.is_some(),
            "securityContext.appArmorProfile",
        ),
        (context.proc_mount.is_some(), "securityContext.procMount"),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_has_no_effect_is_named() {
        let spec = json!({
            "nodeSelector": { "a": "b" },
            "securityContext": { "fsGroup": 1, "seccompProfile": { "type": "RuntimeDefault" } },
            "volumes": [
                { "name": "m", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } },
                { "name": "d", "emptyDir": { "sizeLimit": "1Mi" } },
            ],
            "containers": [{
                "name": "a",
                "resources": { "limits": { "memory": "1Mi", "nvidia.com/gpu": "1" } },
                "securityContext": { "capabilities": {}, "allowPrivilegeEscalation": false },
            }],
        });
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let check = |able: bool, expected: &[&str]| {
            let can = Abilities {
                users: able,
                mounts: able,
                memory: able,
                limits: able,
            };
            assert_eq!(ignored(&spec, can), expected);
        };
        let always = [
            "spec.nodeSelector",
            "spec.securityContext.seccompProfile",
            "spec.volumes[d].emptyDir.sizeLimit",
        ];
        check(true, &always);
        check(
            false,
            &[
                always[0],
                always[1],
                "spec.securityContext.fsGroup",
                "spec.volumes[m].emptyDir.sizeLimit",
                always[2],
                "spec.containers[a].resources.limits.memory",
                "spec.containers[a].securityContext.capabilities",
            ],
        );
        let plain = json!({ "containers": [{ "name": "a" }] });
        let plain: PodSpec = serde_json::from_value(plain).unwrap();
        let can = Abilities {
            users: false,
            mounts: false,
            memory: false,
            limits: false,
        };
        assert!(ignored(&plain, can).is_empty());
    }
}
