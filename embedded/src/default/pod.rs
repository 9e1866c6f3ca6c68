//! Defaults of pods and pod templates.

use serde_json::{Map, Value, json};

use super::{child, each, inner, set};

mod volume;

/// Sets what a pod leaves out.
pub(super) fn apply(pod: &mut Value) {
    let Some(fields) = pod.as_object_mut() else {
        return;
    };
    if let Some(spec) = child(fields, "spec") {
        specification(spec);
        // Of a pod alone: a template stays as it was written.
        for list in ["initContainers", "containers"] {
            each(spec, list).for_each(request_limits);
        }
        set(spec, "enableServiceLinks", json!(true));
        let quality = quality_of_service(spec);
        if let Some(status) = child(fields, "status") {
            set(status, "phase", json!("Pending"));
            set(status, "qosClass", json!(quality));
        }
    }
}

/// Sets what the specification of a pod or template leaves out.
pub(super) fn specification(spec: &mut Map<String, Value>) {
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "schedulerName", json!("default-scheduler"));
    set(spec, "securityContext", json!({}));
    for list in ["initContainers", "containers"] {
        for container in each(spec, list) {
            self::container(container);
        }
    }
    each(spec, "volumes").for_each(volume::apply);
}

fn container(container: &mut Map<String, Value>) {
    let image = container
        .get("image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let policy = if is_latest(image) {
        "Always"
    } else {
        "IfNotPresent"
    };
    set(container, "imagePullPolicy", json!(policy));
    set(
        container,
        "terminationMessagePath",
        json!("/dev/termination-log"),
    );
    set(container, "terminationMessagePolicy", json!("File"));
    for port in each(container, "ports") {
        set(port, "protocol", json!("TCP"));
    }
    for variable in each(container, "env") {
        if let Some(source) = inner(variable, "valueFrom") {
            reference(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = inner(container, name) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = inner(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = inner(lifecycle, hook) {
                action(hook);
            }
        }
    }
    child(container, "resources");
}

fn probe(probe: &mut Map<String, Value>) {
    for (field, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        // Zero is what nobody has set.
        if probe.get(field).and_then(Value::as_i64) == Some(0) {
            probe.remove(field);
        }
        set(probe, field, json!(value));
    }
    action(probe);
}

/// What a probe or a hook does.
fn action(action: &mut Map<String, Value>) {
    if let Some(get) = inner(action, "httpGet") {
        set(get, "path", json!("/"));
        set(get, "scheme", json!("HTTP"));
    }
    if let Some(call) = inner(action, "grpc") {
        set(call, "service", json!(""));
    }
}

/// The version of a reference to a field of the pod, or the unit of one to a resource.
fn reference(source: &mut Map<String, Value>) {
    if let Some(field) = inner(source, "fieldRef") {
        set(field, "apiVersion", json!("v1"));
    }
    if let Some(resource) = inner(source, "resourceFieldRef") {
        set(resource, "divisor", json!("0"));
    }
}

/// Who names a limit and no request asks for as much.
fn request_limits(container: &mut Map<String, Value>) {
    if let Some(resources) = child(container, "resources")
        && let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned()
        && !limits.is_empty()
        && let Some(requests) = child(resources, "requests")
    {
        for (name, quantity) in limits {
            set(requests, &name, quantity);
        }
    }
}

/// Whether an image has the tag `latest`, said or not.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn quality_of_service(spec: &Map<String, Value>) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    let lists = ["initContainers", "containers"]
        .into_iter()
        .filter_map(|list| spec.get(list));
    for container in lists.filter_map(Value::as_array).flatten() {
        let resources = &container["resources"];
        for resource in ["cpu", "memory"] {
            let (request, limit) = (
                &resources["requests"][resource],
                &resources["limits"][resource],
            );
            any |= !request.is_null() || !limit.is_null();
            guaranteed &= !limit.is_null() && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{apply, is_latest};

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, latest) in [
            ("python", true),
            ("python:latest", true),
            ("python:3.12", false),
            ("host:5000/python", true),
            ("host:5000/python:3", false),
            ("python@sha256:00", false),
        ] {
            assert_eq!(is_latest(image), latest, "{image}");
        }
    }

    #[test]
    fn a_pod_gets_what_it_leaves_out_once() {
        let mut pod = json!({
            "spec": { "containers": [{
                "name": "a", "image": "a:1",
                "resources": { "limits": { "cpu": "1", "memory": "1Gi" } },
            }], "volumes": [{ "name": "v" }] },
        });
        apply(&mut pod);
        assert_eq!(
            pod["status"],
            json!({ "phase": "Pending", "qosClass": "Guaranteed" })
        );
        assert_eq!(
            pod["spec"]["containers"][0]["resources"]["requests"]["cpu"],
            "1"
        );
        assert_eq!(pod["spec"]["volumes"][0]["emptyDir"], json!({}));
        let once = pod.clone();
        apply(&mut pod);
        assert_eq!(pod, once);
    }
}
