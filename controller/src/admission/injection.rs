//! The collector of a trial's pod on a cluster: a container beside the trial, and the entry point
//! through which the trial's own command runs. No shell, and no word of the command is changed.
//!
//! The collector stands first among the containers. The kubelet starts them in their order, and
//! waits for the hook that puts the entry point into the pod before it starts the next; an init
//! container would cost its own start and up to a second until its end is seen.

use diwan_api::CollectorKind;
use diwan_api::metadata::{
    CONTAINER_METRICS_COLLECTOR, CONTAINER_METRICS_LOGGER, DEFAULT_LOG_PATH, DEFAULT_TFEVENT_PATH,
};
use diwan_api::metrics_collector::{CollectorPlan, CollectorSettings};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Map, Value, json};

use super::pod::{
    MakeToken, VOLUME, add_named, entries, is_primary, metrics_folder, mutate_pod, plan,
    primary_container, variables,
};

/// The container that `kubectl logs` and `exec` mean when they name none.
const ANNOTATION_DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// On a pod whose metrics can't be collected: why.
pub const ANNOTATION_NOT_COLLECTED: &str = "diwan.dev/not-collected";

/// The volume in which the entry point lies and leaves word, and where.
const PROGRAM_VOLUME: &str = "diwan-entrypoint";
const PROGRAM_FOLDER: &str = "/var/run/diwan";
/// A user that every image may run as.
const USER: i64 = 65532;

/// What is put into pods.
#[derive(Clone, Debug)]
pub struct Injection {
    /// The image of `diwan`.
    pub image: String,
    /// When it is pulled: `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// Address of the DB manager, as pods reach it.
    pub db_manager: String,
    /// What is said of some kinds of collectors.
    pub collectors: Vec<CollectorSettings>,
}

impl Injection {
    fn settings(&self, kind: &CollectorKind) -> CollectorSettings {
        let found = self.collectors.iter().find(|found| found.kind == *kind);
        found.cloned().unwrap_or_default()
    }
}

/// Prepares a pod of a trial as [`mutate_pod`] does, and puts the collector into it. Doing so twice
/// changes nothing. A pod of another namespace than the trial's is left as it is: anybody may write
/// a trial's name on a pod, but not its token.
pub fn inject(
    pod: &mut Value,
    namespace: &str,
    injection: &Injection,
    make_token: Option<MakeToken<'_>>,
) {
    if plan(pod).is_some_and(|plan| plan.namespace != namespace) {
        return;
    }
    mutate_pod(pod, make_token);
    let Some(mut plan) = plan(pod).filter(|_| is_primary(pod)) else {
        return;
    };
    let Some(name) = collector_name(plan.spec.kind()) else {
        return;
    };
    let is_there = |spec: &Map<String, Value>| {
        entries(spec, "containers").any(|container| container["name"] == name)
    };
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if is_there(spec) {
        return;
    }
    let source = Source::of(&plan);
    let Some(container) = primary_container(spec, &plan.primary_container) else {
        return;
    };
    if entries(container, "command").next().is_none() {
        let why = format!(
            "container {} has no command, so its program is known to its image alone; write the \
             command into the trial template",
            plan.primary_container
        );
        annotate(pod, ANNOTATION_NOT_COLLECTED, &why);
        return;
    }
    if let Err(why) = number_port(&mut plan, container) {
        annotate(pod, ANNOTATION_NOT_COLLECTED, &why);
        return;
    }
    wrap(container, &source);
    let shared = mount_at(container, &source.folder);
    let is_ours = shared.as_ref().is_some_and(|mount| mount["name"] == VOLUME);
    let main = plan.primary_container.clone();
    let variables = variables(&plan, make_token);
    let collector = collector(name, &plan, &source, shared, injection, variables);
    if let Some(containers) = spec.get_mut("containers").and_then(Value::as_array_mut) {
        containers.insert(0, collector);
    }
    add_named(
        spec,
        "volumes",
        json!({"name": PROGRAM_VOLUME, "emptyDir": {}}),
    );
    if is_ours {
        add_named(spec, "volumes", json!({"name": VOLUME, "emptyDir": {}}));
    }
    annotate(pod, ANNOTATION_DEFAULT_CONTAINER, &main);
}

/// The collector's name, of the kinds that have one beside the trial.
pub(super) fn collector_name(kind: CollectorKind) -> Option<&'static str> {
    match kind {
        CollectorKind::StdOut | CollectorKind::File => Some(CONTAINER_METRICS_LOGGER),
        CollectorKind::TensorFlowEvent | CollectorKind::PrometheusMetric => {
            Some(CONTAINER_METRICS_COLLECTOR)
        }
        _ => None,
    }
}

/// What the collector reads.
struct Source {
    /// The file or folder.
    path: String,
    /// The volume that trial and collector share.
    folder: String,
    /// The trial's output is copied to the file.
    copied: bool,
}

impl Source {
    fn of(plan: &CollectorPlan) -> Self {
        let given = plan.spec.path().map(|path| path.path.clone());
        let default = match plan.spec.kind() {
            CollectorKind::TensorFlowEvent => DEFAULT_TFEVENT_PATH,
            _ => DEFAULT_LOG_PATH,
        };
        let path = given.unwrap_or_else(|| default.to_owned());
        let parent = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let folder = metrics_folder(plan).or_else(|| parent(&path));
        Self {
            folder: folder.unwrap_or_default(),
            path,
            copied: plan.spec.kind() == CollectorKind::StdOut,
        }
    }
}

