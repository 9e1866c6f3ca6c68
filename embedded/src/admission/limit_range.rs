//! What containers, pods and claims of a namespace get when they say nothing, and how much and how
//! little they may ask for.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::resources::{Amounts, limits, requests};
use crate::admission::quantity::Quantity;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Adds what is missing, and tells its names.
fn merge(target: &mut Map<String, Value>, source: &Map<String, Value>) -> Vec<String> {
    let mut added = Vec::new();
    for (name, value) in source {
        if !target.contains_key(name) {
            target.insert(name.clone(), value.clone());
            added.push(name.clone());
        }
    }
    added.sort();
    added
}

/// The items of a type in a range.
fn items<'a>(range: &'a Value, of: &'a str) -> impl Iterator<Item = &'a Value> {
    let items = range["spec"]["limits"].as_array();
    items
        .into_iter()
        .flatten()
        .filter(move |item| item["type"] == of)
}

/// Fills in what the containers of a pod leave out; returns whether anything was.
pub(super) fn fill(ranges: &[Arc<Value>], pod: &mut Value) -> bool {
    let mut any = false;
    for range in ranges {
        let (mut requests, mut limits) = (Map::new(), Map::new());
        for item in items(range, "Container") {
            for (field, merged) in [("defaultRequest", &mut requests), ("default", &mut limits)] {
                for (name, value) in item[field].as_object().into_iter().flatten() {
                    merged.insert(name.clone(), value.clone());
                }
            }
        }
        let mut notes = Vec::new();
        for (list, what) in [
            ("containers", "container"),
            ("initContainers", "init container"),
        ] {
            let containers = pod["spec"].get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                notes.extend(fill_container(container, &requests, &limits, what));
            }
        }
        if !notes.is_empty() {
            let note = format!("LimitRanger plugin set: {}", notes.join("; "));
            pod["metadata"]["annotations"][ANNOTATION] = json!(note);
            any = true;
        }
    }
    any
}

fn fill_container(
    container: &mut Value,
    requests: &Map<String, Value>,
    limits: &Map<String, Value>,
    what: &str,
) -> Vec<String> {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let mut notes = Vec::new();
    for (field, word, defaults) in [
        ("requests", "request", requests),
        ("limits", "limit", limits),
    ] {
        if defaults.is_empty() {
            continue;
        }
        let part = &mut container["resources"][field];
        if part.is_null() {
            *part = json!({});
        }
        let Some(part) = part.as_object_mut() else {
            continue;
        };
        let added = merge(part, defaults);
        if !added.is_empty() {
            notes.push(format!("{} {word} for {what} {name}", added.join(", ")));
        }
    }
    notes
}

/// Refuses a pod that asks for too much or too little.
pub(super) fn check_pod(ranges: &[Arc<Value>], pod: &Value) -> Result<(), String> {
    for range in ranges {
        let mut errors = Vec::new();
        for item in range["spec"]["limits"].as_array().into_iter().flatten() {
            match item["type"].as_str() {
                Some("Container") => {
                    let lists = ["containers", "initContainers"];
                    let lists = lists.iter().filter_map(|list| pod["spec"][list].as_array());
                    for container in lists.flatten() {
                        let resources = &container["resources"];
                        let asked = Asked {
                            requests: read(&resources["requests"]),
                            limits: read(&resources["limits"]),
                        };
                        asked.check(item, "Container", &mut errors);
                    }
                }
                Some("Pod") => {
                    let asked = Asked {
                        requests: requests(pod),
                        limits: limits(pod),
                    };
                    asked.check(item, "Pod", &mut errors);
                }
                _ => {}
            }
        }
        refuse(errors)?;
    }
    Ok(())
}

/// Refuses a claim that asks for too much or too little.
pub(super) fn check_claim(ranges: &[Arc<Value>], claim: &Value) -> Result<(), String> {
    let kind = "PersistentVolumeClaim";
    let requests = read(&claim["spec"]["resources"]["requests"]);
    for range in ranges {
        let mut errors = Vec::new();
        for item in items(range, kind) {
            for (name, min) in &read(&item["min"]) {
                let start = format!("minimum {name} usage per {kind} is {min}");
                match requests.get(name) {
                    None => errors.push(format!("{start}.  No request is specified")),
                    Some(asked) if asked < min => {
                        errors.push(format!("{start}, but request is {asked}"));
                    }
                    Some(_) => {}
                }
            }
            for (name, max) in &read(&item["max"]) {
                let start = format!("maximum {name} usage per {kind} is {max}");
                match requests.get(name) {
                    None => errors.push(format!("{start}.  No request is specified")),
                    Some(asked) if asked > max => {
                        errors.push(format!("{start}, but request is {asked}"));
                    }
                    Some(_) => {}
                }
            }
        }
        refuse(errors)?;
    }
    Ok(())
}

fn read(list: &Value) -> Amounts {
    let pairs = list.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, value)| Some((name.clone(), Quantity::read(value)?)))
        .collect::<BTreeMap<_, _>>()
}

