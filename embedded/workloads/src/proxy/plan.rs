//! Which addresses lead where. Pure.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

/// Where the ports of a service lead: the pods that answer, by the service's own address.
pub(super) type Routes = BTreeMap<SocketAddr, Vec<SocketAddr>>;

/// The routes of a service with these slices.
pub(super) fn routes(service: &Value, slices: &[&Value]) -> Routes {
    let address = service["spec"]["clusterIP"]
        .as_str()
        .and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    // Other addresses are no business of this machine.
    let Some(address) = address.filter(Ipv4Addr::is_loopback) else {
        return Routes::new();
    };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports
        .filter(|port| port["protocol"] == "TCP")
        .filter_map(|port| {
            let number = u16::try_from(port["port"].as_u64()?).ok()?;
            let name = port["name"].as_str().unwrap_or_default();
            let mut targets: Vec<SocketAddr> = slices
                .iter()
                .flat_map(|slice| targets(slice, name))
                .collect();
            targets.sort();
            targets.dedup();
            Some((SocketAddr::from((address, number)), targets))
        })
        .collect()
}

/// The pods of a slice that answer at the port of that name.
fn targets(slice: &Value, name: &str) -> Vec<SocketAddr> {
    let mut ports = slice["ports"].as_array().into_iter().flatten();
    let port = ports.find(|port| port["name"].as_str().unwrap_or_default() == name);
    let Some(port) = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else {
        return Vec::new();
    };
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    endpoints
        .filter(|endpoint| endpoint["conditions"]["ready"] != false)
        .flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten())
        .filter_map(|address| Some(SocketAddr::new(address.as_str()?.parse().ok()?, port)))
        .collect()
}

/// The ports that can't be led anywhere, for people.
pub(super) fn unserved(service: &Value) -> Option<String> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let others: Vec<String> = ports
        .filter(|port| port["protocol"] != "TCP")
        .map(|port| {
            format!(
                "{}/{}",
                port["port"],
                port["protocol"].as_str().unwrap_or_default()
            )
        })
        .collect();
    let has_pods = service["spec"]["clusterIP"]
        .as_str()
        .is_some_and(|ip| ip != "None");
    (has_pods && !others.is_empty()).then(|| {
        let others = others.join(", ");
        format!("only TCP is passed on to pods on this machine, so not {others}; use the pods' own addresses (clusterIP: None)")
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_leads_to_the_pods_that_are_ready() {
        let service = json!({ "spec": { "clusterIP": "127.96.0.9", "ports": [
            { "name": "a", "port": 80, "protocol": "TCP" },
            { "name": "b", "port": 81, "protocol": "TCP" },
            { "name": "c", "port": 82, "protocol": "UDP" },
        ]}});
        let slice = json!({
            "ports": [{ "name": "a", "port": 8080 }],
            "endpoints": [
                { "addresses": ["127.112.0.1"], "conditions": { "ready": true } },
                { "addresses": ["127.112.0.2"], "conditions": { "ready": false } },
                { "addresses": ["127.112.0.3"] },
            ],
        });
        let routes: Vec<String> = routes(&service, &[&slice])
            .into_iter()
            .map(|(from, to)| format!("{from} {to:?}"))
            .collect();
        assert_eq!(
            routes,
            [
                "127.96.0.9:80 [127.112.0.1:8080, 127.112.0.3:8080]",
                "127.96.0.9:81 []"
            ]
        );
        assert!(unserved(&service).unwrap().contains("82/UDP"));
    }

    #[test]
    fn headless_services_lead_nowhere() {
        let service = |ip: &str| json!({ "spec": { "clusterIP": ip, "ports": [{ "port": 80, "protocol": "TCP" }] } });
        assert!(routes(&service("None"), &[]).is_empty());
        assert!(routes(&service("10.0.0.1"), &[]).is_empty());
        assert_eq!(unserved(&service("127.0.0.1")), None);
    }
}