/// Lets the trial's command run through the entry point.
fn wrap(container: &mut Map<String, Value>, source: &Source) {
    let program = format!("{PROGRAM_FOLDER}/diwan-entrypoint");
    let mut command = vec![json!(program), json!("wrap")];
    // Not where the metrics lie: that may be a volume which several trials share.
    command.extend([json!("--folder"), json!(PROGRAM_FOLDER)]);
    if source.copied {
        command.extend([json!("--output"), json!(source.path)]);
    }
    command.push(json!("--"));
    command.extend(entries(container, "command").cloned());
    container.insert("command".to_owned(), Value::Array(command));
    let program = json!({"name": PROGRAM_VOLUME, "mountPath": PROGRAM_FOLDER});
    add_named(container, "volumeMounts", program);
    if mount_at(container, &source.folder).is_none() {
        let mount = json!({"name": VOLUME, "mountPath": source.folder});
        add_named(container, "volumeMounts", mount);
    }
}

/// Puts the number of the container's port in place of its name: the collector knows only its own.
fn number_port(plan: &mut CollectorPlan, container: &Map<String, Value>) -> Result<(), String> {
    let source = plan.spec.source.as_mut();
    let Some(get) = source.and_then(|source| source.http_get.as_mut()) else {
        return Ok(());
    };
    let IntOrString::String(name) = &get.port else {
        return Ok(());
    };
    if name.parse::<u16>().is_ok() {
        return Ok(());
    }
    let found = entries(container, "ports").find(|port| port["name"] == **name);
    let number = found.and_then(|port| i32::try_from(port["containerPort"].as_i64()?).ok());
    let number = number.ok_or_else(|| {
        format!(
            "container {} has no port {name}, which source.httpGet.port of the metrics collector \
             names; add it to the container's ports, or give its number",
            plan.primary_container
        )
    })?;
    get.port = IntOrString::Int(number);
    Ok(())
}

/// What the container has at a folder: the user's own volume, or ours.
fn mount_at(container: &Map<String, Value>, folder: &str) -> Option<Value> {
    let is_there = |mount: &&Value| {
        let path = mount["mountPath"].as_str().unwrap_or_default();
        path.trim_end_matches('/') == folder
    };
    entries(container, "volumeMounts").find(is_there).cloned()
}

fn collector(
    name: &str,
    plan: &CollectorPlan,
    source: &Source,
    shared: Option<Value>,
    injection: &Injection,
    variables: Vec<Value>,
) -> Value {
    let settings = injection.settings(&plan.spec.kind());
    let pull_policy = match settings.image_pull_policy.as_str() {
        "" => &injection.pull_policy,
        given => given,
    };
    let plan = CollectorPlan {
        // The controller looks at what is reported and ends the trial itself.
        stop_rules: Vec::new(),
        ..plan.clone()
    };
    let plan = serde_json::to_string(&plan).unwrap_or_default();
    json!({
        "name": name,
        "image": injection.image,
        "imagePullPolicy": pull_policy,
        "command": ["/diwan-metrics-collector"],
        "args": [
            "-wrapped", "-marks", PROGRAM_FOLDER, "-s-db", injection.db_manager,
            "-path", source.path, "-plan", plan,
        ],
        "env": variables,
        "lifecycle": {"postStart": {"exec": {"command": ["/diwan", "entrypoint", PROGRAM_FOLDER]}}},
        "resources": resources(&settings.resources),
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": PROGRAM_VOLUME, "mountPath": PROGRAM_FOLDER},
            shared,
        ],
    })
}

/// What the collector may use. Where an amount is given of a resource, the default limit and request
/// of it don't hold: they may not fit.
fn resources(given: &Map<String, Value>) -> Value {
    let mut all = json!({
        "requests": {"cpu": "10m", "memory": "16Mi"},
        "limits": {"memory": "128Mi"},
    });
    for amounts in given.values().filter_map(Value::as_object) {
        for list in ["requests", "limits"] {
            if let Some(list) = all[list].as_object_mut() {
                list.retain(|name, _| !amounts.contains_key(name));
            }
        }
    }
    for (list, amounts) in given {
        for (name, amount) in amounts.as_object().into_iter().flatten() {
            if !is_negative(amount) {
                all[list][name] = amount.clone();
            }
        }
    }
    all
}

/// Katib's word for none.
pub(crate) fn is_negative(amount: &Value) -> bool {
    match amount {
        Value::String(text) => text.starts_with('-'),
        Value::Number(number) => number.as_f64().is_some_and(|number| number < 0.0),
        _ => false,
    }
}

/// Adds an annotation; one of that name stays as it is.
pub(super) fn annotate(pod: &mut Value, name: &str, value: &str) {
    let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.entry(name).or_insert_with(|| json!(value));
    }
}

#[cfg(test)]
mod tests {
    use diwan_api::metadata::ANNOTATION_METRICS_COLLECTOR;

    use super::*;

    fn pod(collector: &Value, command: &Value) -> Value {
        let plan = json!({
            "trial": "tune-b", "namespace": "team", "primaryContainer": "main",
            "objective": "loss", "objectiveType": "minimize", "spec": collector,
            "stopRules": [{"name": "loss", "value": "1", "comparison": "greater", "startStep": 1}],
        });
        json!({
            "metadata": {"annotations": {ANNOTATION_METRICS_COLLECTOR: plan.to_string()}},
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
        let make_token = |_: &str, _: &str| "token".to_owned();
        let before = pod.clone();
        inject(&mut pod, "other", &injection, Some(&make_token));
        assert_eq!(pod, before, "no token leaves its namespace");
        inject(&mut pod, "team", &injection, Some(&make_token));
        let once = pod.clone();
        inject(&mut pod, "team", &injection, Some(&make_token));
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
}
