use diwan_api::metadata::{ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN};

use super::*;

fn pod(collector: &Value, command: &Value) -> Value {
    let plan = json!({
        "trial": "tune-b", "namespace": "team", "primaryContainer": "main",
        "objective": "loss", "objectiveType": "minimize", "spec": collector,
        "stopRules": [{"name": "loss", "value": "1", "comparison": "greater", "startStep": 1}],
    });
    json!({
        "metadata": {"annotations": {
            ANNOTATION_METRICS_COLLECTOR: plan.to_string(), ANNOTATION_TRIAL_TOKEN: "token",
        }},
        "spec": {"containers": [
            {"name": "side"},
            {"name": "main", "command": command, "args": ["--note", "it's $(HOME)"]},
        ]}
    })
}

fn injected(mut pod: Value) -> Value {
    let injection = Injection {
        image: "diwan:1".to_owned(),
        pull_policy: "IfNotPresent".to_owned(),
        db_manager: "db:6789".to_owned(),
        collectors: vec![CollectorSettings {
            kind: CollectorKind::TensorFlowEvent,
            image_pull_policy: "Always".to_owned(),
            resources: json!({
                "limits": {"memory": "1Gi", "cpu": "-1"}, "requests": {"ephemeral-storage": 5},
            })
            .as_object()
            .unwrap()
            .clone(),
            wait_all_processes: None,
        }],
    };
    let before = pod.clone();
    inject(&mut pod, "other", &injection);
    assert_eq!(pod, before, "another namespace's");
    inject(&mut pod, "team", &injection);
    let once = pod.clone();
    inject(&mut pod, "team", &injection);
    assert_eq!(pod, once, "doing so twice changes nothing");
    pod
}

#[test]
fn the_collector_comes_first_and_the_command_is_kept_word_by_word() {
    let pod = injected(pod(
        &json!({"collector": {"kind": "StdOut"}}),
        &json!(["python3", "a b.py"]),
    ));
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let names: Vec<_> = containers
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["metrics-logger-and-collector", "side", "main"]);
    assert_eq!(containers[1], json!({"name": "side"}));
    let command = json!([
        "/var/run/diwan/diwan-entrypoint",
        "wrap",
        "--folder",
        "/var/run/diwan",
        "--output",
        "/var/log/katib/metrics.log",
        "--",
        "python3",
        "a b.py",
    ]);
    assert_eq!(containers[2]["command"], command);
    assert_eq!(containers[2]["args"], json!(["--note", "it's $(HOME)"]));
    assert_eq!(containers[0]["env"][2]["value"], "token");
    let args = containers[0]["args"].as_array().unwrap();
    let plan: Value = serde_json::from_str(args[8].as_str().unwrap()).unwrap();
    assert_eq!(plan["trial"], "tune-b");
    assert_eq!(
        plan.get("stopRules")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
        0
    );
    let default = &pod["metadata"]["annotations"][ANNOTATION_DEFAULT_CONTAINER];
    assert_eq!(default, "main");
    let volumes = json!([
        {"name": "diwan-entrypoint", "emptyDir": {}}, {"name": "metrics-volume", "emptyDir": {}},
    ]);
    assert_eq!(pod["spec"]["volumes"], volumes);
}

#[test]
fn a_file_is_shared_and_output_is_left_alone() {
    let pod = injected(pod(
        &json!({
            "collector": {"kind": "File"},
            "source": {"fileSystemPath": {"path": "/data/run.log", "kind": "File"}}
        }),
        &json!(["run"]),
    ));
    let main = &pod["spec"]["containers"][2];
    let command = json!([
        "/var/run/diwan/diwan-entrypoint",
        "wrap",
        "--folder",
        "/var/run/diwan",
        "--",
        "run"
    ]);
    assert_eq!(main["command"], command);
    assert_eq!(main["volumeMounts"].as_array().map(Vec::len), Some(2));
    let collector = &pod["spec"]["containers"][0];
    assert_eq!(collector["volumeMounts"][1]["mountPath"], "/data");
}

#[test]
fn a_volume_of_the_users_is_what_the_collector_reads() {
    let mut given = pod(
        &json!({
            "collector": {"kind": "File"},
            "source": {"fileSystemPath": {"path": "/data/run.log", "kind": "File"}}
        }),
        &json!(["run"]),
    );
    let mount = json!({"name": "mine", "mountPath": "/data/", "subPath": "a"});
    given["spec"]["containers"][1]["volumeMounts"] = json!([mount]);
    let volume = json!({"name": "mine", "persistentVolumeClaim": {"claimName": "c"}});
    given["spec"]["volumes"] = json!([volume]);
    let pod = injected(given);
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][1], mount);
    let program = json!({"name": "diwan-entrypoint", "emptyDir": {}});
    assert_eq!(pod["spec"]["volumes"], json!([volume, program]));
}

#[test]
fn a_collector_runs_with_what_the_installation_gives_its_kind() {
    let collector = |kind: &str| {
        let plan = json!({"collector": {"kind": kind}});
        injected(pod(&plan, &json!(["run"])))["spec"]["containers"][0].clone()
    };
    let usual = collector("StdOut");
    let amounts = json!({
        "requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"},
    });
    assert_eq!(usual["resources"], amounts);
    assert_eq!(usual["imagePullPolicy"], "IfNotPresent");
    let set = collector("TensorFlowEvent");
    let amounts = json!({
        "requests": {"ephemeral-storage": 5}, "limits": {"memory": "1Gi"},
    });
    assert_eq!(set["resources"], amounts);
    assert_eq!(set["imagePullPolicy"], "Always");
}

