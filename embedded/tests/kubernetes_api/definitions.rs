//! Kinds of users: their definitions come and go, and their objects are like any others.

use diwan_embedded::{Api, Options};
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::world::{Answer, World, eventually, world};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GADGETS: &str = "/apis/example.com/v1/namespaces/default/gadgets";

fn gadgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "gadgets.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"] },
            "versions": [
                {
                    "name": "v1", "served": true, "storage": true,
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        { "name": "Size", "type": "integer", "jsonPath": ".spec.size" },
                    ],
                    "selectableFields": [{ "jsonPath": ".spec.color" }],
                    "schema": { "openAPIV3Schema": schema() },
                },
                {
                    "name": "v1beta1", "served": true, "storage": false, "deprecated": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                        "spec": { "type": "object", "properties": { "size": { "type": "integer" } } },
                    }}},
                },
                {
                    "name": "v1alpha1", "served": false, "storage": false,
                    "schema": { "openAPIV3Schema": { "type": "object" } },
                },
            ],
        },
    })
}

fn schema() -> Value {
    json!({ "type": "object", "description": "A gadget.", "properties": {
        "spec": {
            "type": "object", "required": ["size"],
            "x-kubernetes-validations": [{ "rule": "self.size < 100", "message": "too big" }],
            "properties": {
                "size": { "type": "integer", "minimum": 1 },
                "color": {
                    "type": "string", "default": "red", "enum": ["red", "blue"],
                    "x-kubernetes-validations": [{ "rule": "self == oldSelf", "message": "immutable" }],
                },
                "replicas": { "type": "integer" },
            },
        },
        "status": { "type": "object", "properties": {
            "replicas": { "type": "integer" }, "selector": { "type": "string" },
        }},
    }})
}

fn gadget(name: &str, size: i64) -> Value {
    json!({
        "apiVersion": "example.com/v1", "kind": "Gadget", "metadata": { "name": name },
        "spec": { "size": size },
    })
}

impl World {
    /// Defines a kind and waits until it is served.
    async fn define(&self, definition: Value) {
        let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
        let answer = self.ask("POST", DEFINITIONS, definition).await;
        assert_eq!(answer.code, 201, "{}", answer.body);
        eventually("the definition to be established", async || {
            let path = format!("{DEFINITIONS}/{name}");
            let found = self.ask("GET", &path, Value::Null).await.body;
            has_condition(&found, "Established").then_some(())
        })
        .await;
    }

    async fn patch(&self, path: &str, patch: Value) -> Answer {
        let merge = "application/merge-patch+json";
        self.ask_as("PATCH", path, merge, "application/json", patch)
            .await
    }
}

fn has_condition(object: &Value, type_: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == type_ && c["status"] == "True")
}

