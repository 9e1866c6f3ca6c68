//! The door of a container engine: pods as containers of a podman that the test starts.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail on the spot

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use diwan_tests::engine::{IMAGE, Podman};
use diwan_tests::experiment::Experiment;
use diwan_tests::process::{Ran, run};
use diwan_tests::up::Up;
use diwan_tests::{diwan, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// An experiment whose trials are containers.
fn in_image(yaml: &str) -> String {
    let image = format!("image: {IMAGE}\n                imagePullPolicy: IfNotPresent");
    yaml.replace("image: none", &image)
}

fn diwan_run(podman: &Podman, folder: &Path, yaml: &str) -> Ran {
    let file = folder.join("experiment.yaml");
    fs::write(&file, in_image(yaml)).unwrap();
    let mut command = Command::new(diwan());
    command
        .args(["run", "--runtime", "podman"])
        .arg(file)
        .current_dir(folder)
        .env("TMPDIR", folder)
        .env("CONTAINER_HOST", podman.host())
        .stdin(Stdio::null());
    run(&mut command)
}

fn up(podman: &Podman) -> Up {
    let host = podman.host();
    Up::with_variables(&["--runtime", "podman"], &[("CONTAINER_HOST", &host)])
}

/// A pod with one container, of the image unless it names another.
fn pod(up: &Up, name: &str, mut spec: Value) {
    let mut container = spec["containers"][0].take();
    for (field, value) in [
        ("name", "main"),
        ("image", IMAGE),
        ("imagePullPolicy", "IfNotPresent"),
    ] {
        if container[field].is_null() {
            container[field] = json!(value);
        }
    }
    spec["containers"][0] = container;
    if spec["restartPolicy"].is_null() {
        spec["restartPolicy"] = json!("Never");
    }
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name }, "spec": spec,
    });
    up.kubectl_with("create -f -", &pod.to_string()).ok();
}

/// A pod that runs a shell script.
fn script(up: &Up, name: &str, script: &str) {
    let command = json!(["sh", "-c", script.replace('$', "$$")]);
    pod(up, name, json!({ "containers": [{ "command": command }] }));
}

fn until(up: &Up, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for(what, || {
            last = up.get("default", &format!("pod/{name}"));
            wanted(&last).then(|| last.clone())
        })
    }));
    found.unwrap_or_else(|_| panic!("{what}: {:#}", last["status"]))
}

/// The pod when it has ended.
fn ended(up: &Up, name: &str) -> Value {
    until(up, name, "the pod to end", |pod| {
        matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
    })
}

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

#[test]
fn an_experiment_runs_in_containers_and_leaves_none() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // The parameter is in a file that the machine does not have.
    let yaml = Experiment {
        script: "test -e /only-in-the-image && test ! -e /proc/1/root/usr && echo loss=$0",
        max: 3,
        ..Experiment::default()
    };
    let table = diwan_run(&podman, folder.path(), &yaml.yaml()).ok();
    assert!(table.contains("best trial: bowl-"), "{table}");
    assert_eq!(podman.containers(), Vec::<String>::new());
}

#[test]
fn a_file_of_metrics_is_read_out_of_the_container() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let yaml = Experiment {
        script: "echo loss=$0 > /var/log/katib/metrics.log",
        max: 2,
        extra: "metricsCollectorSpec:\n  collector:\n    kind: File\n  source:\n    \
                fileSystemPath:\n      path: /var/log/katib/metrics.log\n      kind: File",
        ..Experiment::default()
    };
    let table = diwan_run(&podman, folder.path(), &yaml.yaml()).ok();
    assert!(table.contains("best trial: bowl-"), "{table}");
    assert!(!Path::new("/var/log/katib/metrics.log").exists());
}

#[test]
fn a_failed_experiment_says_what_the_container_said() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let yaml = Experiment {
        script: "echo no such data set: iris.parquet >&2\nexit 3",
        extra: "maxFailedTrialCount: 1",
        ..Experiment::default()
    };
    let ran = diwan_run(&podman, folder.path(), &yaml.yaml());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("no such data set: iris.parquet"),
        "{ran:?}"
    );
}

#[test]
fn a_container_ends_and_logs_as_a_process_does() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let up = up(&podman);
    script(
        &up,
        "fails",
        "echo out; echo err >&2; echo last > /dev/termination-log; exit 3",
    );
    let pod_ended = ended(&up, "fails");
    let terminated = &state(&pod_ended)["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&json!(3), &json!("Error"))
    );
    assert_eq!(terminated["message"], "last\n");
    let log = up.kubectl("logs fails").ok();
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");

    // Every line of much output, to the last one.
    script(
        &up,
        "talks",
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done",
    );
    ended(&up, "talks");
    let log = up.kubectl("logs talks").ok();
    assert_eq!(log.lines().count(), 20_000);
    assert_eq!(log.lines().last(), Some("line 19999"));

    // The first process of a container is not killed by itself; another one is.
    script(&up, "signalled", "sh -c 'kill -9 $$'; exit $?");
    let terminated = ended(&up, "signalled");
    assert_eq!(state(&terminated)["terminated"]["exitCode"], 137);

    pod(&up, "image", json!({ "containers": [{}] }));
    assert_eq!(ended(&up, "image")["status"]["phase"], "Succeeded");
    assert_eq!(up.kubectl("logs image").ok(), "the image runs in /work\n");

    pod(
        &up,
        "unknown",
        json!({ "containers": [{ "command": ["/no/such/program"] }] }),
    );
    let terminated = ended(&up, "unknown");
    let terminated = &state(&terminated)["terminated"];
    assert_eq!(
        (&terminated["exitCode"], &terminated["reason"]),
        (&json!(128), &json!("StartError"))
    );
    assert!(
        terminated["message"]
            .as_str()
            .unwrap()
            .contains("/no/such/program"),
        "{terminated}"
    );
}

