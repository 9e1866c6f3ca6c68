//! Cells of services and their endpoints.

use serde_json::{Value, json};

use super::{items, or_none, pairs, text};

/// As many ports or addresses are shown.
const SHOWN: usize = 3;

/// Of a service.
pub(super) fn service(spec: &Value, name: &str, age: &str) -> Vec<Value> {
    let port = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64().filter(|number| *number > 0) {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    };
    let ports: Vec<String> = items(&spec["ports"]).iter().map(port).collect();
    let external = match text(&spec["type"]) {
        "ExternalName" => or_none(&spec["externalName"]),
        "LoadBalancer" => "<pending>",
        _ => "<none>",
    };
    vec![
        json!(name),
        json!(text(&spec["type"])),
        json!(or_none(&spec["clusterIP"])),
        json!(external),
        json!(or_nothing(ports.join(","))),
        json!(age),
        json!(pairs(&spec["selector"])),
    ]
}

/// Of Endpoints.
pub(super) fn endpoints(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for subset in items(&object["subsets"]) {
        for address in items(&subset["addresses"]) {
            let ip = text(&address["ip"]);
            let ports = items(&subset["ports"]);
            if ports.is_empty() {
                all.push(ip.to_owned());
            }
            all.extend(ports.iter().map(|port| format!("{ip}:{}", port["port"])));
        }
    }
    vec![json!(name), json!(or_nothing(some(&all))), json!(age)]
}

/// Of an EndpointSlice.
pub(super) fn slice(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let ports: Vec<String> = items(&object["ports"])
        .iter()
        .map(|port| match &port["port"] {
            Value::Null => "*".to_owned(),
            number => number.to_string(),
        })
        .collect();
    let addresses: Vec<String> = items(&object["endpoints"])
        .iter()
        .flat_map(|endpoint| items(&endpoint["addresses"]))
        .map(|address| text(address).to_owned())
        .collect();
    let unset = |text: String| {
        if text.is_empty() {
            "<unset>".to_owned()
        } else {
            text
        }
    };
    vec![
        json!(name),
        json!(text(&object["addressType"])),
        json!(unset(some(&ports))),
        json!(unset(some(&addresses))),
        json!(age),
    ]
}

/// The first of a list, and how many more there are.
fn some(list: &[String]) -> String {
    let shown = list[..list.len().min(SHOWN)].join(",");
    match list.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn or_nothing(text: String) -> String {
    if text.is_empty() {
        "<none>".to_owned()
    } else {
        text
    }
}
