//! The roles and bindings that every cluster has from the start.

use serde::Deserialize;
use serde_json::{Value, json};

use super::user::{AUTHENTICATED, MASTERS, UNAUTHENTICATED};

const ROLES: &str = include_str!("roles.yaml");
const GROUP: &str = "rbac.authorization.k8s.io";

/// Which role is bound to which groups.
const BINDINGS: [(&str, &[&str]); 6] = [
    ("cluster-admin", &[MASTERS]),
    ("system:basic-user", &[AUTHENTICATED]),
    ("system:discovery", &[AUTHENTICATED]),
    ("system:monitoring", &["system:monitoring"]),
    (
        "system:public-info-viewer",
        &[AUTHENTICATED, UNAUTHENTICATED],
    ),
    (
        "system:service-account-issuer-discovery",
        &["system:serviceaccounts"],
    ),
];

/// The priorities of the system's own pods, and what they are for.
const PRIORITIES: [(&str, i64, &str); 2] = [
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another \
         node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
];

/// A role as the file writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    name: String,
    /// Labels whose value is `true`.
    #[serde(default)]
    labels: Vec<String>,
    /// The label of the roles that it is made of.
    aggregates: Option<String>,
    #[serde(default)]
    rules: Value,
}

fn metadata(name: &str) -> Value {
    json!({
        "name": name,
        "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" },
        "annotations": { "rbac.authorization.kubernetes.io/autoupdate": "true" },
    })
}

/// The cluster roles. Those that are made of others have no rules yet.
pub(crate) fn cluster_roles() -> Vec<Value> {
    let roles: Vec<Role> = serde_saphyr::from_str(ROLES).unwrap_or_default();
    let object = |role: Role| {
        let mut object = json!({ "metadata": metadata(&role.name), "rules": role.rules });
        for label in role.labels {
            object["metadata"]["labels"][label] = json!("true");
        }
        if let Some(label) = role.aggregates {
            object["aggregationRule"] = json!({
                "clusterRoleSelectors": [{ "matchLabels": { label: "true" } }],
            });
        }
        object
    };
    roles.into_iter().map(object).collect()
}

/// The bindings of cluster roles.
pub(crate) fn cluster_role_bindings() -> Vec<Value> {
    let subject = |group: &&str| json!({ "apiGroup": GROUP, "kind": "Group", "name": group });
    let object = |(role, groups): &(&str, &[&str])| {
        json!({
            "metadata": metadata(role),
            "roleRef": { "apiGroup": GROUP, "kind": "ClusterRole", "name": role },
            "subjects": groups.iter().map(subject).collect::<Value>(),
        })
    };
    BINDINGS.iter().map(object).collect()
}

/// The priority classes.
pub(crate) fn priority_classes() -> Vec<Value> {
    let object = |(name, value, description): &(&str, i64, &str)| {
        json!({
            "metadata": { "name": name },
            "value": value,
            "description": description,
            "preemptionPolicy": "PreemptLowerPriority",
        })
    };
    PRIORITIES.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::{BINDINGS, cluster_roles};
    use crate::metadata;

    #[test]
    fn every_binding_has_its_role() {
        let roles = cluster_roles();
        for (role, _) in BINDINGS {
            assert!(roles.iter().any(|r| metadata::name(r) == role), "{role}");
        }
        for role in &roles {
            let filled = role["rules"]
                .as_array()
                .is_some_and(|rules| !rules.is_empty());
            assert!(filled != role["aggregationRule"].is_object(), "{role}");
        }
    }
}
