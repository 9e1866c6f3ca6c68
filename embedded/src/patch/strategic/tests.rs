//! What a Kubernetes made of the same patches.

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::merge;
use crate::{
    resource::PODS,
    schema::{self, Schema},
    status::Status,
};

fn patched(mut object: Value, patch: &Value) -> Result<Value, Status> {
    let schema = schema::builtin(&PODS).unwrap();
    merge(Some(schema.place()), &mut object, patch)?;
    Ok(object)
}

/// A pod with three containers, a volume and two finalizers.
fn pod() -> Value {
    json!({
        "metadata": { "finalizers": ["a", "b"], "labels": { "a": "1" } },
        "spec": {
            "containers": [
                { "name": "c1", "image": "i1", "env": [{ "name": "A", "value": "1" }] },
                { "name": "c2", "image": "i2", "command": ["x", "y"] },
                { "name": "c3", "image": "i3" },
            ],
            "volumes": [{ "name": "v", "emptyDir": {} }],
            "tolerations": [{ "key": "k" }],
        },
    })
}

/// The names and images of the containers that a patch of the specification leaves.
#[track_caller]
fn containers(patch: Value, expected: &[&str]) {
    let new = patched(pod(), &json!({ "spec": patch })).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let list = new["spec"]["containers"].as_array().unwrap().iter();
    let found: Vec<String> = list
        .map(|c| format!("{}={}", text(&c["name"]), text(&c["image"])))
        .collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn refused(patch: Value, code: u16, message: &str) {
    let status = patched(pod(), &patch).unwrap_err();
    assert_eq!((status.code, status.message.as_str()), (code, message));
}

#[test]
fn items_with_keys_merge_and_come_in_the_order_of_the_patch() {
    containers(
        json!({ "containers": [{ "name": "c2", "image": "n" }] }),
        &["c1=i1", "c2=n", "c3=i3"],
    );
    containers(
        json!({ "containers": [{ "name": "c3", "image": "n" }, { "name": "c1", "image": "m" }] }),
        &["c2=i2", "c3=n", "c1=m"],
    );
    containers(
        json!({ "containers": [{ "name": "c9", "image": "n" }, { "name": "c1" }] }),
        &["c9=n", "c1=i1", "c2=i2", "c3=i3"],
    );
}

#[test]
fn directives_in_lists_delete_and_replace() {
    containers(
        json!({ "containers": [{ "name": "c2", "$patch": "delete" }] }),
        &["c1=i1", "c3=i3"],
    );
    containers(
        json!({ "containers": [{ "name": "c2", "image": "q" }, { "$patch": "replace" }] }),
        &["c2=q"],
    );
}

#[test]
fn an_order_that_is_set_holds_for_what_it_names() {
    containers(
        json!({ "$setElementOrder/containers": [{ "name": "c3" }, { "name": "c1" }] }),
        &["c2=i2", "c3=i3", "c1=i1"],
    );
    containers(
        json!({
            "$setElementOrder/containers": [{ "name": "c3" }, { "name": "c9" }, { "name": "c1" }],
            "containers": [{ "name": "c9", "image": "n" }],
        }),
        &["c2=i2", "c3=i3", "c9=n", "c1=i1"],
    );
}

#[test]
fn lists_without_keys_are_replaced_and_simple_ones_united() {
    let new = patched(
        pod(),
        &json!({
            "metadata": { "finalizers": ["e", "b"] },
            "spec": {
                "tolerations": [{ "key": "n" }],
                "containers": [{ "name": "c2", "command": ["z"] }],
                "volumes": [{ "name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {} }],
            },
        }),
    )
    .unwrap();
    assert_eq!(new["metadata"]["finalizers"], json!(["e", "a", "b"]));
    assert_eq!(new["spec"]["tolerations"], json!([{ "key": "n" }]));
    assert_eq!(new["spec"]["containers"][1]["command"], json!(["z"]));
    assert_eq!(
        new["spec"]["volumes"],
        json!([{ "name": "v", "hostPath": {} }])
    );
}

#[test]
fn simple_items_can_be_deleted() {
    let new = patched(
        pod(),
        &json!({ "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["e"],
            "$deleteFromPrimitiveList/foo": ["a"],
        } }),
    )
    .unwrap();
    assert_eq!(new["metadata"]["finalizers"], json!(["e", "b"]));
}

#[test]
fn maps_merge_are_replaced_or_emptied() {
    let labels = |patch: Value| {
        patched(pod(), &json!({ "metadata": { "labels": patch } })).unwrap()["metadata"]["labels"]
            .clone()
    };
    assert_eq!(labels(json!({ "x": "y" })), json!({ "a": "1", "x": "y" }));
    assert_eq!(labels(json!({ "a": null, "x": "y" })), json!({ "x": "y" }));
    assert_eq!(
        labels(json!({ "$patch": "replace", "x": "y" })),
        json!({ "x": "y" })
    );
    assert_eq!(labels(json!({ "$patch": "delete" })), json!({}));
    let new = patched(
        pod(),
        &json!({ "metadata": { "annotations": { "x": null, "y": "1" } } }),
    );
    assert_eq!(new.unwrap()["metadata"]["annotations"], json!({ "y": "1" }));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let spec = |patch: Value| json!({ "spec": patch });
    let list = |item: Value| spec(json!({ "containers": [item] }));
    refused(
        list(json!({ "image": "q" })),
        500,
        "map: map[image:q] does not contain declared merge key: name",
    );
    refused(
        list(json!({ "$patch": "delete" })),
        500,
        "map: map[$patch:delete] does not contain declared merge key: name",
    );
    refused(
        list(json!({ "name": "c2", "image": "q", "$patch": "dance" })),
        500,
        "unknown patch type: dance in map: map[$patch:dance image:q name:c2]",
    );
    refused(
        list(json!({ "name": "c2", "$patch": "merge" })),
        500,
        "merging lists cannot yet be specified in the patch",
    );
    refused(
        json!({ "metadata": { "labels": { "$patch": 1 } } }),
        500,
        "unknown patch type: %!s(int64=1) in map: map[$patch:1]",
    );
    refused(
        json!({ "metadata": { "finalizers": [{ "a": 1 }] } }),
        500,
        "list element types are not identical: [[a b] [map[a:1]]]",
    );
    refused(
        json!({ "metadata": { "$deleteFromPrimitiveList": ["a"] } }),
        400,
        "invalid patch format of primitive list",
    );
    refused(
        spec(json!({ "$setElementOrder/containers": "x" })),
        500,
        "expected a []interface {}, but received a string",
    );
    refused(
        spec(json!({
            "$setElementOrder/containers": [{ "name": "c3" }, { "name": "c1" }],
            "containers": [{ "name": "c9", "image": "n" }],
        })),
        500,
        "The order in patch list:\n[map[image:n name:c9]]\n doesn't match $setElementOrder \
         list:\n[map[name:c3] map[name:c1]]\n",
    );
    refused(
        spec(json!({ "volumes": [{ "name": "v", "$retainKeys": ["name"], "hostPath": {} }] })),
        400,
        "invalid patch format of retainKeys",
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "name",
        "containers",
        "env",
        "spec",
        "metadata",
        "finalizers",
        "$patch",
        "$retainKeys",
        "$setElementOrder/containers",
        "$setElementOrder/finalizers",
        "$deleteFromPrimitiveList/finalizers",
        "$deleteFromPrimitiveList",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!("delete")),
        Just(json!("replace")),
        Just(json!("a")),
        Just(json!(1)),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_patch_panics(
        object in any_json(), patch in any_json()
    ) {
        thread_local! {
            static SCHEMA: Schema = schema::builtin(&PODS).unwrap();
        }
        SCHEMA.with(|schema| {
            let mut new = object;
            let _ = merge(Some(schema.place()), &mut new, &patch);
        });
    }
}
