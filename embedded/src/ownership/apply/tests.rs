use jiff::Timestamp;
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Writer, apply, same_but_times, track};
use crate::{
    resource::{PODS, SERVICES},
    schema::{Schema, builtin},
    status::Status,
};

fn writer(manager: &str, applies: bool) -> Writer {
    Writer {
        applies,
        ..Writer::new(manager)
    }
}

/// A service with ports, as one manager sees it.
fn service(ports: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "s", "namespace": "n" },
        "spec": { "ports": ports },
    })
}

fn applied(
    live: Option<&Value>,
    config: &Value,
    manager: &str,
    force: bool,
) -> Result<Value, Status> {
    let schema = builtin(&SERVICES).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let writer = writer(manager, true);
    apply(&schema, &SERVICES, live, config, &writer, force, now)
}

fn ports(object: &Value) -> Vec<(i64, &str)> {
    let ports = object["spec"]["ports"].as_array().into_iter().flatten();
    let port = |port: &Value| port["port"].as_i64().unwrap();
    ports
        .map(|p| (port(p), p["name"].as_str().unwrap_or_default()))
        .collect()
}

#[test]
fn items_are_told_apart_by_all_their_keys_and_their_defaults() {
    let tcp = json!({ "port": 80, "name": "a" });
    let udp = json!({ "port": 80, "protocol": "UDP", "name": "b" });
    let first = applied(None, &service(json!([tcp, udp])), "m", false).unwrap();
    assert_eq!(ports(&first), [(80, "a"), (80, "b")]);
    let named = json!({ "port": 80, "protocol": "TCP", "name": "c" });
    let second = applied(Some(&first), &service(json!([named])), "m", false).unwrap();
    assert_eq!(ports(&second), [(80, "c")]);
}

#[test]
fn what_two_managers_apply_goes_when_both_leave_it() {
    let (a, b) = (json!({ "port": 1 }), json!({ "port": 2 }));
    let live = applied(None, &service(json!([a, b])), "m", false).unwrap();
    let live = applied(Some(&live), &service(json!([b])), "n", false).unwrap();
    let live = applied(Some(&live), &service(json!([])), "m", false).unwrap();
    assert_eq!(ports(&live), [(2, "")]);
    let live = applied(Some(&live), &service(json!([])), "n", false).unwrap();
    assert_eq!(ports(&live), []);
}

#[test]
fn duplicates_and_unknown_fields_are_refused() {
    let twice = service(json!([{ "port": 1 }, { "port": 1, "protocol": "TCP" }]));
    let status = applied(None, &twice, "m", false).unwrap_err();
    assert_eq!(status.code, 500);
    assert_eq!(
        status.message,
        "failed to create typed patch object (n/s; /v1, Kind=Service): .spec.ports: duplicate \
         entries for key [port=1,protocol=\"TCP\"]"
    );
    let mut unknown = service(json!([]));
    unknown["spec"]["foo"] = json!(1);
    let status = applied(None, &unknown, "m", false).unwrap_err();
    assert!(
        status
            .message
            .ends_with(".spec.foo: field not declared in schema"),
        "{status}"
    );
}

#[test]
fn kubectl_goes_on_from_what_it_applied_by_itself() {
    let last = service(json!([{ "port": 1, "name": "a" }]));
    let mut live = last.clone();
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    live["metadata"]["annotations"] = json!({ annotation: last.to_string() });
    let schema = builtin(&SERVICES).unwrap();
    let by_itself = writer("kubectl-client-side-apply", false);
    track(
        &schema,
        &SERVICES,
        None,
        &mut live,
        &by_itself,
        Timestamp::UNIX_EPOCH,
    );
    let config = service(json!([{ "port": 1, "name": "b" }]));
    assert_eq!(
        applied(Some(&live), &config, "other", false)
            .unwrap_err()
            .code,
        409
    );
    let new = applied(Some(&live), &config, "kubectl", false).unwrap();
    assert_eq!(ports(&new), [(1, "b")]);
    assert_eq!(
        new["metadata"]["annotations"][annotation],
        format!("{config}\n")
    );
}

/// Parts of pods, of which some have keys, some do not.
fn any_pod() -> impl Strategy<Value = Value> {
    let container = ("[ab]", "[xy]", prop::option::of(1..3), prop::bool::ANY).prop_map(
        |(name, image, port, tty)| {
            let ports: Vec<Value> = port
                .map(|p| json!({ "containerPort": p }))
                .into_iter()
                .collect();
            json!({ "name": name, "image": image, "ports": ports, "tty": tty, "command": [image] })
        },
    );
    let map = prop::collection::btree_map("[a-c]", "[x-y]", 0..3);
    let containers = prop::collection::vec(container, 0..3).prop_map(|mut list| {
        list.sort_by_key(|c| c["name"].to_string());
        list.dedup_by_key(|c| c["name"].to_string());
        list
    });
    let finalizers = prop::collection::btree_set("[a-c]", 0..3);
    (containers, map.clone(), map, finalizers).prop_map(
        |(containers, labels, nodes, finalizers)| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": "p", "labels": labels, "finalizers": finalizers },
                "spec": { "containers": containers, "nodeSelector": nodes },
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_apply_is_idempotent_and_holds_what_it_wants(
        first in any_pod(), second in any_pod(), edit in any_pod()
    ) {
        thread_local! { static SCHEMA: Schema = builtin(&PODS).unwrap(); }
        SCHEMA.with(|schema| {
            let now = Timestamp::UNIX_EPOCH;
            let apply = |live: Option<&Value>, config: &Value| {
                super::apply(schema, &PODS, live, config, &writer("m", true), true, now).unwrap()
            };
            let mut live = apply(None, &first);
            // Somebody else changes it in between.
            let before = live.clone();
            live["spec"] = edit["spec"].clone();
            track(schema, &PODS, Some(&before), &mut live, &writer("u", false), now);
            let once = apply(Some(&live), &second);
            let twice = apply(Some(&once), &second);
            prop_assert!(same_but_times(&once, &twice), "{once}\n{twice}");
            for (label, value) in second["metadata"]["labels"].as_object().unwrap() {
                prop_assert_eq!(&once["metadata"]["labels"][label], value);
            }
            for wanted in second["spec"]["containers"].as_array().unwrap() {
                let mut found = once["spec"]["containers"].as_array().unwrap().iter();
                let found = found.find(|c| c["name"] == wanted["name"]).unwrap();
                prop_assert_eq!(&found["image"], &wanted["image"]);
                prop_assert_eq!(&found["command"], &wanted["command"]);
            }
            Ok(())
        })?;
    }
}
