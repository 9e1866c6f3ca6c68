//! The definitions as a cluster's API server takes them.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use diwan_api::crd::{EXPERIMENTS, cluster_crds, crds};
use diwan_api::{Experiment, v1alpha3};
use serde_json::{Map, Value, json};

fn definitions() -> Vec<Value> {
    crds()
        .iter()
        .map(|crd| serde_json::to_value(crd).unwrap())
        .collect()
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

/// Calls `visit` with every schema in a schema and the path of the field it describes.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    let schema = schema
        .as_object()
        .unwrap_or_else(|| panic!("{path}: {schema} is no schema"));
    visit(path, schema);
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        walk(property, &format!("{path}.{name}"), visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = schema.get(key) {
            walk(inner, &format!("{path}{suffix}"), visit);
        }
    }
}

#[test]
fn definitions_of_the_three_kinds() {
    for crd in crds() {
        let name = crd.metadata.name.clone().unwrap();
        insta::assert_yaml_snapshot!(name, crd);
    }
}

#[test]
fn schemas_are_structural() {
    const KNOWN: [&str; 12] = [
        "additionalProperties",
        "description",
        "enum",
        "format",
        "items",
        "nullable",
        "properties",
        "required",
        "title",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
    ];
    for definition in definitions() {
        walk(schema(&definition), "", &mut |path, schema| {
            assert!(schema.contains_key("type"), "{path} has no type");
            for key in schema.keys() {
                assert!(KNOWN.contains(&key.as_str()), "{path} has {key}");
            }
            let formats = ["int32", "int64", "double", "date-time"];
            if let Some(format) = schema.get("format").and_then(Value::as_str) {
                assert!(formats.contains(&format), "{path} has format {format}");
            }
            let both =
                schema.contains_key("properties") && schema.contains_key("additionalProperties");
            assert!(!both, "{path} has properties and additionalProperties");
        });
    }
}

#[test]
fn unknown_fields_are_kept_only_in_foreign_objects() {
    let mut kept = Vec::new();
    for definition in definitions() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        walk(schema(&definition), kind, &mut |path, schema| {
            if schema.contains_key("x-kubernetes-preserve-unknown-fields") {
                kept.push(path.to_owned());
            }
        });
    }
    assert_eq!(
        kept,
        [
            "Experiment.spec.metricsCollectorSpec.collector.customCollector",
            "Experiment.spec.metricsCollectorSpec.source.httpGet",
            "Experiment.spec.trialTemplate.trialSpec",
            "Trial.spec.metricsCollector.collector.customCollector",
            "Trial.spec.metricsCollector.source.httpGet",
            "Trial.spec.runSpec",
        ]
    );
}

#[test]
fn completion_time_may_be_null() {
    for definition in definitions() {
        let time = &schema(&definition)["properties"]["status"]["properties"]["completionTime"];
        assert_eq!(time["nullable"], true, "{}", definition["metadata"]["name"]);
    }
    let object = json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
        "metadata": {"name": "e"}, "spec": {}, "status": {"completionTime": null},
    });
    let experiment: Experiment = serde_json::from_value(object).unwrap();
    let status = serde_json::to_value(experiment.status).unwrap();
    assert_eq!(status.get("completionTime"), Some(&Value::Null));
}

#[test]
fn a_cluster_serves_experiments_of_the_older_version_too() {
    let plain = definitions();
    for (crd, plain) in cluster_crds().iter().zip(plain) {
        let mut definition = serde_json::to_value(crd).unwrap();
        if definition["metadata"]["name"] == EXPERIMENTS {
            let versions = definition["spec"]["versions"].as_array_mut().unwrap();
            let older = versions.pop().unwrap();
            assert_eq!(older["name"], v1alpha3::VERSION);
            assert_eq!(
                (&older["served"], &older["storage"]),
                (&json!(true), &json!(false))
            );
            for same in ["additionalPrinterColumns", "subresources"] {
                assert_eq!(older[same], versions[0][same]);
            }
            walk(&older["schema"]["openAPIV3Schema"], "", &mut |_, schema| {
                assert_eq!(schema["x-kubernetes-preserve-unknown-fields"], true);
            });
            let spec = definition["spec"].as_object_mut().unwrap();
            let conversion = spec.remove("conversion").unwrap();
            assert_eq!(conversion["strategy"], "Webhook");
            let service = &conversion["webhook"]["clientConfig"]["service"];
            assert_eq!(service["path"], "/convert");
        }
        assert_eq!(definition, plain);
    }
}
