//! What a container's program may do: its user and groups, its capabilities, where it may write.

use k8s_openapi::api::core::v1::{Container, PodSecurityContext, SecurityContext};
use nix::unistd::{Uid, User};

use crate::holder::Isolation;
use crate::pod::Pod;
use crate::refusal::Refusal;

/// The capabilities by their numbers.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What a container's program may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    /// User and group, when they are not those of the node.
    pub(crate) user: Option<(u32, u32)>,
    /// Groups beside the user's.
    pub(crate) groups: Vec<u32>,
    /// The capabilities that root keeps, when it loses any.
    pub(crate) capabilities: Option<u64>,
    /// It never gets more rights than it has.
    pub(crate) no_new_privileges: bool,
    /// It writes to its volumes only.
    pub(crate) read_only: bool,
}

impl Rights {
    /// What a container asks for, as far as this process can give it.
    ///
    /// # Errors
    /// It asks for another user and this process is not root, or for none that is root.
    pub(crate) fn of(
        pod: &Pod,
        container: &Container,
        isolation: Isolation,
    ) -> Result<Self, Refusal> {
        let own = container.security_context.clone().unwrap_or_default();
        let shared = pod.spec.security_context.clone().unwrap_or_default();
        let root = is_root(isolation);
        let user = user(&own, &shared, root)?;
        let uid = user.map_or_else(|| Uid::effective().as_raw(), |(uid, _)| uid);
        if own.run_as_non_root.or(shared.run_as_non_root) == Some(true) && uid == 0 {
            return Err(Refusal::Waiting(runs_as_root(
                pod,
                container,
                user.is_some(),
            )));
        }
        Ok(Self {
            user,
            groups: if root { groups(&shared) } else { Vec::new() },
            capabilities: capabilities(&own).filter(|_| root),
            no_new_privileges: own.allow_privilege_escalation == Some(false),
            read_only: own.read_only_root_filesystem == Some(true) && isolation != Isolation::None,
        })
    }
}

/// Whether this process may become another user.
pub(crate) fn is_root(isolation: Isolation) -> bool {
    Uid::effective().is_root() && isolation != Isolation::User
}

/// Why a container that must not run as root is not started.
fn runs_as_root(pod: &Pod, container: &Container, asked: bool) -> String {
    let what = if asked {
        "container's runAsUser breaks non-root policy"
    } else {
        "container has runAsNonRoot and image will run as root"
    };
    format!(
        "{what} (pod: \"{}_{}({})\", container: {})",
        pod.name, pod.namespace, pod.uid, container.name
    )
}

/// The user that a container asks for, when it is not the node's.
fn user(
    own: &SecurityContext,
    shared: &PodSecurityContext,
    root: bool,
) -> Result<Option<(u32, u32)>, Refusal> {
    let number = |value: Option<i64>| value.and_then(|n| u32::try_from(n).ok());
    let gid = number(own.run_as_group.or(shared.run_as_group));
    let me = Uid::effective().as_raw();
    let (uid, what) = match number(own.run_as_user.or(shared.run_as_user)) {
        Some(uid) => (uid, format!("runAsUser {uid}")),
        None if gid.is_some() => (me, "runAsGroup".to_owned()),
        None => return Ok(None),
    };
    let same_group = gid.is_none_or(|gid| gid == nix::unistd::Gid::effective().as_raw());
    if uid == me && same_group {
        return Ok(None);
    }
    if !root {
        return Err(Refusal::Broken(format!(
            "{what} needs diwan to run as root"
        )));
    }
    let primary = || {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        user.map(|user| user.gid.as_raw())
    };
    Ok(Some((uid, gid.or_else(primary).unwrap_or(uid))))
}

/// The groups of all containers of a pod.
fn groups(shared: &PodSecurityContext) -> Vec<u32> {
    let wanted = shared
        .supplemental_groups
        .iter()
        .flatten()
        .chain(&shared.fs_group);
    wanted.filter_map(|gid| u32::try_from(*gid).ok()).collect()
}

/// The capabilities that are left, when some are to be dropped.
fn capabilities(own: &SecurityContext) -> Option<u64> {
    let wanted = own.capabilities.as_ref()?;
    let dropped = wanted.drop.as_ref().filter(|names| !names.is_empty())?;
    let all = (1 << CAPABILITIES.len()) - 1;
    let mask = |names: &[String]| {
        names.iter().fold(0, |mask, name| match number(name) {
            Some(number) => mask | 1 << number,
            None if name.eq_ignore_ascii_case("ALL") => all,
            None => mask,
        })
    };
    let added = wanted.add.as_deref().map_or(0, mask);
    Some((all & !mask(dropped)) | added)
}

fn number(name: &str) -> Option<usize> {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    CAPABILITIES.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dropped_capabilities_are_taken_away_and_added_ones_given_back() {
        let left = |value| {
            let own = serde_json::from_value(json!({ "capabilities": value })).unwrap();
            capabilities(&own)
        };
        assert_eq!(
            left(json!({ "drop": ["ALL"], "add": ["CHOWN", "CAP_KILL"] })),
            Some(33)
        );
        let all = (1_u64 << 41) - 1;
        assert_eq!(left(json!({ "drop": ["net_raw"] })), Some(all & !(1 << 13)));
        assert_eq!(left(json!({ "add": ["NET_ADMIN"] })), None);
    }
}