#[tokio::test]
async fn objects_of_a_defined_kind_are_defaulted_pruned_and_checked() {
    let world = world();
    world.define(gadgets()).await;
    let mut good = gadget("a", 5);
    good["spec"]["unknown"] = json!(1);
    let answer = world.ask("POST", GADGETS, good).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    assert_eq!(answer.body["spec"], json!({ "size": 5, "color": "red" }));
    assert_eq!(answer.body["metadata"]["generation"], 1);
    assert_eq!(
        answer.warnings,
        [r#"299 - "unknown field \"spec.unknown\"""#]
    );

    let answer = world.ask("POST", GADGETS, gadget("b", 200)).await;
    assert_eq!(answer.code, 422);
    let message = r#"Gadget.example.com "b" is invalid: spec: Invalid value: too big"#;
    assert_eq!(answer.body["message"], message);

    let path = format!("{GADGETS}/a");
    let answer = world
        .patch(&path, json!({ "spec": { "color": "blue" } }))
        .await;
    let message =
        r#"Gadget.example.com "a" is invalid: spec.color: Invalid value: "blue": immutable"#;
    assert_eq!(answer.body["message"], message);

    let selected = format!("{GADGETS}?fieldSelector=spec.color%3Dred");
    let answer = world.ask("GET", &selected, Value::Null).await;
    assert_eq!(answer.body["items"].as_array().map(Vec::len), Some(1));
    let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let answer = world
        .ask_as("GET", GADGETS, "application/json", table, Value::Null)
        .await;
    assert_eq!(answer.body["rows"][0]["cells"], json!(["a", 5]));
}

#[tokio::test]
async fn versions_differ_in_name_and_fields_only() {
    let world = world();
    world.define(gadgets()).await;
    let beta = GADGETS.replace("v1", "v1beta1");
    let mut old = gadget("a", 5);
    old["apiVersion"] = json!("example.com/v1beta1");
    let answer = world.ask("POST", &beta, old).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    assert_eq!(answer.body["spec"], json!({ "size": 5 }));
    let warning = r#"299 - "example.com/v1beta1 Gadget is deprecated; use example.com/v1 Gadget""#;
    assert_eq!(answer.warnings, [warning]);

    let answer = world.ask("GET", &format!("{GADGETS}/a"), Value::Null).await;
    assert_eq!(answer.body["apiVersion"], "example.com/v1");
    assert_eq!(answer.body["spec"], json!({ "size": 5, "color": "red" }));
    let list = world.ask("GET", &beta, Value::Null).await.body;
    assert_eq!(list["items"][0]["apiVersion"], "example.com/v1beta1");
    assert_eq!(list["items"][0]["spec"], json!({ "size": 5 }));

    let answer = world
        .patch(&format!("{beta}/a"), json!({ "spec": { "size": 6 } }))
        .await;
    assert_eq!(
        answer.body["apiVersion"], "example.com/v1beta1",
        "{}",
        answer.body
    );
    let answer = world.ask("GET", &format!("{GADGETS}/a"), Value::Null).await;
    assert_eq!(answer.body["spec"]["size"], 6);
    assert_eq!(answer.body["metadata"]["generation"], 2);

    let alpha = GADGETS.replace("v1", "v1alpha1");
    assert_eq!(world.ask("GET", &alpha, Value::Null).await.code, 404);
    let group = world
        .ask("GET", "/apis/example.com", Value::Null)
        .await
        .body;
    let versions = group["versions"].as_array().unwrap();
    let versions: Vec<&Value> = versions.iter().map(|v| &v["version"]).collect();
    assert_eq!(versions, ["v1", "v1beta1"]);
}

#[tokio::test]
async fn a_scale_says_and_sets_the_replicas() {
    let world = world();
    world.define(gadgets()).await;
    world.ask("POST", GADGETS, gadget("a", 5)).await;
    let status = json!({ "status": { "replicas": 2, "selector": "a=b" } });
    world.patch(&format!("{GADGETS}/a/status"), status).await;
    let path = format!("{GADGETS}/a/scale");
    let answer = world
        .patch(&path, json!({ "spec": { "replicas": 3 } }))
        .await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    assert_eq!(answer.body["kind"], "Scale");
    assert_eq!(answer.body["apiVersion"], "autoscaling/v1");
    assert_eq!(answer.body["spec"], json!({ "replicas": 3 }));
    assert_eq!(
        answer.body["status"],
        json!({ "replicas": 2, "selector": "a=b" })
    );
    let answer = world
        .patch(&path, json!({ "spec": { "replicas": -3 } }))
        .await;
    assert_eq!(answer.code, 422);
    let object = world
        .ask("GET", &format!("{GADGETS}/a"), Value::Null)
        .await
        .body;
    assert_eq!(object["spec"]["replicas"], 3);
}

#[tokio::test]
async fn a_definition_takes_its_objects_with_it() {
    let world = world();
    world.define(gadgets()).await;
    let mut held = gadget("held", 1);
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    world.ask("POST", GADGETS, held).await;
    world.ask("POST", GADGETS, gadget("free", 1)).await;
    let path = format!("{DEFINITIONS}/gadgets.example.com");
    let answer = world.ask("DELETE", &path, Value::Null).await;
    assert_eq!(answer.code, 200);
    eventually("the free object to go", async || {
        let found = world
            .ask("GET", &format!("{GADGETS}/free"), Value::Null)
            .await;
        (found.code == 404).then_some(())
    })
    .await;
    let definition = world.ask("GET", &path, Value::Null).await.body;
    assert!(has_condition(&definition, "Terminating"), "{definition}");
    let refused = world.ask("POST", GADGETS, gadget("late", 1)).await;
    assert_eq!(refused.code, 405, "{}", refused.body);

    let release = json!({ "metadata": { "finalizers": null } });
    world.patch(&format!("{GADGETS}/held"), release).await;
    eventually("the definition to go", async || {
        (world.ask("GET", &path, Value::Null).await.code == 404).then_some(())
    })
    .await;
    assert_eq!(world.ask("GET", GADGETS, Value::Null).await.code, 404);
    assert_eq!(
        world
            .ask("GET", "/apis/example.com", Value::Null)
            .await
            .code,
        404
    );
}

#[tokio::test]
async fn a_restart_finds_kinds_and_objects_again() {
    let world = world();
    world.define(gadgets()).await;
    let made = world.ask("POST", GADGETS, gadget("a", 5)).await.body;
    let World {
        api,
        client,
        directory,
    } = world;
    drop((api, client));
    let api = eventually("the directory to be free", async || {
        Api::open(Options::new(directory.path())).ok()
    })
    .await;
    let kinds = api.kinds();
    let resource = kinds.find("example.com", "v1", "gadgets").unwrap();
    let found = api.get(resource, "default", "a").unwrap();
    assert_eq!(found["metadata"]["uid"], made["metadata"]["uid"]);
}

#[tokio::test]
async fn two_definitions_can_not_have_one_name() {
    let world = world();
    world.define(gadgets()).await;
    let mut second = gadgets();
    second["metadata"]["name"] = json!("gizmos.example.com");
    second["spec"]["names"]["plural"] = json!("gizmos");
    let answer = world.ask("POST", DEFINITIONS, second).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    let path = format!("{DEFINITIONS}/gizmos.example.com");
    let found = eventually("the names to be looked at", async || {
        let found = world.ask("GET", &path, Value::Null).await.body;
        found["status"]["conditions"].is_array().then_some(found)
    })
    .await;
    assert!(!has_condition(&found, "NamesAccepted"));
    assert!(!has_condition(&found, "Established"));
    let gizmos = GADGETS.replace("gadgets", "gizmos");
    assert_eq!(world.ask("GET", &gizmos, Value::Null).await.code, 404);
}

#[tokio::test]
async fn our_own_definitions_stay_as_they_are() {
    let world = world();
    let path = format!("{DEFINITIONS}/experiments.kubeflow.org");
    let before = world.ask("GET", &path, Value::Null).await.body;
    for definition in diwan_api::crd::cluster_crds() {
        let mut definition = serde_json::to_value(definition).unwrap();
        definition["metadata"]["labels"] = json!({ "mine": "yes" });
        let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
        let apply = "application/apply-patch+yaml";
        let path = format!("{DEFINITIONS}/{name}?fieldManager=test&force=true");
        let answer = world
            .ask_as("PATCH", &path, apply, "application/json", definition)
            .await;
        assert_eq!(answer.code, 200, "{}", answer.body);
        assert_eq!(answer.warnings, [""; 0]);
    }
    let after = world.ask("GET", &path, Value::Null).await.body;
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["labels"]["mine"], "yes");

    let other = json!({ "spec": { "scope": "Cluster" } });
    let answer = world.patch(&path, other).await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    assert_eq!(answer.body["spec"], before["spec"]);
    assert_eq!(answer.warnings.len(), 1);
    let answer = world.ask("DELETE", &path, Value::Null).await;
    assert_eq!(answer.code, 403, "{}", answer.body);
}

