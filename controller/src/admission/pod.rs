//! Pods of trials: the trial's name in the environment, a volume for the metrics file, and the
//! collector that the user brings.

use diwan_api::CollectorKind;
use diwan_api::metadata::{
    ANNOTATION_METRICS_COLLECTOR, ANNOTATION_TRIAL_TOKEN, ENV_TRIAL_NAME, ENV_TRIAL_NAMESPACE,
    ENV_TRIAL_TOKEN,
};
use diwan_api::metrics_collector::CollectorPlan;
use serde_json::{Map, Value, json};

/// On pods of trials, as JSON: the labels by which the primary pod is known.
pub const ANNOTATION_PRIMARY_POD_LABELS: &str = "diwan.dev/primary-pod-labels";

/// The volume in which the metrics file lies.
pub(super) const VOLUME: &str = "metrics-volume";

/// Prepares a pod of a trial; any other is left as it is, and so is what can't be read. Doing so
/// twice changes nothing.
pub fn mutate_pod(pod: &mut Value) {
    let Some(plan) = plan(pod) else { return };
    if !is_primary(pod) {
        // Nothing is to be collected from it.
        let annotations = pod.pointer_mut("/metadata/annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.remove(ANNOTATION_METRICS_COLLECTOR);
        }
    }
    let variables = variables(&plan, token(pod));
    let folder = metrics_folder(&plan).filter(|_| is_primary(pod));
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let Some(container) = primary_container(spec, &plan.primary_container) else {
        return;
    };
    for variable in &variables {
        add_named(container, "env", variable.clone());
    }
    let mount = folder.map(|folder| {
        let is_there = |mount: &&Value| {
            let path = mount.get("mountPath").and_then(Value::as_str);
            path.is_some_and(|path| path.trim_end_matches('/') == folder)
        };
        let found = entries(container, "volumeMounts").find(is_there).cloned();
        found.unwrap_or_else(|| {
            let mount = json!({"name": VOLUME, "mountPath": folder});
            add_named(container, "volumeMounts", mount.clone());
            mount
        })
    });
    if mount.as_ref().is_some_and(|mount| mount["name"] == VOLUME) {
        add_named(spec, "volumes", json!({"name": VOLUME, "emptyDir": {}}));
    }
    if is_primary(pod)
        && let Some(collector) = custom_collector(&plan, &variables, mount)
        && let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut)
    {
        add_named(spec, "containers", collector);
    }
}

/// What tells a container of which trial it is.
pub(super) fn variables(plan: &CollectorPlan, token: Option<&str>) -> Vec<Value> {
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let mut variables = vec![variable(ENV_TRIAL_NAME, &plan.trial)];
    if let Some(token) = token {
        variables.push(variable(ENV_TRIAL_NAMESPACE, &plan.namespace));
        variables.push(variable(ENV_TRIAL_TOKEN, token));
    }
    variables
}

/// The container that the user brings for kind Custom, beside what the trial writes.
fn custom_collector(
    plan: &CollectorPlan,
    variables: &[Value],
    mount: Option<Value>,
) -> Option<Value> {
    let collector = plan.spec.collector.as_ref()?;
    let container = match (plan.spec.kind(), &collector.custom_collector) {
        (CollectorKind::Custom, Some(container)) => serde_json::to_value(container).ok()?,
        _ => return None,
    };
    let Value::Object(mut container) = container else {
        return None;
    };
    for variable in variables {
        add_named(&mut container, "env", variable.clone());
    }
    let path = mount.as_ref().and_then(|mount| mount.get("mountPath"));
    let is_mounted = entries(&container, "volumeMounts").any(|m| m.get("mountPath") == path);
    if let Some(mount) = mount.filter(|_| !is_mounted) {
        add_named(&mut container, "volumeMounts", mount);
    }
    Some(Value::Object(container))
}

fn annotation<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    pod.get("metadata")?.get("annotations")?.get(name)?.as_str()
}

pub(super) fn plan(pod: &Value) -> Option<CollectorPlan> {
    serde_json::from_str(annotation(pod, ANNOTATION_METRICS_COLLECTOR)?).ok()
}

/// The token that the trial controller wrote on the pod.
pub(super) fn token(pod: &Value) -> Option<&str> {
    annotation(pod, ANNOTATION_TRIAL_TOKEN)
}

/// Whether the pod has all labels of a primary pod.
pub(super) fn is_primary(pod: &Value) -> bool {
    let Some(wanted) = annotation(pod, ANNOTATION_PRIMARY_POD_LABELS) else {
        return true;
    };
    let Ok(wanted) = serde_json::from_str::<Map<String, Value>>(wanted) else {
        return true;
    };
    let labels = pod.pointer("/metadata/labels");
    wanted
        .iter()
        .all(|(name, value)| labels.and_then(|l| l.get(name)) == Some(value))
}

/// The folder that the collector reads, of the kinds that read files.
pub(super) fn metrics_folder(plan: &CollectorPlan) -> Option<String> {
    let path = plan.spec.path()?;
    let path_text = path.path.trim_end_matches('/');
    let folder = match plan.spec.kind() {
        CollectorKind::TensorFlowEvent => path_text,
        CollectorKind::File | CollectorKind::Custom if path.kind == "Directory" => path_text,
        CollectorKind::File | CollectorKind::Custom => path_text.rsplit_once('/')?.0,
        _ => return None,
    };
    (folder.starts_with('/')).then(|| folder.to_owned())
}

