//! Who answers for a service. Pure.

use serde_json::{Map, Value, json};

use crate::object::{condition, is_deleting, metadata, reference};
use crate::template::word;

/// On slices: the service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// On slices: who keeps them.
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// Us.
pub(super) const US: &str = "endpointslice-controller.k8s.io";

/// A pod that answers for a service, or will.
#[derive(Clone, Debug, PartialEq)]
struct Endpoint<'a> {
    pod: &'a Value,
    ready: bool,
    serving: bool,
    terminating: bool,
}

/// The Endpoints and the EndpointSlice of a service with these pods.
pub(super) fn plan(service: &Value, pods: &[&Value]) -> (Value, Value) {
    let mut endpoints: Vec<Endpoint<'_>> = pods
        .iter()
        .filter_map(|pod| endpoint(service, pod))
        .collect();
    endpoints.sort_by_key(|endpoint| metadata(endpoint.pod, "name"));
    let ports = ports(service, &endpoints);
    (
        whole(service, &endpoints, &ports),
        slice(service, &endpoints, &ports),
    )
}

fn endpoint<'a>(service: &Value, pod: &'a Value) -> Option<Endpoint<'a>> {
    let has_ended = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if has_ended || address(pod).is_empty() {
        return None;
    }
    let always = service["spec"]["publishNotReadyAddresses"] == true;
    let serving = condition(pod, "Ready").is_some_and(|c| c["status"] == "True");
    let terminating = is_deleting(pod);
    Some(Endpoint {
        pod,
        ready: always || (serving && !terminating),
        serving,
        terminating,
    })
}

fn address(pod: &Value) -> &str {
    pod["status"]["podIP"].as_str().unwrap_or_default()
}

/// The ports of the pods, with the names and protocols of the service's.
fn ports(service: &Value, endpoints: &[Endpoint<'_>]) -> Vec<Value> {
    let listed = service["spec"]["ports"].as_array().into_iter().flatten();
    listed
        .filter_map(|port| {
            let target = &port["targetPort"];
            let number = target.as_u64().or_else(|| {
                let name = target.as_str()?;
                endpoints
                    .iter()
                    .find_map(|endpoint| named(endpoint.pod, name))
            })?;
            let mut found = json!({
                "name": port["name"].as_str().unwrap_or_default(),
                "port": number, "protocol": port["protocol"],
            });
            if port["appProtocol"].is_string() {
                found["appProtocol"] = port["appProtocol"].clone();
            }
            Some(found)
        })
        .collect()
}

/// The port of that name of a pod's containers.
fn named(pod: &Value, name: &str) -> Option<u64> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|c| c["ports"].as_array().into_iter().flatten());
    ports.find(|port| port["name"] == name)?["containerPort"].as_u64()
}

fn target(pod: &Value) -> Value {
    json!({
        "kind": "Pod", "name": metadata(pod, "name"), "namespace": metadata(pod, "namespace"),
        "uid": metadata(pod, "uid"),
    })
}

/// The name under which a pod is known beside the service's, if it has one.
fn hostname<'a>(service: &Value, pod: &'a Value) -> Option<&'a str> {
    let subdomain = pod["spec"]["subdomain"].as_str()?;
    let is_ours = subdomain == metadata(service, "name");
    pod["spec"]["hostname"]
        .as_str()
        .filter(|name| is_ours && !name.is_empty())
}

