//! How lists and maps of built-in types merge, and which words their fields may hold.
//!
//! `lists.txt` has it from a Kubernetes (`tests/kubernetes/lists.py` makes it again); here it is
//! written into the schemas, in the words in which custom kinds say it themselves.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

const TABLE: &str = include_str!("lists.txt");

/// Says in the schemas of built-in types how their lists and maps merge.
pub(super) fn annotate(definitions: &mut Map<String, Value>) {
    let mut definition = None;
    for line in TABLE.lines() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        let node = if line.starts_with(' ') {
            definition
                .as_deref_mut()
                .and_then(|node: &mut Value| node.get_mut("properties")?.get_mut(name))
        } else {
            definition = definitions.get_mut(name);
            definition.as_deref_mut()
        };
        let Some(Value::Object(node)) = node else {
            continue;
        };
        for fact in words {
            if let Some((key, value)) = read(fact) {
                if key == "enum" {
                    describe_words(node, &value);
                }
                node.insert(key.to_owned(), value);
            }
        }
    }
}

/// Lists the words that a field may hold where people read about it.
fn describe_words(node: &mut Map<String, Value>, words: &Value) {
    if let Some(Value::String(text)) = node.get_mut("description") {
        text.push_str("\n\nPossible enum values:");
        for word in words.as_array().into_iter().flatten() {
            let _ = write!(text, "\n - `{word}`");
        }
    }
}

/// One fact, as a schema writes it.
fn read(fact: &str) -> Option<(&'static str, Value)> {
    let (name, value) = fact.split_once('=').unwrap_or((fact, ""));
    Some(match name {
        "list" => ("x-kubernetes-list-type", json!(value)),
        "keys" => (
            "x-kubernetes-list-map-keys",
            value.split(',').collect::<Value>(),
        ),
        "map" => ("x-kubernetes-map-type", json!(value)),
        "enum" => ("enum", value.split(',').collect()),
        "patch" => ("x-kubernetes-patch-strategy", json!(value)),
        "by" => ("x-kubernetes-patch-merge-key", json!(value)),
        "struct" => ("default", json!({})),
        "default" => ("default", serde_json::from_str(value).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::{TABLE, read};
    use crate::schema::builtin_definitions;

    #[test]
    fn every_fact_can_be_read() {
        for line in TABLE.lines() {
            for fact in line.split_whitespace().skip(1) {
                assert!(read(fact).is_some(), "{line}");
            }
        }
    }

    #[test]
    fn the_table_names_the_types_of_the_schemas() {
        let definitions = builtin_definitions(None);
        let container = &definitions["io.k8s.api.core.v1.Container"]["properties"];
        assert_eq!(
            container["ports"]["x-kubernetes-list-map-keys"],
            json!(["containerPort", "protocol"])
        );
        assert_eq!(container["command"]["x-kubernetes-list-type"], "atomic");
        assert_eq!(container["resources"]["default"], json!({}));
        let port = &definitions["io.k8s.api.core.v1.ContainerPort"]["properties"];
        assert_eq!(port["protocol"]["default"], "TCP");
        assert_eq!(port["protocol"]["enum"], json!(["SCTP", "TCP", "UDP"]));
        let told = port["protocol"]["description"].as_str().unwrap();
        assert!(
            told.ends_with("\n - `\"SCTP\"`\n - `\"TCP\"`\n - `\"UDP\"`"),
            "{told}"
        );
        let selector = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector";
        assert_eq!(definitions[selector]["x-kubernetes-map-type"], "atomic");
    }
}
