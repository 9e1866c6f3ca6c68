use std::sync::Arc;

use pretty_assertions::assert_eq;

use super::*;
use crate::schedule::Resources;

fn engine(is_podman: bool) -> Engine {
    Engine {
        socket: "/socket".into(),
        data: "/data".to_owned(),
        is_podman,
    }
}

/// The request for the container of a pod, as far as one can be made.
fn made(spec: &Value, image: &Value, gpus: &[u64]) -> Result<Request, Refusal> {
    let metadata = json!({ "name": "p", "namespace": "ns", "uid": "u" });
    let object = json!({ "metadata": metadata, "spec": spec });
    let pod = Pod::read(Arc::new(object), "node", Resources::default()).unwrap();
    let mut environment = Environment::default();
    environment.set("A", "apple");
    let mounts = [Mount {
        source: "/here".into(),
        target: "/there".into(),
        read_only: true,
    }];
    let parts = Parts {
        image: &Image::read(image),
        environment: &environment,
        mounts: &mounts,
        gpus,
    };
    request(&engine(false), &pod, &pod.spec.containers[0], &parts)
}

fn one(container: Value) -> Value {
    let mut container = container;
    container["name"] = json!("c");
    container["image"] = json!("box:1");
    json!({ "containers": [container] })
}

#[test]
fn a_container_is_asked_for_with_all_that_the_pod_says() {
    let spec = one(json!({
        "command": ["sh", "$(A)"],
        "workingDir": "/w",
        "resources": { "limits": { "memory": "1Mi", "cpu": "500m" } },
        "securityContext": {
            "runAsUser": 7, "runAsGroup": 8, "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
        },
    }));
    let made = made(
        &spec,
        &json!({ "Config": { "StopSignal": "SIGINT" } }),
        &[2],
    )
    .unwrap();
    assert_eq!(
        (made.name.as_str(), made.signal.as_str()),
        ("diwan_c_p_ns_u", "SIGINT")
    );
    let body = made.body;
    assert_eq!(body["Entrypoint"], json!(["sh", "apple"]));
    assert_eq!(body["Cmd"], Value::Null);
    assert_eq!(
        (&body["User"], &body["Env"]),
        (&json!("7:8"), &json!(["A=apple"]))
    );
    assert_eq!(body["Labels"][POD], "u");
    assert_eq!(
        body["HostConfig"],
        json!({
            "NetworkMode": "host",
            "LogConfig": { "Type": "none" },
            "Privileged": false,
            "ReadonlyRootfs": true,
            "SecurityOpt": ["label=disable", "no-new-privileges"],
            "GroupAdd": [],
            "Mounts": [
                { "Type": "bind", "Source": "/here", "Target": "/there", "ReadOnly": true },
            ],
            "CapAdd": [], "CapDrop": ["ALL"],
            "Memory": 1_048_576, "MemorySwap": 1_048_576, "NanoCpus": 500_000_000,
            "DeviceRequests": [
                { "Driver": "nvidia", "DeviceIDs": ["2"], "Capabilities": [["gpu"]] },
            ],
        })
    );
    let found = places(&body);
    assert_eq!(
        found,
        ("/w".into(), vec![("/there".into(), "/here".into())])
    );
}

#[test]
fn what_the_pod_leaves_open_is_the_images() {
    let image = json!({ "Config": { "WorkingDir": "/work", "User": "9", "Cmd": ["x"] } });
    let body = made(&one(json!({})), &image, &[]).unwrap().body;
    assert_eq!(
        (&body["Entrypoint"], &body["Cmd"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&body["User"], &body["WorkingDir"]),
        (&json!(""), &json!("/work"))
    );
    let body = made(&one(json!({ "args": ["a"] })), &image, &[])
        .unwrap()
        .body;
    assert_eq!(
        (&body["Entrypoint"], &body["Cmd"]),
        (&Value::Null, &json!(["a"]))
    );
    let group = json!({ "securityContext": { "runAsGroup": 5 } });
    assert_eq!(made(&one(group), &image, &[]).unwrap().body["User"], "9:5");
    let without = made(&one(json!({})), &json!({ "Config": {} }), &[]);
    assert_eq!(
        without,
        Err(Refusal::Broken("no command specified".to_owned()))
    );
}

#[test]
fn who_must_not_be_root_is_not() {
    for (user, own, fine) in [
        ("", json!(null), false),
        ("root:root", json!(null), false),
        ("app", json!(null), false),
        ("1000:0", json!(null), true),
        ("", json!(5), true),
        ("1000", json!(0), false),
    ] {
        let image = json!({ "Config": { "User": user, "Cmd": ["x"] } });
        let context = json!({ "runAsNonRoot": true, "runAsUser": own });
        let made = made(&one(json!({ "securityContext": context })), &image, &[]);
        assert_eq!(made.is_ok(), fine, "{user} {own}: {made:?}");
    }
}

#[test]
fn graphics_processors_are_named_as_the_engine_names_them() {
    let requests = devices(&engine(true), &[0, 3]);
    let ids = json!(["nvidia.com/gpu=0", "nvidia.com/gpu=3"]);
    assert_eq!(requests["DeviceRequests"][0]["DeviceIDs"], ids);
    assert!(devices(&engine(true), &[]).is_empty());
}