#[test]
fn a_container_finds_its_volumes_variables_and_rights() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let up = up(&podman);
    up.kubectl("create configmap words --from-literal=a=apple --from-literal=b=bee")
        .ok();
    let host = up.folder().join("host");
    fs::create_dir(&host).unwrap();
    let text = "cat /words/a; echo; cat /one; echo; echo $FRUIT $HOSTNAME; pwd; id -u; id -g
        touch /words/x 2> /dev/null || echo words are read-only
        echo kept > /host/file; echo first > /shared/deep/file
        cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; echo
        tail -n 1 /shared/deep/file";
    pod(
        &up,
        "finds",
        json!({
            "securityContext": { "runAsUser": 7, "runAsGroup": 8, "fsGroup": 9 },
            "volumes": [
                { "name": "words", "configMap": { "name": "words" } },
                { "name": "shared", "emptyDir": {} },
                { "name": "host", "hostPath": { "path": host } },
            ],
            "initContainers": [{
                "name": "first", "image": IMAGE, "imagePullPolicy": "Never",
                "command": ["sh", "-c", "touch /all/ready"],
                "volumeMounts": [{ "name": "shared", "mountPath": "/all" }],
            }],
            "containers": [{
                "command": ["sh", "-c", text.replace('$', "$$")],
                "workingDir": "/tmp",
                "securityContext": { "readOnlyRootFilesystem": true, "runAsUser": 0 },
                "resources": { "limits": { "memory": "64Mi", "cpu": "500m" } },
                "env": [{ "name": "FRUIT", "value": "plum" }],
                "volumeMounts": [
                    { "name": "words", "mountPath": "/words" },
                    { "name": "words", "mountPath": "/one", "subPath": "b" },
                    { "name": "shared", "mountPath": "/shared/deep" },
                    { "name": "host", "mountPath": "/host" },
                ],
            }],
        }),
    );
    let pod = ended(&up, "finds");
    let log = up.kubectl("logs finds").ok();
    assert_eq!(
        pod["status"]["phase"], "Succeeded",
        "{log} {:#}",
        pod["status"]
    );
    assert_eq!(
        log.lines().collect::<Vec<_>>(),
        [
            "apple",
            "bee",
            "plum finds",
            "/tmp",
            "0",
            "8",
            "words are read-only",
            "default",
            "first"
        ]
    );
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "kept\n");
}

#[test]
fn an_image_that_cannot_be_had_is_waited_for() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let up = up(&podman);
    let waiting = |name: &str, reason: &'static str| {
        until(&up, name, reason, |pod| {
            state(pod)["waiting"]["reason"] == reason
        })
    };
    pod(
        &up,
        "away",
        json!({ "containers": [{ "image": "localhost:1/none:1" }] }),
    );
    let pod_waiting = waiting("away", "ImagePullBackOff");
    assert_eq!(pod_waiting["status"]["phase"], "Pending");
    let message = state(&pod_waiting)["waiting"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("Back-off pulling image \"localhost:1/none:1\""),
        "{message}"
    );
    let events = up.kubectl("describe pod away").ok();
    for part in [
        "Failed to pull image",
        "Error: ErrImagePull",
        "Pulling image",
    ] {
        assert!(events.contains(part), "{events}");
    }
    up.kubectl("delete pod away --timeout=60s").ok();
    let spec =
        json!({ "containers": [{ "image": "localhost/none:1", "imagePullPolicy": "Never" }] });
    pod(&up, "never", spec);
    waiting("never", "ErrImageNeverPull");
}

#[test]
fn containers_go_on_after_kill_9_and_are_found_again() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let mut up = up(&podman);
    let host = up.folder().join("host");
    fs::create_dir(&host).unwrap();
    let text = "echo begin; while test ! -e /host/go; do sleep 0.1; done; echo end; exit 5";
    let spec = json!({
        "volumes": [{ "name": "host", "hostPath": { "path": host } }],
        "containers": [{
            "command": ["sh", "-c", text],
            "volumeMounts": [{ "name": "host", "mountPath": "/host" }],
        }],
    });
    for name in ["meanwhile", "later"] {
        pod(&up, name, spec.clone());
        until(&up, name, "the pod to run", |pod| {
            pod["status"]["phase"] == "Running"
        });
    }
    let before = podman.containers();
    assert_eq!(before.len(), 2, "{before:?}");
    up.kill();
    assert_eq!(podman.containers(), before);
    up.launch();
    until(&up, "later", "the pod to run", |pod| {
        pod["status"]["phase"] == "Running"
    });
    up.kill();
    // They end while nobody looks.
    fs::write(host.join("go"), "").unwrap();
    wait_for("the containers to end", || {
        podman.containers().is_empty().then_some(())
    });
    up.launch();
    for name in ["meanwhile", "later"] {
        let pod = ended(&up, name);
        assert_eq!(
            state(&pod)["terminated"]["exitCode"],
            5,
            "{:#}",
            pod["status"]
        );
        assert_eq!(pod["status"]["containerStatuses"][0]["restartCount"], 0);
        assert_eq!(up.kubectl(&format!("logs {name}")).ok(), "begin\nend\n");
    }
}

