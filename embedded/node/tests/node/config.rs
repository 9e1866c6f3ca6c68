//! Variables, volumes, mounts, images and what else a container sees.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use diwan_embedded::resource::{CONFIG_MAPS, PODS, SECRETS};
use pretty_assertions::assert_eq;
use serde_json::json;

use crate::cluster::{Cluster, shell, state};

/// What is mounted on the machine, but for volumes in memory of pods that other tests run.
fn mounts() -> String {
    let text = fs::read_to_string("/proc/self/mounts").unwrap();
    let others = text.lines().filter(|line| !line.starts_with("diwan "));
    others.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_finds_what_it_finds_in_a_cluster() {
    let cluster = Cluster::start().await;
    let before = mounts();
    cluster
        .script(
            "p",
            "cd /var/run/secrets/kubernetes.io/serviceaccount && cat namespace && echo && cat token \
             && echo && cat ca.crt && grep -o 'katib-db-manager.*' /etc/hosts && echo $HOSTNAME && \
             echo $KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT",
        )
        .await;
    let (phase, _) = cluster.ended("p").await;
    let log = cluster.log("p").await;
    assert_eq!(phase, "Succeeded", "{log}");
    let authority = cluster.api.get(&CONFIG_MAPS, "default", "kube-root-ca.crt");
    let authority = authority.unwrap()["data"]["ca.crt"].clone();
    assert_eq!(
        log,
        format!(
            "default\ntoken of default\n{}katib-db-manager.kubeflow\np\n127.0.0.1:8443\n",
            authority.as_str().unwrap()
        )
    );
    assert_eq!(mounts(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_come_from_everywhere() {
    let cluster = Cluster::start().await;
    let api = &cluster.api;
    let map = json!({ "metadata": { "name": "map" }, "data": { "key": "from-map", "OTHER": "o" } });
    api.create(&CONFIG_MAPS, "default", map).await.unwrap();
    let secret = json!({ "metadata": { "name": "secret" }, "data": { "key": "c2VjcmV0" } });
    api.create(&SECRETS, "default", secret).await.unwrap();
    let mut container = shell(
        "main",
        "echo $A $B $C $D $E $PRE_OTHER ${F-unset}; echo $0 $1",
    );
    container["command"] = json!(["sh", "-c", container["command"][2], "$(A)", "$$(A)$(NONE)"]);
    container["resources"] = json!({ "limits": { "memory": "64Mi" } });
    container["envFrom"] = json!([{ "prefix": "PRE_", "configMapRef": { "name": "map" } }]);
    container["env"] = json!([
        { "name": "A", "value": "one" },
        { "name": "B", "value": "$(A)-two" },
        { "name": "C", "valueFrom": { "configMapKeyRef": { "name": "map", "key": "key" } } },
        { "name": "D", "valueFrom": { "secretKeyRef": { "name": "secret", "key": "key" } } },
        { "name": "E", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['app']" } } },
        { "name": "F", "valueFrom": { "configMapKeyRef": { "name": "no", "key": "k", "optional": true } } },
    ]);
    cluster.pod("p", json!({ "containers": [container] })).await;
    cluster.ended("p").await;
    let expected = "one one-two from-map secret test o unset\none $(A)$(NONE)\n";
    assert_eq!(cluster.log("p").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_appear_where_they_are_mounted_and_nowhere_else() {
    let cluster = Cluster::start().await;
    let map = json!({ "metadata": { "name": "map" }, "data": { "a": "A", "b": "B" } });
    cluster
        .api
        .create(&CONFIG_MAPS, "default", map)
        .await
        .unwrap();
    let host = cluster.path("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("file"), "H").unwrap();
    let mut container = shell(
        "main",
        "cat /diwan-test/map/x /diwan-test/b /diwan-test/host/file /diwan-test/pod/name; echo w > \
         /diwan-test/empty/w; cat /diwan-test/empty/w; touch /diwan-test/map/z 2>/dev/null || echo ro",
    );
    container["volumeMounts"] = json!([
        { "name": "map", "mountPath": "/diwan-test/map" },
        { "name": "all", "mountPath": "/diwan-test/b", "subPath": "b" },
        { "name": "host", "mountPath": "/diwan-test/host", "readOnly": true },
        { "name": "empty", "mountPath": "/diwan-test/empty" },
        { "name": "pod", "mountPath": "/diwan-test/pod" },
    ]);
    let fields = json!([{ "path": "name", "fieldRef": { "fieldPath": "metadata.name" } }]);
    let volumes = json!([
        { "name": "map", "configMap": { "name": "map", "items": [{ "key": "a", "path": "x" }] } },
        { "name": "all", "configMap": { "name": "map" } },
        { "name": "host", "hostPath": { "path": host } },
        { "name": "empty", "emptyDir": {} },
        { "name": "pod", "downwardAPI": { "items": fields } },
    ]);
    cluster
        .pod(
            "p",
            json!({ "containers": [container], "volumes": volumes }),
        )
        .await;
    cluster.ended("p").await;
    assert_eq!(cluster.log("p").await, "ABHpw\nro\n");
    assert!(!fs::exists("/diwan-test").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_waits_for_a_config_map_that_does_not_exist_yet() {
    let cluster = Cluster::start().await;
    let mut container = shell("main", "echo $A");
    let source = json!({ "configMapKeyRef": { "name": "late", "key": "key" } });
    container["env"] = json!([{ "name": "A", "valueFrom": source }]);
    cluster.pod("p", json!({ "containers": [container] })).await;
    let waits =
        |pod: &serde_json::Value| state(pod)["waiting"]["reason"] == "CreateContainerConfigError";
    let pod = cluster.until(&PODS, "p", waits).await;
    assert_eq!(
        state(&pod)["waiting"]["message"],
        "configmap \"late\" not found"
    );
    let map = json!({ "metadata": { "name": "late" }, "data": { "key": "here" } });
    cluster
        .api
        .create(&CONFIG_MAPS, "default", map)
        .await
        .unwrap();
    cluster.ended("p").await;
    assert_eq!(cluster.log("p").await, "here\n");
}

/// The map comes at any moment of the pod's first try.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_that_comes_at_the_same_time_is_not_missed() {
    let cluster = Cluster::start().await;
    for number in 0..40_u64 {
        let (pod, map) = (format!("p{number}"), format!("m{number}"));
        let mut container = shell("main", "echo $A");
        let source = json!({ "configMapKeyRef": { "name": map, "key": "key" } });
        container["env"] = json!([{ "name": "A", "valueFrom": source }]);
        cluster
            .pod(&pod, json!({ "containers": [container] }))
            .await;
        tokio::time::sleep(std::time::Duration::from_micros(number * 100)).await;
        let map = json!({ "metadata": { "name": map }, "data": { "key": "here" } });
        let created = cluster.api.create(&CONFIG_MAPS, "default", map).await;
        created.unwrap();
        cluster.ended(&pod).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_not_supported_is_refused_by_name() {
    let cluster = Cluster::start().await;
    let mut container = shell("main", "true");
    container["volumeMounts"] = json!([{ "name": "disk", "mountPath": "/disk" }]);
    let volumes = json!([{ "name": "disk", "nfs": { "server": "a", "path": "/" } }]);
    cluster
        .pod(
            "p",
            json!({ "containers": [container], "volumes": volumes }),
        )
        .await;
    let (phase, pod) = cluster.ended("p").await;
    assert_eq!(phase, "Failed");
    assert_eq!(
        pod["status"]["message"],
        "container main: volume \"disk\": this kind of volume is not supported on this machine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_the_folder_that_stands_for_it() {
    let image = tempfile::tempdir().unwrap();
    let tool = image.path().join("opt/diwan-test/bin/tool");
    fs::create_dir_all(tool.parent().unwrap()).unwrap();
    fs::write(&tool, "#!/bin/sh\necho tool in $PWD\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let path = image.path().canonicalize().unwrap();
    let cluster =
        Cluster::start_with(|options| options.images = vec![("team/tool".into(), path.clone())])
            .await;
    let container = json!({
        "name": "main", "image": "team/tool:v2", "command": ["/opt/diwan-test/bin/tool"],
    });
    cluster.pod("p", json!({ "containers": [container] })).await;
    let (_, pod) = cluster.ended("p").await;
    assert_eq!(pod["status"]["phase"], "Succeeded", "{:#}", pod["status"]);
    assert_eq!(
        cluster.log("p").await,
        format!("tool in {}\n", path.display())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_directory_that_is_missing_is_named() {
    let cluster = Cluster::start().await;
    let mut container = shell("main", "true");
    container["workingDir"] = json!("/no/such/folder");
    cluster.pod("p", json!({ "containers": [container] })).await;
    let (_, pod) = cluster.ended("p").await;
    assert_eq!(
        pod["status"]["message"],
        "working directory not found: /no/such/folder"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_follow_what_they_show() {
    let cluster = Cluster::start().await;
    let map = |text: &str| json!({ "metadata": { "name": "map" }, "data": { "a": text } });
    let api = &cluster.api;
    api.create(&CONFIG_MAPS, "default", map("A")).await.unwrap();
    let seen = cluster.path("seen");
    let script = format!(
        "while :; do cat /diwan-test/a /diwan-test/pod/labels > {0}.new; mv {0}.new {0}; sleep 0.01; done",
        seen.display()
    );
    let mut container = shell("main", &script);
    container["volumeMounts"] = json!([{ "name": "all", "mountPath": "/diwan-test" }]);
    let labels = json!({ "path": "pod/labels", "fieldRef": { "fieldPath": "metadata.labels" } });
    let sources = json!([
        { "configMap": { "name": "map" } },
        { "downwardAPI": { "items": [labels] } },
        { "serviceAccountToken": { "path": "token" } },
    ]);
    let volumes = json!([{ "name": "all", "projected": { "sources": sources } }]);
    let spec = json!({ "containers": [container], "volumes": volumes });
    cluster.pod("p", spec).await;
    cluster.file(&seen, |text| text == "Aapp=\"test\"").await;
    // Both change at the same time, and what is now is there at the end.
    for i in 0..40 {
        let text = i.to_string();
        let none = diwan_embedded::Subresource::None;
        let set = |pointer: &'static str| {
            let text = text.clone();
            move |object: &mut serde_json::Value| {
                *object.pointer_mut(pointer).unwrap() = json!(text);
                true
            }
        };
        let (map, label) = (set("/data/a"), set("/metadata/labels/app"));
        let written = api.modify(&CONFIG_MAPS, "default", "map", none, map).await;
        written.unwrap();
        let written = api.modify(&PODS, "default", "p", none, label).await;
        written.unwrap();
        let wanted = format!("{i}app=\"{i}\"");
        cluster.file(&seen, |found| found == wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn root_mounts_memory_and_gives_volumes_to_a_group() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("not tried: needs root");
        return;
    }
    let cluster = Cluster::start().await;
    let mut container = shell(
        "main",
        "id; stat -f -c %T /diwan-test/m; stat -c '%g %a' /diwan-test/e; \
         head -c 2000000 /dev/zero > /diwan-test/m/x || rm /diwan-test/m/x",
    );
    container["volumeMounts"] = json!([
        { "name": "m", "mountPath": "/diwan-test/m" },
        { "name": "e", "mountPath": "/diwan-test/e" },
    ]);
    let spec = json!({
        "securityContext": { "fsGroup": 4321, "runAsUser": 1234, "runAsGroup": 99, "supplementalGroups": [55] },
        "containers": [container],
        "volumes": [
            { "name": "m", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } },
            { "name": "e", "emptyDir": {} },
        ],
    });
    cluster.pod("p", spec).await;
    let (phase, _) = cluster.ended("p").await;
    let log = cluster.log("p").await;
    assert_eq!(phase, "Succeeded", "{log}");
    assert!(
        log.starts_with("uid=1234 gid=99 groups=99,55,4321\ntmpfs\n4321 2777\n"),
        "{log}"
    );
    assert!(log.contains("No space left on device"), "{log}");
    // The volume goes after the end is published.
    let own = cluster.path("pods").to_str().unwrap().to_owned();
    let mounts = std::path::Path::new("/proc/self/mounts");
    cluster.file(mounts, |text| !text.contains(&own)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_must_not_run_as_root_does_not() {
    let cluster = Cluster::start().await;
    let root = nix::unistd::Uid::effective().is_root();
    let mut container = shell("main", "grep -o 'NoNewPrivs.*' /proc/self/status");
    container["securityContext"] =
        json!({ "allowPrivilegeEscalation": false, "runAsNonRoot": true });
    cluster
        .pod("p", json!({ "containers": [container.clone()] }))
        .await;
    if root {
        let waits = |pod: &serde_json::Value| {
            let waiting = &state(pod)["waiting"];
            let message = waiting["message"].as_str().unwrap_or_default();
            waiting["reason"] == "CreateContainerConfigError"
                && message.starts_with(
                    "container has runAsNonRoot and image will run as root (pod: \"p_default(",
                )
        };
        cluster.until(&PODS, "p", waits).await;
        container["securityContext"]["runAsUser"] = json!(1234);
        cluster
            .pod("other", json!({ "containers": [container] }))
            .await;
    }
    let name = if root { "other" } else { "p" };
    cluster.ended(name).await;
    assert_eq!(cluster.log(name).await, "NoNewPrivs:\t1\n");
}
