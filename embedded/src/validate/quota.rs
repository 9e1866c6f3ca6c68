//! The rules for resource quotas.

use serde_json::{Value, json};

use crate::{admission::quantity::Quantity, custom::problem::invalid, status::Cause};

/// What a quota may name without a domain, apart from huge pages.
const STANDARD: [&str; 20] = [
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
];
const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

/// The rules for the specification of a quota.
pub(super) fn check(spec: &Value, causes: &mut Vec<Cause>) {
    for (name, amount) in spec["hard"].as_object().into_iter().flatten() {
        let field = format!("spec.hard[{name}]");
        if !is_known(name) {
            let details = [
                "must be a standard resource type or fully qualified",
                "must be a standard resource for quota",
            ];
            causes.extend(details.map(|detail| invalid(&field, &json!(name), detail)));
        }
        if Quantity::read(amount).is_some_and(|amount| amount < Quantity::ZERO) {
            causes.push(invalid(
                &field,
                amount,
                "must be greater than or equal to 0",
            ));
        }
    }
    let unknown = |scope: &Value| !scope.as_str().is_some_and(|scope| SCOPES.contains(&scope));
    let mut scopes = spec["scopes"].as_array().into_iter().flatten();
    if scopes.any(unknown) {
        causes.push(invalid("spec.scopes", &spec["scopes"], "unsupported scope"));
    }
}

fn is_known(name: &str) -> bool {
    let pages = name.strip_prefix("requests.").unwrap_or(name);
    name.contains('/') || STANDARD.contains(&name) || pages.starts_with("hugepages-")
}
