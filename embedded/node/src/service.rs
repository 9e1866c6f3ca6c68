//! What pods are told of services: variables, and names with their addresses. Pure.

use serde_json::Value;

/// The variables of a service, as Kubernetes gives them to pods of its namespace.
pub(crate) fn variables(service: &Value) -> Vec<(String, String)> {
    let Some(address) = address(service) else {
        return Vec::new();
    };
    let name = variable(service["metadata"]["name"].as_str().unwrap_or_default());
    let ports = service["spec"]["ports"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let Some(first) = ports.first() else {
        return Vec::new();
    };
    let mut variables = vec![
        (format!("{name}_SERVICE_HOST"), address.to_owned()),
        (format!("{name}_SERVICE_PORT"), first["port"].to_string()),
    ];
    for port in ports {
        if let Some(word) = port["name"].as_str().filter(|word| !word.is_empty()) {
            let key = format!("{name}_SERVICE_PORT_{}", variable(word));
            variables.push((key, port["port"].to_string()));
        }
    }
    for (i, port) in ports.iter().enumerate() {
        let number = port["port"].to_string();
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let lower = protocol.to_lowercase();
        let url = format!("{lower}://{address}:{number}");
        if i == 0 {
            variables.push((format!("{name}_PORT"), url.clone()));
        }
        let prefix = format!("{name}_PORT_{number}_{}", protocol.to_uppercase());
        variables.push((prefix.clone(), url));
        variables.push((format!("{prefix}_PROTO"), lower));
        variables.push((format!("{prefix}_PORT"), number));
        variables.push((format!("{prefix}_ADDR"), address.to_owned()));
    }
    variables
}

/// The service's own address; none when it has none.
fn address(service: &Value) -> Option<&str> {
    let address = service["spec"]["clusterIP"].as_str()?;
    (!address.is_empty() && address != "None").then_some(address)
}

fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// The lines of `/etc/hosts` that pods of a namespace see for a service. A headless one has the
/// addresses of its pods, and these have names of their own below it.
pub(crate) fn names(service: &Value, slices: &[&Value], namespace: &str) -> Vec<String> {
    let own = service["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let line = |address: &str, first: &str| {
        let mut names = vec![
            format!("{first}.{own}"),
            format!("{first}.{own}.svc"),
            format!("{first}.{own}.svc.cluster.local"),
        ];
        if own == namespace {
            names.insert(0, first.to_owned());
        }
        format!("{address}\t{}", names.join(" "))
    };
    if let Some(address) = address(service) {
        return vec![line(address, name)];
    }
    let endpoints = slices
        .iter()
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let mut lines = Vec::new();
    for endpoint in endpoints {
        let addresses = endpoint["addresses"].as_array().into_iter().flatten();
        for address in addresses.filter_map(Value::as_str) {
            if endpoint["conditions"]["ready"] != false {
                lines.push(line(address, name));
            }
            if let Some(host) = endpoint["hostname"].as_str() {
                lines.push(line(address, &format!("{host}.{name}")));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_has_the_variables_that_kubernetes_gives() {
        let service = json!({ "metadata": { "name": "redis-primary" }, "spec": {
            "clusterIP": "127.96.0.11", "ports": [{ "name": "db", "port": 6379, "protocol": "TCP" }],
        }});
        let lines: Vec<String> = variables(&service)
            .into_iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(
            lines,
            [
                "REDIS_PRIMARY_SERVICE_HOST=127.96.0.11",
                "REDIS_PRIMARY_SERVICE_PORT=6379",
                "REDIS_PRIMARY_SERVICE_PORT_DB=6379",
                "REDIS_PRIMARY_PORT=tcp://127.96.0.11:6379",
                "REDIS_PRIMARY_PORT_6379_TCP=tcp://127.96.0.11:6379",
                "REDIS_PRIMARY_PORT_6379_TCP_PROTO=tcp",
                "REDIS_PRIMARY_PORT_6379_TCP_PORT=6379",
                "REDIS_PRIMARY_PORT_6379_TCP_ADDR=127.96.0.11",
            ]
        );
        assert!(variables(&json!({ "spec": { "clusterIP": "None" } })).is_empty());
    }

    #[test]
    fn names_lead_to_the_service_or_to_its_pods() {
        let metadata = json!({ "name": "s", "namespace": "n" });
        let service = json!({ "metadata": metadata, "spec": { "clusterIP": "127.96.0.1" } });
        assert_eq!(
            names(&service, &[], "n"),
            ["127.96.0.1\ts s.n s.n.svc s.n.svc.cluster.local"]
        );
        assert_eq!(
            names(&service, &[], "m"),
            ["127.96.0.1\ts.n s.n.svc s.n.svc.cluster.local"]
        );
        let headless = json!({ "metadata": metadata, "spec": { "clusterIP": "None" } });
        let slice = json!({ "endpoints": [
            { "addresses": ["127.112.0.1"], "hostname": "p-0", "conditions": { "ready": true } },
            { "addresses": ["127.112.0.2"], "conditions": { "ready": false } },
        ]});
        assert_eq!(
            names(&headless, &[&slice], "n"),
            [
                "127.112.0.1\ts s.n s.n.svc s.n.svc.cluster.local",
                "127.112.0.1\tp-0.s p-0.s.n p-0.s.n.svc p-0.s.n.svc.cluster.local",
            ]
        );
    }
}
