//! How much a namespace may hold: what an object counts for, and whether there is room for it.

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use super::resources::Amounts;
use super::resources::{limits, plus, requests};
use crate::{
    admission::quantity::Quantity,
    metadata,
    resource::{
        CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_QUOTAS, Resource, SECRETS, SERVICES,
    },
};

/// Nothing of anything.
pub(crate) const NOTHING: Quantity = Quantity::ZERO;

/// Resources that every container must name when a quota limits them.
const NAMED: [&str; 6] = [
    "cpu",
    "limits.cpu",
    "limits.memory",
    "memory",
    "requests.cpu",
    "requests.memory",
];

/// What a quota allows.
pub(crate) fn hard(quota: &Value) -> Amounts {
    let pairs = quota["spec"]["hard"].as_object().into_iter().flatten();
    let read = |(name, value): (&String, &Value)| Some((name.clone(), Quantity::read(value)?));
    pairs.filter_map(read).collect()
}

/// Whether any of the names is about a kind.
pub(crate) fn concerns(hard: &Amounts, resource: &Resource) -> bool {
    hard.keys().any(|name| is_about(name, resource))
}

fn is_about(name: &str, resource: &Resource) -> bool {
    if name
        .strip_prefix("count/")
        .is_some_and(|kind| kind == resource.qualified())
    {
        return true;
    }
    if resource == &PODS {
        return name == "pods"
            || ["cpu", "memory", "ephemeral-storage"].contains(&name)
            || name.starts_with("limits.")
            || name.starts_with("requests.") && name != "requests.storage";
    }
    if resource == &PERSISTENT_VOLUME_CLAIMS {
        return matches!(name, "persistentvolumeclaims" | "requests.storage")
            || name.contains(".storageclass.storage.k8s.io/");
    }
    if resource == &SERVICES {
        return name == "services" || name.starts_with("services.");
    }
    [&CONFIG_MAPS, &SECRETS, &RESOURCE_QUOTAS].contains(&resource) && name == resource.plural
}

/// What an object counts for.
pub(crate) fn charge(resource: &Resource, object: &Value, now: Timestamp) -> Amounts {
    let mut amounts = Amounts::new();
    let one = Quantity::units(1);
    plus(
        &mut amounts,
        &format!("count/{}", resource.qualified()),
        one,
    );
    if resource == &PODS {
        if !is_over(object, now) {
            charge_pod(object, &mut amounts);
        }
    } else if resource == &PERSISTENT_VOLUME_CLAIMS {
        charge_claim(object, &mut amounts);
    } else if resource == &SERVICES {
        plus(&mut amounts, "services", one);
        let kind = object["spec"]["type"].as_str();
        if matches!(kind, Some("NodePort" | "LoadBalancer")) {
            let ports = object["spec"]["ports"].as_array().map_or(0, Vec::len);
            let ports = Quantity::units(i64::try_from(ports).unwrap_or(i64::MAX));
            plus(&mut amounts, "services.nodeports", ports);
        }
        if kind == Some("LoadBalancer") {
            plus(&mut amounts, "services.loadbalancers", one);
        }
    } else if [&CONFIG_MAPS, &SECRETS, &RESOURCE_QUOTAS].contains(&resource) {
        plus(&mut amounts, resource.plural, one);
    }
    amounts
}

/// Adds amounts to those that are there already.
pub(crate) fn add(sum: &mut Amounts, more: Amounts) {
    for (name, amount) in more {
        if let Some(entry) = sum.get_mut(&name) {
            *entry = *entry + amount;
        }
    }
}

fn charge_pod(pod: &Value, amounts: &mut Amounts) {
    plus(amounts, "pods", Quantity::units(1));
    for (name, amount) in requests(pod) {
        if ["cpu", "memory", "ephemeral-storage"].contains(&name.as_str()) {
            plus(amounts, &name, amount);
        }
        plus(amounts, &format!("requests.{name}"), amount);
    }
    for (name, amount) in limits(pod) {
        plus(amounts, &format!("limits.{name}"), amount);
    }
}

fn charge_claim(claim: &Value, amounts: &mut Amounts) {
    let one = Quantity::units(1);
    plus(amounts, "persistentvolumeclaims", one);
    let storage = Quantity::of_claim(claim).unwrap_or(Quantity::ZERO);
    plus(amounts, "requests.storage", storage);
    if let Some(class) = claim["spec"]["storageClassName"].as_str() {
        let of_class = |name: &str| format!("{class}.storageclass.storage.k8s.io/{name}");
        plus(amounts, &of_class("persistentvolumeclaims"), one);
        plus(amounts, &of_class("requests.storage"), storage);
    }
}

