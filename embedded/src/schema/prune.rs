//! Finding and dropping fields that a schema does not know.

use serde_json::Value;

use super::{Schema, path::Path};

impl Schema {
    /// Drops the fields that are not known, and returns their paths. What is as it was in `old`
    /// holds no such field.
    pub(crate) fn prune(&self, object: &mut Value, old: Option<&Value>) -> Vec<String> {
        let mut unknown = Vec::new();
        self.prune_node(&self.root, object, old, &mut Path::default(), &mut unknown);
        unknown
    }

    fn prune_node(
        &self,
        node: &Value,
        value: &mut Value,
        old: Option<&Value>,
        path: &mut Path,
        unknown: &mut Vec<String>,
    ) {
        if old == Some(value) {
            return;
        }
        let node = self.resolve(node);
        match value {
            Value::Object(fields) => {
                let properties = node["properties"].as_object();
                let additional = node.get("additionalProperties");
                let open = node["x-kubernetes-preserve-unknown-fields"] == true
                    || (properties.is_none() && additional.is_none());
                fields.retain(|field, child| {
                    let known = properties.and_then(|properties| properties.get(field));
                    match known.or(additional) {
                        Some(Value::Bool(allowed)) if *allowed => true,
                        Some(node) if node.is_object() => {
                            let old = old.and_then(|old| old.get(field));
                            path.within(field, |path| {
                                self.prune_node(node, child, old, path, unknown);
                            });
                            true
                        }
                        _ if open => true,
                        _ => {
                            path.within(field, |path| unknown.push(path.to_string()));
                            false
                        }
                    }
                });
            }
            Value::Array(items) => {
                let node = &node["items"];
                for (i, item) in items.iter_mut().enumerate().filter(|_| node.is_object()) {
                    let old = old.and_then(|old| old.get(i));
                    path.at(i, |path| self.prune_node(node, item, old, path, unknown));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{custom, resource::PODS, schema};

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "foo": 1,
            "metadata": { "name": "a", "labels": { "any": "x" }, "nme": "b" },
            "spec": { "containers": [{ "name": "a", "imag": "b" }], "nodeSelector": { "a": "b" } },
        });
        let unknown = schema::builtin(&PODS).unwrap().prune(&mut pod, None);
        assert_eq!(unknown, ["foo", "metadata.nme", "spec.containers[0].imag"]);
        assert_eq!(pod["spec"]["containers"][0], json!({ "name": "a" }));
        assert_eq!(pod["metadata"]["labels"]["any"], "x");
    }

    #[test]
    fn foreign_objects_in_our_kinds_are_kept() {
        let mut experiment = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "spec": {
                "objectve": {},
                "trialTemplate": { "trialSpec": { "any": { "thing": [1, { "a": null }] } } },
            },
        });
        let before = experiment["spec"]["trialTemplate"].clone();
        let version = &custom::seeds()[0]["spec"]["versions"][0];
        let schema = schema::custom(&version["schema"]["openAPIV3Schema"]);
        let unknown = schema.prune(&mut experiment, None);
        assert_eq!(unknown, ["spec.objectve"]);
        assert_eq!(experiment["spec"]["trialTemplate"], before);
    }
}
