//! Defaults of services and their endpoints.

use serde_json::{Value, json};

use super::{child, each, set};

/// Sets what a service leaves out, but for its address.
pub(super) fn apply(service: &mut Value) {
    let Some(fields) = service.as_object_mut() else {
        return;
    };
    if let Some(spec) = child(fields, "spec") {
        set(spec, "type", json!("ClusterIP"));
        set(spec, "sessionAffinity", json!("None"));
        if spec["sessionAffinity"] == "ClientIP" {
            let remembered = child(spec, "sessionAffinityConfig");
            if let Some(client) = remembered.and_then(|config| child(config, "clientIP")) {
                set(client, "timeoutSeconds", json!(10800));
            }
        }
        if spec["type"] == "ExternalName" {
            for field in [
                "clusterIP",
                "clusterIPs",
                "ipFamilies",
                "ipFamilyPolicy",
                "internalTrafficPolicy",
            ] {
                spec.remove(field);
            }
        } else {
            set(spec, "internalTrafficPolicy", json!("Cluster"));
            set(spec, "ipFamilies", json!(["IPv4"]));
            set(spec, "ipFamilyPolicy", json!("SingleStack"));
            if let Some(address) = spec
                .get("clusterIP")
                .filter(|ip| ip.as_str() != Some(""))
                .cloned()
            {
                set(spec, "clusterIPs", json!([address]));
            }
        }
        if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
            set(spec, "externalTrafficPolicy", json!("Cluster"));
        }
        for port in each(spec, "ports") {
            set(port, "protocol", json!("TCP"));
            if port.get("nodePort") == Some(&json!(0)) {
                port.remove("nodePort");
            }
            let number = port.get("port").cloned().unwrap_or(json!(0));
            set(port, "targetPort", number);
        }
    }
    if let Some(status) = child(fields, "status") {
        set(status, "loadBalancer", json!({}));
    }
}

/// Sets what Endpoints leave out.
pub(super) fn endpoints(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for subset in each(fields, "subsets") {
        for port in each(subset, "ports") {
            set(port, "protocol", json!("TCP"));
        }
    }
}

/// Sets what an EndpointSlice leaves out.
pub(super) fn slice(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for port in each(fields, "ports") {
        set(port, "name", json!(""));
        set(port, "protocol", json!("TCP"));
    }
    for endpoint in each(fields, "endpoints") {
        child(endpoint, "conditions");
    }
}