#[test]
fn init_containers_and_sidecars_of_others_stay_where_they_are() {
    let mut given = pod(&json!({"collector": {"kind": "StdOut"}}), &json!(["run"]));
    let init = json!([
        {"name": "istio-init", "image": "proxy"},
        {"name": "istio-proxy", "image": "proxy", "restartPolicy": "Always"},
        {"name": "prepare", "image": "busybox"},
    ]);
    given["spec"]["initContainers"] = init.clone();
    given["metadata"]["labels"] = json!({"sidecar.istio.io/inject": "false"});
    given["metadata"]["annotations"]["sidecar.istio.io/inject"] = json!("false");
    let pod = injected(given);
    assert_eq!(pod["spec"]["initContainers"], init);
    let containers = pod["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers[0]["name"], "metrics-logger-and-collector");
    assert_eq!(containers[0].get("restartPolicy"), None);
    assert_eq!(containers[2]["command"][1], "wrap");
    let metadata = &pod["metadata"];
    assert_eq!(metadata["labels"]["sidecar.istio.io/inject"], "false");
    assert_eq!(metadata["annotations"]["sidecar.istio.io/inject"], "false");
}

#[test]
fn a_mesh_s_container_that_came_first_waits_for_nothing_of_the_trial() {
    let mut given = pod(&json!({"collector": {"kind": "StdOut"}}), &json!(["run"]));
    let proxy = json!({"name": "istio-proxy", "lifecycle": {"postStart": {"exec": {}}}});
    let containers = given["spec"]["containers"].as_array_mut().unwrap();
    containers.insert(0, proxy.clone());
    let pod = injected(given);
    let containers = pod["spec"]["containers"].as_array().unwrap();
    let names: Vec<_> = containers.iter().map(|c| c["name"].clone()).collect();
    let expected = [
        "metrics-logger-and-collector",
        "istio-proxy",
        "side",
        "main",
    ];
    assert_eq!(names, expected);
    assert_eq!(containers[1], proxy);
}

#[test]
fn a_shell_wraps_where_the_template_asks_for_it() {
    let mut given = pod(
        &json!({"collector": {"kind": "StdOut"}}),
        &json!(["python"]),
    );
    given["metadata"]["annotations"]["diwan.dev/wrap"] = json!("shell");
    let pod = injected(given);
    let spec = &pod["spec"];
    assert_eq!(spec["shareProcessNamespace"], true);
    let volumes = json!([{"name": "metrics-volume", "emptyDir": {}}]);
    assert_eq!(spec["volumes"], volumes);
    let mount = json!([{"name": "metrics-volume", "mountPath": "/var/log/katib"}]);
    let [collector, main] = [&spec["containers"][0], &spec["containers"][2]];
    assert_eq!(collector["volumeMounts"], mount);
    assert_eq!(main["volumeMounts"], mount);
    assert_eq!(main["command"], json!(["sh", "-c"]));
    assert_eq!(main["args"].as_array().map(Vec::len), Some(1));
    assert_eq!(collector.get("lifecycle"), None);
    let args = collector["args"].as_array().unwrap();
    assert_eq!(args[..2], [json!("-t"), json!("tune-b")]);
}

#[test]
fn a_port_s_name_becomes_its_number() {
    let with = |port: &Value| {
        let mut pod = pod(
            &json!({
                "collector": {"kind": "PrometheusMetric"},
                "source": {"httpGet": {"port": port, "path": "/metrics"}},
            }),
            &json!(["run"]),
        );
        let ports = json!([{"containerPort": 80}, {"name": "metrics", "containerPort": 9100}]);
        pod["spec"]["containers"][1]["ports"] = ports;
        injected(pod)
    };
    for (given, expected) in [
        (json!("metrics"), json!(9100)),
        (json!("8080"), json!("8080")),
        (json!(8080), json!(8080)),
    ] {
        let pod = with(&given);
        let args = pod["spec"]["containers"][0]["args"].as_array().unwrap();
        let plan: Value = serde_json::from_str(args[8].as_str().unwrap()).unwrap();
        assert_eq!(plan["spec"]["source"]["httpGet"]["port"], expected);
    }
    let pod = with(&json!("other"));
    let why = &pod["metadata"]["annotations"][ANNOTATION_NOT_COLLECTED];
    assert_eq!(
        why,
        "container main has no port other, which source.httpGet.port of the metrics collector \
         names; add it to the container's ports, or give its number"
    );
    assert_eq!(pod["spec"]["containers"].as_array().map(Vec::len), Some(2));
}

#[test]
fn pods_without_a_collector_stay_as_they_are() {
    for kind in ["Push", "None"] {
        let before = pod(&json!({"collector": {"kind": kind}}), &json!(["run"]));
        let after = injected(before.clone());
        assert_eq!(
            after["spec"]["containers"].as_array().map(Vec::len),
            Some(2),
            "{kind}"
        );
        assert_eq!(
            after["spec"]["containers"][1]["command"],
            json!(["run"]),
            "{kind}"
        );
    }
    let other = json!({"metadata": {}, "spec": {"containers": [{"name": "main"}]}});
    assert_eq!(injected(other.clone()), other);
}

#[test]
fn a_command_that_only_the_image_knows_is_told() {
    let pod = injected(pod(&json!({"collector": {"kind": "StdOut"}}), &json!([])));
    let why = &pod["metadata"]["annotations"][ANNOTATION_NOT_COLLECTED];
    assert!(
        why.as_str()
            .unwrap()
            .contains("container main has no command")
    );
    assert_eq!(pod["spec"]["containers"].as_array().map(Vec::len), Some(2));
}