pub(crate) fn primary_container<'a>(
    spec: &'a mut Map<String, Value>,
    name: &str,
) -> Option<&'a mut Map<String, Value>> {
    let containers = spec.get_mut("containers")?.as_array_mut()?;
    let found = containers
        .iter_mut()
        .find(|c| c.get("name").and_then(Value::as_str) == Some(name));
    found?.as_object_mut()
}

pub(crate) fn entries<'a>(
    parent: &'a Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a Value> {
    parent
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Adds an entry to a list unless one of that name is there.
pub(crate) fn add_named(parent: &mut Map<String, Value>, field: &str, entry: Value) {
    if entries(parent, field).any(|found| found.get("name") == entry.get("name")) {
        return;
    }
    let list = parent.entry(field).or_insert(Value::Null);
    match list {
        Value::Array(list) => list.push(entry),
        other => *other = Value::Array(vec![entry]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(collector: Value) -> Value {
        let plan = json!({
            "trial": "tune-b", "namespace": "team", "primaryContainer": "main",
            "objective": "loss", "objectiveType": "minimize", "spec": collector,
        });
        json!({
            "metadata": {"annotations": {ANNOTATION_METRICS_COLLECTOR: plan.to_string()}},
            "spec": {"containers": [{"name": "side"}, {"name": "main"}]}
        })
    }

    fn file(path: &str) -> Value {
        json!({
            "collector": {"kind": "File"},
            "source": {"fileSystemPath": {"path": path, "kind": "File", "format": "TEXT"}}
        })
    }

    #[test]
    fn the_primary_container_learns_the_trial_s_name() {
        let mut pod = pod(json!({"collector": {"kind": "StdOut"}}));
        mutate_pod(&mut pod);
        let containers = &pod["spec"]["containers"];
        assert_eq!(containers[0], json!({"name": "side"}));
        let env = json!([{"name": "KATIB_TRIAL_NAME", "value": "tune-b"}]);
        assert_eq!(containers[1], json!({"name": "main", "env": env}));
        assert_eq!(pod["spec"].get("volumes"), None);
    }

    #[test]
    fn trial_and_collector_get_the_token_of_their_trial() {
        let mut pod = pod(json!({
            "collector": {"kind": "Custom", "customCollector": {"name": "mine", "image": "i"}},
        }));
        pod["metadata"]["annotations"][ANNOTATION_TRIAL_TOKEN] = json!("secret");
        mutate_pod(&mut pod);
        let containers = &pod["spec"]["containers"];
        assert_eq!(containers[0], json!({"name": "side"}));
        for container in [&containers[1], &containers[2]] {
            let env = json!([
                {"name": "KATIB_TRIAL_NAME", "value": "tune-b"},
                {"name": "DIWAN_TRIAL_NAMESPACE", "value": "team"},
                {"name": "DIWAN_TRIAL_TOKEN", "value": "secret"},
            ]);
            assert_eq!(container["env"], env, "{container}");
        }
    }

    #[test]
    fn the_folder_of_the_metrics_file_is_a_volume() {
        let mut once = pod(file("/var/log/katib/metrics.log"));
        mutate_pod(&mut once);
        let mount = json!([{"name": "metrics-volume", "mountPath": "/var/log/katib"}]);
        assert_eq!(once["spec"]["containers"][1]["volumeMounts"], mount);
        let volumes = json!([{"name": "metrics-volume", "emptyDir": {}}]);
        assert_eq!(once["spec"]["volumes"], volumes);
        let mut twice = once.clone();
        mutate_pod(&mut twice);
        assert_eq!(once, twice);
    }

    #[test]
    fn a_collector_of_the_user_s_stands_beside_the_trial() {
        let mut once = pod(json!({
            "collector": {"kind": "Custom", "customCollector": {"name": "mine", "image": "i"}},
            "source": {"fileSystemPath": {"path": "/data/run.log", "kind": "File"}}
        }));
        mutate_pod(&mut once);
        let mount = json!([{"name": "metrics-volume", "mountPath": "/data"}]);
        let env = json!([{"name": "KATIB_TRIAL_NAME", "value": "tune-b"}]);
        let containers = once["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 3);
        assert_eq!(containers[1]["volumeMounts"], mount);
        assert_eq!(
            containers[2],
            json!({"name": "mine", "image": "i", "env": env, "volumeMounts": mount})
        );
        let mut twice = once.clone();
        mutate_pod(&mut twice);
        assert_eq!(once, twice);
    }

    #[test]
    fn what_is_mounted_there_already_stays() {
        let mut pod = pod(file("/data/metrics.log"));
        pod["spec"]["containers"][1]["volumeMounts"] =
            json!([{"name": "mine", "mountPath": "/data/"}]);
        mutate_pod(&mut pod);
        assert_eq!(pod["spec"].get("volumes"), None);
    }

    #[test]
    fn nothing_is_collected_from_a_pod_that_is_not_primary() {
        let mut pod = pod(file("/data/metrics.log"));
        pod["metadata"]["annotations"][ANNOTATION_PRIMARY_POD_LABELS] =
            json!(r#"{"role": "master"}"#);
        mutate_pod(&mut pod);
        assert_eq!(
            pod["metadata"]["annotations"].get(ANNOTATION_METRICS_COLLECTOR),
            None
        );
        assert_eq!(pod["spec"]["containers"][1]["env"][0]["value"], "tune-b");
        assert_eq!(pod["spec"].get("volumes"), None);
    }

    #[test]
    fn other_pods_are_left_alone() {
        let mut pod = json!({"spec": {"containers": [{"name": "main"}]}});
        let before = pod.clone();
        mutate_pod(&mut pod);
        assert_eq!(pod, before);
    }
}
