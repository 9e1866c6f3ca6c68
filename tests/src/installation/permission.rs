//! What the accounts of an installation may do.

use serde_json::Value;

use super::{each, is_subset, name};

/// Whether a service account may do something to all objects of a resource (`GROUP/RESOURCE`) of all
/// namespaces, as the API server would say it.
pub fn allows(objects: &[Value], account: &str, verb: &str, resource: &str) -> bool {
    let roles = || {
        objects
            .iter()
            .filter(|object| object["kind"] == "ClusterRole")
    };
    objects
        .iter()
        .filter(|object| object["kind"] == "ClusterRoleBinding")
        .filter(|binding| each(&binding["subjects"]).any(|subject| subject["name"] == account))
        .filter_map(|binding| roles().find(|role| name(role) == binding["roleRef"]["name"]))
        .flat_map(|role| {
            let selectors = || each(&role["aggregationRule"]["clusterRoleSelectors"]);
            let added = roles().filter(move |other| {
                let labels = &other["metadata"]["labels"];
                selectors().any(|selector| is_subset(&selector["matchLabels"], labels))
            });
            added.chain([role])
        })
        .flat_map(|role| each(&role["rules"]))
        .any(|rule| grants(rule, verb, resource))
}

fn grants(rule: &Value, verb: &str, resource: &str) -> bool {
    let (group, resource) = resource.split_once('/').unwrap_or(("", resource));
    let holds = |field: &str, wanted: &str| each(&rule[field]).any(|entry| entry == wanted);
    rule["resourceNames"].is_null()
        && holds("apiGroups", group)
        && holds("resources", resource)
        && holds("verbs", verb)
}
