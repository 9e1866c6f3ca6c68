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
        let typed = node["$ref"].is_string();
        let node = self.resolve(node);
        match value {
            Value::Object(fields) => {
                if node["x-kubernetes-embedded-resource"] == true && !node["properties"].is_object()
                {
                    return;
                }
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
                if let Some(properties) = properties.filter(|_| typed) {
                    let required = node["required"].as_array();
                    fields.retain(|field, child| {
                        let is_required =
                            || required.is_some_and(|list| list.iter().any(|name| name == field));
                        !self.says_nothing(&properties[field], child) || is_required()
                    });
                }
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

    /// Whether a value in a built-in kind is as good as none: Kubernetes keeps no empty lists
    /// and maps.
    fn says_nothing(&self, node: &Value, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => {
                fields.is_empty() && self.resolve(node)["additionalProperties"].is_object()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{
        resource::{EXPERIMENTS, PODS},
        schema::Schemas,
    };

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let schemas = Schemas::new();
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod", "foo": 1,
            "metadata": { "name": "a", "labels": { "any": "x" }, "nme": "b" },
            "spec": { "containers": [{ "name": "a", "imag": "b" }], "nodeSelector": { "a": "b" } },
        });
        let unknown = schemas.of(&PODS).unwrap().prune(&mut pod, None);
        assert_eq!(unknown, ["foo", "metadata.nme", "spec.containers[0].imag"]);
        assert_eq!(pod["spec"]["containers"][0], json!({ "name": "a" }));
        assert_eq!(pod["metadata"]["labels"]["any"], "x");
    }

    #[test]
    fn what_is_empty_is_not_kept_in_built_in_kinds() {
        let mut pod = json!({
            "metadata": { "labels": {}, "finalizers": [], "creationTimestamp": null },
            "spec": { "containers": [], "volumes": [{ "name": "v", "emptyDir": {} }] },
        });
        let schema = Schemas::new().of(&PODS).unwrap();
        assert_eq!(schema.prune(&mut pod, None), [""; 0]);
        let kept = json!({
            "metadata": {},
            "spec": { "containers": [], "volumes": [{ "name": "v", "emptyDir": {} }] },
        });
        assert_eq!(pod, kept);
    }

    #[test]
    fn foreign_objects_in_our_kinds_are_kept() {
        let schemas = Schemas::new();
        let mut experiment = json!({
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "spec": {
                "objectve": {},
                "trialTemplate": { "trialSpec": { "any": { "thing": [1, { "a": null }] } } },
            },
        });
        let before = experiment["spec"]["trialTemplate"].clone();
        let schema = schemas.of(&EXPERIMENTS).unwrap();
        let unknown = schema.prune(&mut experiment, None);
        assert_eq!(unknown, ["spec.objectve"]);
        assert_eq!(experiment["spec"]["trialTemplate"], before);
    }
}
