//! The collector of a trial's pod on a cluster: a container beside the trial, and the entry point
//! through which the trial's own command runs. No shell, and no word of the command is changed.
//!
//! The collector stands first among the containers. The kubelet starts them in their order, and
//! waits for the hook that puts the entry point into the pod before it starts the next; an init
//! container would cost its own start and up to a second until its end is seen. It ends by itself
//! after the trial, so it need not be one that the kubelet ends (an init container with `restartPolicy:
//! Always`); those of others run before it and outlive it.

mod collector;
mod shell;
#[cfg(test)]
mod tests;

use diwan_api::CollectorKind;
use diwan_api::metadata::{
    CONTAINER_METRICS_COLLECTOR, CONTAINER_METRICS_LOGGER, DEFAULT_LOG_PATH, DEFAULT_TFEVENT_PATH,
};
use diwan_api::metrics_collector::{CollectorPlan, CollectorSettings};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Map, Value, json};

use super::pod::{
    VOLUME, add_named, entries, is_primary, metrics_folder, mutate_pod, plan, primary_container,
    token, variables,
};

pub(crate) use collector::is_negative;

/// The container that `kubectl logs` and `exec` mean when they name none.
const ANNOTATION_DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
/// On a pod whose metrics can't be collected: why.
pub const ANNOTATION_NOT_COLLECTED: &str = "diwan.dev/not-collected";

/// The volume in which the entry point lies and leaves word, and where.
const PROGRAM_VOLUME: &str = "diwan-entrypoint";
const PROGRAM_FOLDER: &str = "/var/run/diwan";

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
/// a trial's name on a pod.
pub fn inject(pod: &mut Value, namespace: &str, injection: &Injection) {
    if plan(pod).is_some_and(|plan| plan.namespace != namespace) {
        return;
    }
    mutate_pod(pod);
    let Some(mut plan) = plan(pod).filter(|_| is_primary(pod)) else {
        return;
    };
    let Some(name) = collector_name(plan.spec.kind()) else {
        return;
    };
    let token = token(pod).map(str::to_owned);
    let is_there = |spec: &Map<String, Value>| {
        entries(spec, "containers").any(|container| container["name"] == name)
    };
    let is_shell = shell::is_wanted(pod, &plan.spec.kind());
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if is_there(spec) {
        return;
    }
    let source = Source::of(&plan);
    let variables = variables(&plan, token.as_deref());
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
    let form = if is_shell {
        Form::Shell
    } else {
        Form::EntryPoint
    };
    match form {
        Form::Shell => shell::wrap(container, &plan, &source),
        Form::EntryPoint => wrap(container, &source),
    }
    share(container, &source);
    let shared = mount_at(container, &source.folder);
    let is_ours = shared.as_ref().is_some_and(|mount| mount["name"] == VOLUME);
    let main = plan.primary_container.clone();
    let collector = collector::container(name, &plan, &source, form, shared, injection, variables);
    if let Some(containers) = spec.get_mut("containers").and_then(Value::as_array_mut) {
        containers.insert(0, collector);
    }
    match form {
        Form::Shell => {
            spec.insert("shareProcessNamespace".to_owned(), json!(true));
        }
        Form::EntryPoint => {
            let volume = json!({"name": PROGRAM_VOLUME, "emptyDir": {}});
            add_named(spec, "volumes", volume);
        }
    }
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

/// Through what the trial's command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `diwan-entrypoint`.
    EntryPoint,
    /// A shell, as Katib does it.
    Shell,
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
}

/// Lets the trial write where the collector reads.
fn share(container: &mut Map<String, Value>, source: &Source) {
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