fn refuse(mut errors: Vec<String>) -> Result<(), String> {
    let mut seen = Vec::new();
    errors.retain(|error| {
        let new = !seen.contains(error);
        seen.push(error.clone());
        new
    });
    match errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

/// What a container or pod asks for.
struct Asked {
    requests: Amounts,
    limits: Amounts,
}

impl Asked {
    fn check(&self, item: &Value, kind: &str, errors: &mut Vec<String>) {
        for (name, min) in &read(&item["min"]) {
            let start = format!("minimum {name} usage per {kind} is {min}");
            match (self.requests.get(name), self.limits.get(name)) {
                (None, _) => errors.push(format!("{start}.  No request is specified")),
                (Some(asked), _) if asked < min => {
                    errors.push(format!("{start}, but request is {asked}"));
                }
                (_, Some(limit)) if limit < min => {
                    errors.push(format!("{start}, but limit is {limit}"));
                }
                _ => {}
            }
        }
        for (name, max) in &read(&item["max"]) {
            let start = format!("maximum {name} usage per {kind} is {max}");
            match (self.requests.get(name), self.limits.get(name)) {
                (_, None) => errors.push(format!("{start}.  No limit is specified")),
                (_, Some(limit)) if limit > max => {
                    errors.push(format!("{start}, but limit is {limit}"));
                }
                (Some(asked), _) if asked > max => {
                    errors.push(format!("{start}, but request is {asked}"));
                }
                _ => {}
            }
        }
        for (name, most) in &read(&item["maxLimitRequestRatio"]) {
            let start = format!("{name} max limit to request ratio per {kind} is {most}");
            let some = |amounts: &Amounts| amounts.get(name).copied().filter(|a| !a.is_zero());
            match (some(&self.requests), some(&self.limits)) {
                (None, _) => {
                    errors.push(format!(
                        "{start}, but no request is specified or request is 0"
                    ));
                }
                (_, None) => {
                    errors.push(format!("{start}, but no limit is specified or limit is 0"));
                }
                (Some(request), Some(limit)) => {
                    let ratio = limit.ratio(request);
                    if ratio > most.ratio(Quantity::units(1)) {
                        errors.push(format!("{start}, but provided ratio is {ratio:.6}"));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::{check_claim, check_pod, fill};
    use crate::{default, resource::LIMIT_RANGES};

    /// The range and the pods that a kube-apiserver of version 1.36.3 was asked about.
    fn ranges() -> [Arc<Value>; 1] {
        let mut range = json!({ "spec": { "limits": [
            {
                "type": "Container",
                "default": { "cpu": "500m", "memory": "1Gi" }, "defaultRequest": { "cpu": "250m" },
                "max": { "cpu": "1" }, "min": { "cpu": "100m" }, "maxLimitRequestRatio": { "cpu": "3" },
            },
            { "type": "Pod", "max": { "memory": "2Gi" } },
            { "type": "PersistentVolumeClaim", "max": { "storage": "2Gi" }, "min": { "storage": "1Gi" } },
        ] } });
        default::apply(&LIMIT_RANGES, &mut range);
        [Arc::new(range)]
    }

    fn pod(resources: &Value) -> Value {
        json!({
            "metadata": {}, "spec": { "containers": [{ "name": "c", "resources": resources }] },
        })
    }

    #[test]
    fn a_container_gets_what_it_leaves_out() {
        let mut pod = pod(&json!({}));
        assert!(fill(&ranges(), &mut pod));
        let resources = json!({
            "requests": { "cpu": "250m", "memory": "1Gi" },
            "limits": { "cpu": "500m", "memory": "1Gi" },
        });
        assert_eq!(pod["spec"]["containers"][0]["resources"], resources);
        assert_eq!(
            pod["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
            "LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for \
             container c"
        );
        assert!(!fill(&ranges(), &mut pod));
        assert_eq!(check_pod(&ranges(), &pod), Ok(()));
    }

    #[test]
    fn refusals_read_as_in_kubernetes() {
        for (resources, why) in [
            (
                json!({ "requests": { "cpu": "50m" } }),
                "[minimum cpu usage per Container is 100m, but request is 50m, cpu max limit to \
                 request ratio per Container is 3, but provided ratio is 10.000000]",
            ),
            (
                json!({
                    "requests": { "cpu": "2", "memory": "3Gi" },
                    "limits": { "cpu": "2", "memory": "3Gi" },
                }),
                "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per \
                 Pod is 2Gi, but limit is 3Gi]",
            ),
            (
                json!({ "requests": { "cpu": "200m" }, "limits": { "cpu": "1" } }),
                "cpu max limit to request ratio per Container is 3, but provided ratio is 5.000000",
            ),
        ] {
            let mut pod = pod(&resources);
            fill(&ranges(), &mut pod);
            assert_eq!(check_pod(&ranges(), &pod), Err(why.to_owned()));
        }
        let claim = |storage: &str| json!({ "spec": { "resources": { "requests": { "storage": storage } } } });
        let kind = "storage usage per PersistentVolumeClaim is";
        for (storage, why) in [
            (
                "500Mi",
                Err(format!("minimum {kind} 1Gi, but request is 500Mi")),
            ),
            (
                "3Gi",
                Err(format!("maximum {kind} 2Gi, but request is 3Gi")),
            ),
            ("1Gi", Ok(())),
        ] {
            assert_eq!(check_claim(&ranges(), &claim(storage)), why);
        }
    }
}