fn whole(service: &Value, endpoints: &[Endpoint<'_>], ports: &[Value]) -> Value {
    let addresses = |ready: bool| -> Vec<Value> {
        let chosen = endpoints
            .iter()
            .filter(|e| e.ready == ready && (ready || !e.terminating));
        chosen
            .map(|endpoint| {
                let pod = endpoint.pod;
                let mut address = json!({ "ip": address(pod), "targetRef": target(pod) });
                if pod["spec"]["nodeName"].is_string() {
                    address["nodeName"] = pod["spec"]["nodeName"].clone();
                }
                if let Some(name) = hostname(service, pod) {
                    address["hostname"] = json!(name);
                }
                address
            })
            .collect()
    };
    let mut subset = Map::new();
    for (field, list) in [
        ("addresses", addresses(true)),
        ("notReadyAddresses", addresses(false)),
    ] {
        if !list.is_empty() {
            subset.insert(field.to_owned(), list.into());
        }
    }
    let mut object = json!({
        "metadata": {
            "name": metadata(service, "name"), "namespace": metadata(service, "namespace"),
            "labels": labels(service),
        },
    });
    if !subset.is_empty() {
        let ports = ports.iter().cloned().map(|mut port| {
            if port["name"] == "" {
                port.as_object_mut().map(|fields| fields.remove("name"));
            }
            port
        });
        subset.insert("ports".to_owned(), ports.collect());
        object["subsets"] = json!([subset]);
    }
    object
}

fn slice(service: &Value, endpoints: &[Endpoint<'_>], ports: &[Value]) -> Value {
    let name = metadata(service, "name");
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| {
            let pod = endpoint.pod;
            let mut object = json!({
                "addresses": [address(pod)],
                "conditions": {
                    "ready": endpoint.ready, "serving": endpoint.serving,
                    "terminating": endpoint.terminating,
                },
                "targetRef": target(pod),
            });
            if pod["spec"]["nodeName"].is_string() {
                object["nodeName"] = pod["spec"]["nodeName"].clone();
            }
            if let Some(name) = hostname(service, pod) {
                object["hostname"] = json!(name);
            }
            object
        })
        .collect();
    let mut labels = labels(service);
    labels.insert(SERVICE_NAME.to_owned(), json!(name));
    labels.insert(MANAGED_BY.to_owned(), json!(US));
    let word = word(&json!(metadata(service, "uid")), 0);
    let word = &word[..word.len().min(5)];
    json!({
        "metadata": {
            "name": format!("{name}-{word}"), "namespace": metadata(service, "namespace"),
            "labels": labels, "ownerReferences": [reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports,
    })
}

fn labels(service: &Value) -> Map<String, Value> {
    let own = service["metadata"]["labels"].as_object();
    let mut labels = own.cloned().unwrap_or_default();
    if service["spec"]["clusterIP"] == "None" {
        labels.insert("service.kubernetes.io/headless".to_owned(), json!(""));
    }
    labels
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn pod(name: &str, ready: &str) -> Value {
        json!({
            "metadata": { "name": name, "namespace": "n", "uid": name },
            "spec": {
                "nodeName": "m", "hostname": name, "subdomain": "s",
                "containers": [{ "ports": [{ "name": "web", "containerPort": 8080 }] }],
            },
            "status": {
                "phase": "Running", "podIP": format!("127.112.0.{}", name.len()),
                "conditions": [{ "type": "Ready", "status": ready }],
            },
        })
    }

    fn service(target: Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "s", "namespace": "n", "uid": "u" },
            "spec": { "ports": [{ "port": 80, "targetPort": target, "protocol": "TCP" }] },
        })
    }

    #[test]
    fn only_pods_that_are_ready_answer() {
        let mut going = pod("going", "True");
        going["metadata"]["deletionTimestamp"] = json!("now");
        let mut over = pod("over", "False");
        over["status"]["phase"] = json!("Failed");
        let (ready, waits) = (pod("a", "True"), pod("bb", "False"));
        let (whole, slice) = plan(&service(json!("web")), &[&waits, &going, &over, &ready]);
        let subset = &whole["subsets"][0];
        assert_eq!(subset["addresses"].as_array().unwrap().len(), 1);
        assert_eq!(subset["addresses"][0]["targetRef"]["name"], "a");
        assert_eq!(subset["addresses"][0]["hostname"], "a");
        assert_eq!(subset["notReadyAddresses"].as_array().unwrap().len(), 1);
        assert_eq!(
            subset["ports"],
            json!([{ "port": 8080, "protocol": "TCP" }])
        );
        let conditions: Vec<&Value> = slice["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| &e["conditions"]["ready"])
            .collect();
        assert_eq!(conditions, [&json!(true), &json!(false), &json!(false)]);
        assert_eq!(slice["metadata"]["labels"][SERVICE_NAME], "s");
    }

    #[test]
    fn a_service_without_pods_has_empty_endpoints() {
        let (whole, slice) = plan(&service(json!(80)), &[]);
        assert_eq!(whole["subsets"], Value::Null);
        assert_eq!(slice["endpoints"], json!([]));
        assert_eq!(slice["ports"][0]["port"], 80);
    }

    #[test]
    fn not_ready_pods_can_be_published() {
        let mut service = service(json!(80));
        service["spec"]["publishNotReadyAddresses"] = json!(true);
        let (whole, _) = plan(&service, &[&pod("a", "False")]);
        assert_eq!(
            whole["subsets"][0]["addresses"].as_array().unwrap().len(),
            1
        );
    }
}