#[test]
fn a_container_is_started_again_and_does_not_outlive_what_holds_it() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let up = up(&podman);
    let text = "echo run; test -e /kept/once && exit 0; touch /kept/once; exit 7";
    let spec = json!({
        "restartPolicy": "OnFailure",
        "volumes": [{ "name": "kept", "emptyDir": {} }],
        "containers": [{
            "command": ["sh", "-c", text],
            "volumeMounts": [{ "name": "kept", "mountPath": "/kept" }],
        }],
    });
    pod(&up, "again", spec);
    let again = ended(&up, "again");
    let status = &again["status"]["containerStatuses"][0];
    assert_eq!(
        (&again["status"]["phase"], &status["restartCount"]),
        (&json!("Succeeded"), &json!(1))
    );
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(up.kubectl("logs again --previous").ok(), "run\n");

    script(&up, "held", "while true; do sleep 0.1; done");
    let held = until(&up, "held", "the pod to run", |pod| {
        pod["status"]["phase"] == "Running"
    });
    assert_eq!(podman.containers().len(), 1);
    let folder = up
        .data()
        .join("pods")
        .join(held["metadata"]["uid"].as_str().unwrap());
    let record = fs::read_to_string(folder.join("status")).unwrap();
    let holder = record.split_whitespace().nth(1).unwrap().parse().unwrap();
    kill(Pid::from_raw(holder), Signal::SIGKILL).unwrap();
    let held = ended(&up, "held");
    assert_eq!(
        state(&held)["terminated"]["reason"],
        "ContainerStatusUnknown"
    );
    wait_for("the container to go", || {
        podman.containers().is_empty().then_some(())
    });
}

#[test]
fn programs_reach_into_containers_and_deletion_ends_them() {
    let Some(podman) = Podman::start() else {
        return;
    };
    let up = up(&podman);
    let text = "trap 'echo told; exit 0' TERM; touch /tmp/up; while true; do sleep 0.1; done";
    pod(
        &up,
        "serves",
        json!({ "containers": [{
            "command": ["sh", "-c", text],
            "readinessProbe": { "exec": { "command": ["test", "-e", "/tmp/up"] }, "periodSeconds": 1 },
        }]}),
    );
    up.kubectl("wait pod/serves --for=condition=Ready --timeout=60s")
        .ok();
    let said = up.kubectl("exec serves -- cat /only-in-the-image").ok();
    assert_eq!(said, "yes\n");
    let ran =
        run(up
            .command("kubectl")
            .args(["exec", "serves", "--", "sh", "-c", "echo a >&2; exit 4"]));
    assert_eq!((ran.code, ran.stderr.lines().next()), (Some(4), Some("a")));
    let ran = up.kubectl_with("exec -i serves -- cat", "through and back");
    assert_eq!(ran.ok(), "through and back");

    let log = up
        .command("kubectl")
        .args(["logs", "-f", "serves"])
        .stdout(Stdio::piped())
        .spawn();
    up.kubectl("delete pod serves --timeout=60s").ok();
    let log = log.unwrap().wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&log.stdout), "told\n");
    assert_eq!(podman.containers(), Vec::<String>::new());

    // One that does not listen is killed.
    script(
        &up,
        "deaf",
        "trap '' TERM; echo deaf; while true; do sleep 0.1; done",
    );
    until(&up, "deaf", "the pod to run", |pod| {
        pod["status"]["phase"] == "Running"
    });
    up.kubectl("delete pod deaf --grace-period=1 --timeout=60s")
        .ok();
    assert_eq!(podman.containers(), Vec::<String>::new());
}

#[test]
fn without_an_engine_one_error_says_how_to_start_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("experiment.yaml");
    fs::write(&file, Experiment::default().yaml()).unwrap();
    let diwan_with = |variable: &str, value: &str| {
        let mut command = Command::new(diwan());
        command
            .args(["run", "--runtime", "podman"])
            .arg(&file)
            .env("TMPDIR", folder.path())
            .env(variable, value);
        run(&mut command).err()
    };
    let error = diwan_with("CONTAINER_HOST", "unix:///no/such/socket");
    assert!(
        error.contains("the container engine does not answer at /no/such/socket"),
        "{error}"
    );
    let error = diwan_with("CONTAINER_HOST", "ssh://elsewhere");
    assert!(error.contains("unix:///PATH"), "{error}");
}