/// Whether a pod has ended, or should have by now.
fn is_over(pod: &Value, now: Timestamp) -> bool {
    if matches!(
        pod["status"]["phase"].as_str(),
        Some("Failed" | "Succeeded")
    ) {
        return true;
    }
    let marked = metadata::text(pod, "deletionTimestamp").parse::<Timestamp>();
    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64();
    match (marked, grace) {
        (Ok(end), Some(_)) => now > end,
        _ => false,
    }
}

/// Whether a quota with scopes is about an object.
pub(crate) fn applies(quota: &Value, resource: &Resource, object: &Value) -> bool {
    let spec = &quota["spec"];
    let scopes = spec["scopes"].as_array().into_iter().flatten();
    let terms = spec["scopeSelector"]["matchExpressions"].as_array();
    let mut scopes = scopes.filter_map(Value::as_str);
    let mut terms = terms.into_iter().flatten();
    if resource != &PODS {
        return scopes.next().is_none() && terms.next().is_none();
    }
    scopes.all(|scope| is_in(scope, object)) && terms.all(|term| matches(term, object))
}

fn is_in(scope: &str, pod: &Value) -> bool {
    let best_effort = pod["status"]["qosClass"] == "BestEffort";
    let ends = pod["spec"]["activeDeadlineSeconds"]
        .as_i64()
        .is_some_and(|s| s >= 0);
    let class = pod["spec"]["priorityClassName"]
        .as_str()
        .unwrap_or_default();
    match scope {
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "PriorityClass" => !class.is_empty(),
        _ => false,
    }
}

fn matches(term: &Value, pod: &Value) -> bool {
    let scope = term["scopeName"].as_str().unwrap_or_default();
    if scope != "PriorityClass" {
        return is_in(scope, pod);
    }
    let class = &pod["spec"]["priorityClassName"];
    let listed = term["values"]
        .as_array()
        .is_some_and(|list| list.contains(class));
    match term["operator"].as_str() {
        Some("In") => listed,
        Some("NotIn") => !listed,
        Some("Exists") => is_in(scope, pod),
        Some("DoesNotExist") => !is_in(scope, pod),
        _ => false,
    }
}

/// Whether a change of an object can make it count for more.
pub(crate) fn may_grow(resource: &Resource) -> bool {
    [&PERSISTENT_VOLUME_CLAIMS, &SERVICES].contains(&resource)
}

/// Says why a quota has no room for an object, or for what it is to become from `old`.
pub(crate) fn refuse(
    quota: &Value,
    used: &Amounts,
    resource: &Resource,
    object: &Value,
    old: Option<&Value>,
    now: Timestamp,
) -> Result<(), String> {
    let (name, hard) = (metadata::name(quota), hard(quota));
    if resource == &PODS {
        let unnamed = unnamed(&hard, object);
        if !unnamed.is_empty() {
            return Err(format!(
                "failed quota: {name}: must specify {}",
                unnamed.join("; ")
            ));
        }
    }
    let zero = Quantity::ZERO;
    let mut charged = charge(resource, object, now);
    for (key, amount) in old
        .map(|old| charge(resource, old, now))
        .into_iter()
        .flatten()
    {
        let more = charged.entry(key).or_insert(zero);
        *more = (*more - amount).max(zero);
    }
    let over: Vec<(&String, &Quantity)> = hard
        .iter()
        .filter(|(key, hard)| {
            let more = charged.get(*key).copied().unwrap_or(zero);
            !more.is_zero() && used.get(*key).copied().unwrap_or(zero) + more > **hard
        })
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let list = |amounts: &Amounts| {
        let texts = over.iter().map(|(key, _)| {
            let amount = amounts.get(*key).copied().unwrap_or(zero);
            format!("{key}={amount}")
        });
        texts.collect::<Vec<_>>().join(",")
    };
    Err(format!(
        "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
        list(&charged),
        list(used),
        list(&hard)
    ))
}

/// What the containers of a pod must name and don't.
fn unnamed(hard: &Amounts, pod: &Value) -> Vec<String> {
    let lists = ["containers", "initContainers"];
    let lists = lists.iter().filter_map(|list| pod["spec"][list].as_array());
    let containers: Vec<&Value> = lists.flatten().collect();
    let mut texts = Vec::new();
    for key in NAMED.iter().filter(|key| hard.contains_key(**key)) {
        let (part, resource) = key.split_once('.').unwrap_or(("requests", key));
        let lacks = |c: &&&Value| c["resources"][part][resource].is_null();
        let names = containers
            .iter()
            .filter(lacks)
            .filter_map(|c| c["name"].as_str());
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            texts.push(format!("{key} for: {}", names.join(",")));
        }
    }
    texts
}

