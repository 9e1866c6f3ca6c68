//! Who owns which fields, in the words of a Kubernetes that got the same requests.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::world::{World, world};

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const TRIALS: &str = "/apis/kubeflow.org/v1beta1/namespaces/default/trials";

/// The entries of an object's managed fields without their times: who, and which fields.
fn owners(object: &Value) -> Vec<(String, Value)> {
    let list = object["metadata"]["managedFields"].as_array();
    let entries = list.into_iter().flatten().map(|entry| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let who = [text("manager"), text("operation"), text("subresource")].join(" ");
        (who.trim_end().to_owned(), entry["fieldsV1"].clone())
    });
    entries.collect()
}

struct Step<'a> {
    world: &'a World,
    path: &'a str,
}

impl Step<'_> {
    /// Sends a patch; the answer has these owners.
    async fn done(&self, query: &str, type_: &str, body: Value, expected: &[(&str, Value)]) {
        let path = format!("{}{query}", self.path);
        let answer = self.world.ask_as("PATCH", &path, type_, "", body).await;
        assert!(answer.code < 300, "{}: {}", answer.code, answer.body);
        let expected: Vec<(String, Value)> = expected
            .iter()
            .map(|(who, fields)| ((*who).to_owned(), fields.clone()))
            .collect();
        assert_eq!(owners(&answer.body), expected, "{path}");
    }

    /// Sends a patch; it is refused with this message.
    async fn refused(&self, query: &str, body: Value, code: u16, message: &str) {
        let path = format!("{}{query}", self.path);
        let answer = self.world.ask_as("PATCH", &path, APPLY, "", body).await;
        assert_eq!(
            (answer.code, answer.body["message"].as_str().unwrap()),
            (code, message)
        );
    }
}

fn map(data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": data })
}