#[tokio::test]
async fn documents_and_discovery_tell_of_defined_kinds() {
    let world = world();
    let index = async || world.ask("GET", "/openapi/v3", Value::Null).await.body;
    assert!(index().await["paths"]["apis/example.com/v1"].is_null());
    world.define(gadgets()).await;
    let before = index().await;
    let path = "apis/example.com/v1";
    let document = format!("/openapi/v3/{path}");
    let found = world.ask("GET", &document, Value::Null).await.body;
    let schema = &found["components"]["schemas"]["com.example.v1.Gadget"];
    assert_eq!(schema["description"], "A gadget.");
    assert_eq!(
        schema["x-kubernetes-selectable-fields"][0]["fieldPath"],
        "spec.color"
    );

    let mut changed = gadgets();
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = json!("Another.");
    let path_of = format!("{DEFINITIONS}/gadgets.example.com");
    let patch = json!({ "spec": { "versions": changed["spec"]["versions"] } });
    let answer = world.patch(&path_of, patch).await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    assert_ne!(
        index().await["paths"][path],
        before["paths"][path],
        "clients keep what has a known hash"
    );
    let found = world.ask("GET", &document, Value::Null).await.body;
    let schema = &found["components"]["schemas"]["com.example.v1.Gadget"];
    assert_eq!(schema["description"], "Another.");

    let found = world
        .ask("GET", "/apis/example.com/v1", Value::Null)
        .await
        .body;
    let names: Vec<&Value> = found["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["name"])
        .collect();
    assert_eq!(names, ["gadgets", "gadgets/status", "gadgets/scale"]);
    assert_eq!(found["resources"][0]["shortNames"], json!(["gd"]));
    assert_eq!(world.ask("GET", "/openapi/v2", Value::Null).await.code, 404);
}

#[tokio::test]
async fn experiments_of_the_older_version_come_back_as_they_were_written() {
    const OLD: &str = "/apis/kubeflow.org/v1alpha3/namespaces/kubeflow/experiments";
    const NEW: &str = "/apis/kubeflow.org/v1beta1/namespaces/kubeflow/experiments";
    let world = world();
    let template = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{.Trial}}\n  namespace: {{.NameSpace}}\n\
                    spec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - name: {{.Trial}}\n\
                    \x20       image: example/train\n        command: [python, train.py{{range .HyperParameters}}, \"{{.Name}}={{.Value}}\"{{end}}]\n";
    let experiment = json!({
        "apiVersion": "kubeflow.org/v1alpha3", "kind": "Experiment",
        "metadata": { "name": "old-file", "namespace": "kubeflow" },
        "spec": {
            "parallelTrialCount": 5, "maxTrialCount": 30, "maxFailedTrialCount": 3,
            "objective": { "type": "maximize", "goal": 0.99, "objectiveMetricName": "accuracy" },
            "algorithm": { "algorithmName": "random" },
            "trialTemplate": { "goTemplate": { "rawTemplate": template } },
            "parameters": [{
                "name": "--lr", "parameterType": "double",
                "feasibleSpace": { "min": "0.01", "max": "0.03" },
            }],
        },
    });
    let answer = world.ask("POST", OLD, experiment.clone()).await;
    assert_eq!(answer.code, 201, "{}", answer.body);
    assert_eq!(answer.body["apiVersion"], "kubeflow.org/v1alpha3");
    assert_eq!(answer.body["spec"], experiment["spec"]);
    let new = world
        .ask("GET", &format!("{NEW}/old-file"), Value::Null)
        .await
        .body;
    assert_eq!(new["apiVersion"], "kubeflow.org/v1beta1");
    assert_eq!(new["spec"]["trialTemplate"]["trialSpec"]["kind"], "Job");

    let list = world.ask("GET", OLD, Value::Null).await.body;
    assert_eq!(list["apiVersion"], "kubeflow.org/v1alpha3");
    assert_eq!(list["items"][0]["spec"], experiment["spec"]);
    let one = format!("{OLD}/old-file");
    let answer = world
        .patch(&one, json!({ "spec": { "maxTrialCount": 40 } }))
        .await;
    assert_eq!(answer.code, 200, "{}", answer.body);
    assert_eq!(answer.body["spec"]["maxTrialCount"], 40);
    let new = world
        .ask("GET", &format!("{NEW}/old-file"), Value::Null)
        .await
        .body;
    assert_eq!(new["spec"]["maxTrialCount"], 40);

    let group = world
        .ask("GET", "/apis/kubeflow.org", Value::Null)
        .await
        .body;
    assert_eq!(group["preferredVersion"]["version"], "v1beta1");
    assert_eq!(group["versions"].as_array().map(Vec::len), Some(2));
    let mut bad = experiment;
    bad["metadata"]["name"] = json!("bad");
    bad["spec"]["trialTemplate"]["goTemplate"]["rawTemplate"] = json!("{{");
    let answer = world.ask("POST", OLD, bad).await;
    assert!(answer.code >= 400, "{}", answer.body);
}