/// The status of a quota.
pub(crate) fn status(quota: &Value, used: &Amounts) -> Value {
    let texts = |amounts: &Amounts| {
        let pairs = amounts
            .iter()
            .map(|(key, amount)| (key.clone(), json!(amount.to_string())));
        Value::Object(pairs.collect())
    };
    json!({ "hard": quota["spec"]["hard"], "used": texts(used) })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::{Amounts, applies, charge, hard, refuse};
    use crate::{
        admission::quantity::Quantity,
        resource::{CONFIG_MAPS, JOBS, PODS, SERVICES},
    };

    fn pod(resources: &Value) -> Value {
        json!({ "spec": { "containers": [{ "name": "c", "resources": resources }] } })
    }

    fn quota() -> Value {
        json!({
            "metadata": { "name": "z" },
            "spec": { "hard": { "pods": "1", "requests.cpu": "1", "limits.memory": "1Gi" } },
        })
    }

    fn used(pods: i64, cpu: &str) -> Amounts {
        [
            ("pods".to_owned(), Quantity::units(pods)),
            ("requests.cpu".to_owned(), Quantity::parse(cpu).unwrap()),
        ]
        .into()
    }

    #[test]
    fn refusals_read_as_in_kubernetes() {
        for (resources, used, why) in [
            (
                json!({}),
                used(0, "0"),
                "failed quota: z: must specify limits.memory for: c; requests.cpu for: c",
            ),
            (
                json!({ "limits": { "memory": "2Gi" }, "requests": { "cpu": "1500m" } }),
                used(0, "0"),
                "exceeded quota: z, requested: limits.memory=2Gi,requests.cpu=1500m, used: \
                 limits.memory=0,requests.cpu=0, limited: limits.memory=1Gi,requests.cpu=1",
            ),
            (
                json!({ "limits": { "memory": "100Mi" }, "requests": { "cpu": "600m" } }),
                used(1, "500m"),
                "exceeded quota: z, requested: pods=1,requests.cpu=600m, used: \
                 pods=1,requests.cpu=500m, limited: pods=1,requests.cpu=1",
            ),
        ] {
            let refused = refuse(
                &quota(),
                &used,
                &PODS,
                &pod(&resources),
                None,
                Timestamp::UNIX_EPOCH,
            );
            assert_eq!(refused, Err(why.to_owned()));
        }
        let fits = json!({ "limits": { "memory": "1Gi" }, "requests": { "cpu": "1" } });
        let fits = refuse(
            &quota(),
            &used(0, "0"),
            &PODS,
            &pod(&fits),
            None,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(fits, Ok(()));
    }

    #[test]
    fn objects_count_under_each_of_their_names() {
        let now = Timestamp::UNIX_EPOCH;
        let keys = |amounts: Amounts| amounts.into_keys().collect::<Vec<_>>();
        assert_eq!(
            keys(charge(&CONFIG_MAPS, &json!({}), now)),
            ["configmaps", "count/configmaps"]
        );
        assert_eq!(keys(charge(&JOBS, &json!({}), now)), ["count/jobs.batch"]);
        let service = json!({ "spec": { "type": "LoadBalancer", "ports": [{}, {}] } });
        let service = charge(&SERVICES, &service, now);
        assert_eq!(service["services.nodeports"], Quantity::units(2));
        let mut ended = pod(&json!({}));
        ended["status"] = json!({ "phase": "Succeeded" });
        assert_eq!(keys(charge(&PODS, &ended, now)), ["count/pods"]);
        assert!(super::concerns(&hard(&quota()), &PODS));
        assert!(!super::concerns(&hard(&quota()), &CONFIG_MAPS));
    }

    #[test]
    fn scopes_choose_pods() {
        let quota = |spec: Value| json!({ "spec": spec });
        let scope = |name: &str| quota(json!({ "scopes": [name] }));
        let pod = json!({
            "spec": { "activeDeadlineSeconds": 1, "priorityClassName": "high" },
            "status": { "qosClass": "BestEffort" },
        });
        for (scope_name, expected) in [
            ("BestEffort", true),
            ("NotBestEffort", false),
            ("Terminating", true),
            ("NotTerminating", false),
        ] {
            assert_eq!(
                applies(&scope(scope_name), &PODS, &pod),
                expected,
                "{scope_name}"
            );
        }
        assert!(!applies(&scope("BestEffort"), &CONFIG_MAPS, &json!({})));
        let class = |value: &str| {
            quota(json!({ "scopeSelector": { "matchExpressions": [
                { "scopeName": "PriorityClass", "operator": "In", "values": [value] },
            ] } }))
        };
        assert!(applies(&class("high"), &PODS, &pod));
        assert!(!applies(&class("low"), &PODS, &pod));
    }
}