#[tokio::test]
async fn managers_own_what_they_apply_and_what_they_change() {
    let world = world();
    let created = world
        .ask(
            "POST",
            &format!("{MAPS}?fieldManager=t"),
            map(json!({ "a": "1" })),
        )
        .await;
    assert_eq!(
        owners(&created.body),
        [(
            "t Update".to_owned(),
            json!({ "f:data": { ".": {}, "f:a": {} } })
        )]
    );
    let step = Step {
        world: &world,
        path: &format!("{MAPS}/a"),
    };
    let left = || ("t Update", json!({ "f:data": {} }));
    let a = || json!({ "f:data": { "f:a": {} } });
    step.done(
        "?fieldManager=m1",
        APPLY,
        map(json!({ "a": "1" })),
        &[
            ("m1 Apply", a()),
            ("t Update", json!({ "f:data": { ".": {}, "f:a": {} } })),
        ],
    )
    .await;
    step.refused(
        "?fieldManager=m1",
        map(json!({ "a": "2", "b": "3" })),
        409,
        "Apply failed with 1 conflict: conflict with \"t\" using v1: .data.a",
    )
    .await;
    step.done(
        "?fieldManager=m1&force=true",
        APPLY,
        map(json!({ "a": "2", "b": "3" })),
        &[
            ("m1 Apply", json!({ "f:data": { "f:a": {}, "f:b": {} } })),
            left(),
        ],
    )
    .await;
    step.refused(
        "?fieldManager=m2",
        map(json!({ "a": "5", "b": "7" })),
        409,
        "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .data.a\n- .data.b",
    )
    .await;
    step.done(
        "?fieldManager=m1",
        APPLY,
        map(json!({ "a": "2" })),
        &[("m1 Apply", a()), left()],
    )
    .await;
    let answer = world.ask("GET", &format!("{MAPS}/a"), Value::Null).await;
    assert_eq!(answer.body["data"], json!({ "a": "2" }));
    step.done(
        "",
        MERGE,
        json!({ "metadata": { "managedFields": [] } }),
        &[],
    )
    .await;
    step.done("", MERGE, json!({ "data": { "q": "1" } }), &[])
        .await;
    step.done(
        "?fieldManager=m1",
        APPLY,
        map(json!({ "n": "1" })),
        &[
            ("m1 Apply", json!({ "f:data": { "f:n": {} } })),
            (
                "before-first-apply Update",
                json!({ "f:data": { ".": {}, "f:a": {}, "f:q": {} } }),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_apply_that_changes_nothing_writes_nothing() {
    let world = world();
    let path = format!("{MAPS}/a?fieldManager=m");
    let wanted = map(json!({ "a": "1" }));
    let first = world
        .ask_as("PATCH", &path, APPLY, "", wanted.clone())
        .await;
    assert_eq!(first.code, 201);
    let second = world.ask_as("PATCH", &path, APPLY, "", wanted).await;
    assert_eq!((second.code, second.body), (200, first.body));
}

#[tokio::test]
async fn an_apply_says_what_it_is_about() {
    let world = world();
    let step = Step {
        world: &world,
        path: &format!("{MAPS}/a"),
    };
    let other = |change: Value| {
        let mut wanted = map(json!({}));
        json_patch::merge(&mut wanted, &change);
        wanted
    };
    for (change, code, message) in [
        (
            json!({ "kind": "Secret" }),
            400,
            "invalid object type: /v1, Kind=Secret",
        ),
        (
            json!({ "apiVersion": null }),
            400,
            "invalid object type: /, Kind=ConfigMap",
        ),
        (
            json!({ "metadata": { "name": null } }),
            400,
            "the name of the object (a based on URL) was undeterminable: name must be provided",
        ),
        (
            json!({ "metadata": { "managedFields": [] } }),
            400,
            "metadata.managedFields must be nil",
        ),
        (
            json!({ "foo": 1 }),
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .foo: field not \
             declared in schema",
        ),
        (
            json!({ "data": "x", "immutable": "yes" }),
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): errors:\n  .data: \
             expected map, got &{x}\n  .immutable: expected boolean, got &{yes}",
        ),
    ] {
        step.refused("?fieldManager=m", other(change), code, message)
            .await;
    }
    step.refused(
        "",
        map(json!({})),
        422,
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for \
         apply patch",
    )
    .await;
}

#[tokio::test]
async fn an_apply_to_what_is_there_needs_no_name() {
    let world = world();
    let nameless = |data: Value| {
        let mut wanted = map(data);
        json_patch::merge(&mut wanted, &json!({ "metadata": null }));
        wanted
    };
    let path = format!("{MAPS}/a?fieldManager=m");
    let refused = world
        .ask_as("PATCH", &path, APPLY, "", nameless(json!({ "a": "1" })))
        .await;
    assert_eq!(refused.code, 400);
    world.ask("POST", MAPS, map(json!({ "a": "1" }))).await;
    let applied = world
        .ask_as("PATCH", &path, APPLY, "", nameless(json!({ "b": "2" })))
        .await;
    assert_eq!(applied.code, 200, "{}", applied.body);
    assert_eq!(applied.body["metadata"]["name"], "a");
    assert_eq!(applied.body["data"], json!({ "a": "1", "b": "2" }));
}

#[tokio::test]
async fn a_status_has_owners_of_its_own() {
    let world = world();
    let trial = json!({
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": { "name": "t" },
        "spec": {
            "objective": { "type": "maximize", "objectiveMetricName": "acc" },
            "parameterAssignments": [{ "name": "x", "value": "1" }],
        },
    });
    let created = world
        .ask("POST", &format!("{TRIALS}?fieldManager=c"), trial)
        .await;
    assert_eq!(created.code, 201, "{}", created.body);
    let path = format!("{TRIALS}/t/status");
    let step = Step {
        world: &world,
        path: &path,
    };
    let spec = json!({ "f:spec": {
        ".": {}, "f:objective": { ".": {}, "f:objectiveMetricName": {}, "f:type": {} },
        "f:parameterAssignments": {},
    } });
    step.done(
        "?fieldManager=s",
        MERGE,
        json!({ "status": { "startTime": "2026-01-01T00:00:00Z" }, "metadata": { "labels": { "a": "b" } } }),
        &[
            ("c Update", spec),
            ("s Update status", json!({ "f:status": { ".": {}, "f:startTime": {} } })),
        ],
    )
    .await;
}
