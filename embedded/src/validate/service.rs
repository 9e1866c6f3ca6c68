//! The rules for services.

use std::collections::HashSet;
use std::net::IpAddr;

use diwan_api::FieldError;
use serde_json::Value;

const RANGE: &str = "must be between 1 and 65535, inclusive";

/// The rules for the specification of a service.
pub(super) fn check(spec: &Value, errors: &mut Vec<FieldError>) {
    let kind = text(&spec["type"]);
    let address = text(&spec["clusterIP"]);
    let ports = spec["ports"].as_array().map_or(&[][..], Vec::as_slice);
    let is_headless = address == "None";
    if ports.is_empty() && !is_headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    self::ports(ports, errors);
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !types.contains(&kind) {
        errors.push(FieldError::not_supported("spec.type", kind, &types));
    }
    let affinity = text(&spec["sessionAffinity"]);
    let known = ["ClientIP", "None"];
    if !known.contains(&affinity) {
        errors.push(FieldError::not_supported(
            "spec.sessionAffinity",
            affinity,
            &known,
        ));
    }
    super::labels("spec.selector", &spec["selector"], errors);
    if kind == "ExternalName" && text(&spec["externalName"]).is_empty() {
        errors.push(FieldError::required("spec.externalName", ""));
    }
    if is_headless && ["NodePort", "LoadBalancer"].contains(&kind) {
        let detail = format!("may not be set to 'None' for {kind} services");
        errors.push(FieldError::invalid("spec.clusterIPs[0]", "None", detail));
    }
    if !address.is_empty() && !is_headless && address.parse::<IpAddr>().is_err() {
        let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        errors.push(FieldError::invalid("spec.clusterIPs[0]", address, detail));
    }
}

fn ports(ports: &[Value], errors: &mut Vec<FieldError>) {
    let (mut names, mut numbers) = (HashSet::new(), HashSet::new());
    for (i, port) in ports.iter().enumerate() {
        let field = format!("spec.ports[{i}]");
        let name = text(&port["name"]);
        if name.is_empty() {
            if ports.len() > 1 {
                errors.push(FieldError::required(format!("{field}.name"), ""));
            }
        } else if let Some(detail) = super::label(name) {
            errors.push(FieldError::invalid(format!("{field}.name"), name, detail));
        } else if !names.insert(name) {
            errors.push(FieldError::duplicate(format!("{field}.name"), name));
        }
        let number = port["port"].as_i64().unwrap_or(0);
        if !(1..=65535).contains(&number) {
            errors.push(FieldError::invalid(format!("{field}.port"), number, RANGE));
        }
        let protocol = text(&port["protocol"]);
        let known = ["SCTP", "TCP", "UDP"];
        if !known.contains(&protocol) {
            errors.push(FieldError::not_supported(
                format!("{field}.protocol"),
                protocol,
                &known,
            ));
        }
        target(&port["targetPort"], &format!("{field}.targetPort"), errors);
        if !numbers.insert((number, protocol)) {
            errors.push(FieldError::duplicate(field, port));
        }
    }
}

/// A number, or the name of a port of the pods.
fn target(target: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if let Some(number) = target.as_i64() {
        if !(1..=65535).contains(&number) {
            errors.push(FieldError::invalid(field, number, RANGE));
        }
        return;
    }
    let Some(name) = target.as_str() else { return };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut refuse = |detail: &str| errors.push(FieldError::invalid(field, name, detail));
    if name.len() > 15 {
        refuse("must be no more than 15 characters");
    }
    if !name.chars().all(allowed) {
        refuse("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.chars().any(|c| c.is_ascii_lowercase()) {
        refuse("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        refuse("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        refuse("must not begin or end with a hyphen");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value, expected: &[&str]) {
        let mut whole = json!({ "type": "ClusterIP", "sessionAffinity": "None" });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let mut errors = Vec::new();
        super::check(&whole, &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn ports_have_names_of_their_own_and_numbers_in_range() {
        let port = |name: &str, port: i64| json!({ "name": name, "port": port, "protocol": "TCP" });
        check(json!({ "ports": [port("", 80)] }), &[]);
        check(json!({}), &["spec.ports: Required value"]);
        check(json!({ "clusterIP": "None" }), &[]);
        check(
            json!({ "ports": [port("a", 80), port("a", 0)] }),
            &[
                "spec.ports[1].name: Duplicate value: \"a\"",
                "spec.ports[1].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        );
    }

    #[test]
    fn addresses_fit_the_type() {
        check(
            json!({ "type": "ExternalName" }),
            &["spec.externalName: Required value"],
        );
        let port = json!({ "port": 80, "protocol": "TCP", "targetPort": "BAD_" });
        check(
            json!({ "type": "NodePort", "clusterIP": "None", "ports": [port] }),
            &[
                "spec.ports[0].targetPort: Invalid value: \"BAD_\": must contain only alpha-numeric \
                 characters (a-z, 0-9), and hyphens (-)",
                "spec.ports[0].targetPort: Invalid value: \"BAD_\": must contain at least one letter (a-z)",
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ],
        );
    }
}
