//! Columns and cells of built-in kinds.

mod access;
mod columns;
mod service;
mod storage;
mod workload;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, age, column};
use crate::{metadata, resource::Resource};

/// Names of columns; those after a `*` are shown with `-o wide` only.
fn names(resource: &Resource) -> &'static [&'static str] {
    match resource.kind {
        "Pod" => &["Name", "Ready", "Status", "Restarts", "Age", "*IP", "*Node"],
        "Job" => &[
            "Name",
            "Status",
            "Completions",
            "Duration",
            "Age",
            "*Containers",
            "*Images",
            "*Selector",
        ],
        "Event" => &[
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            "*Subobject",
            "*Source",
            "Message",
            "*First Seen",
            "*Count",
            "*Name",
        ],
        "Namespace" => &["Name", "Status", "Age"],
        "Node" => &[
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "*Internal-IP",
            "*OS-Image",
            "*Kernel-Version",
        ],
        "ConfigMap" => &["Name", "Data", "Age"],
        "Secret" => &["Name", "Type", "Data", "Age"],
        "Service" => &[
            "Name",
            "Type",
            "Cluster-IP",
            "External-IP",
            "Port(s)",
            "Age",
            "*Selector",
        ],
        "Lease" => &["Name", "Holder", "Age"],
        "CustomResourceDefinition" | "ClusterRole" | "LimitRange" | "Role" => {
            &["Name", "Created At"]
        }
        _ => columns::names(resource.kind),
    }
}

/// The columns of a scale.
pub(super) const SCALE: [&str; 4] = ["Name", "Desired", "Available", "Age"];

/// The cells of a scale.
pub(super) fn of_scale(scale: &Value, now: Timestamp) -> Vec<Value> {
    let age = age::since(scale["metadata"]["creationTimestamp"].as_str(), now);
    vec![
        json!(metadata::name(scale)),
        scale["spec"]["replicas"].clone(),
        scale["status"]["replicas"].clone(),
        json!(age),
    ]
}

/// The columns of a kind.
pub(super) fn columns(resource: &Resource) -> Vec<Column> {
    names(resource)
        .iter()
        .map(|name| match name.strip_prefix('*') {
            Some(name) => column(name, 1),
            None => column(name, 0),
        })
        .map(|column| Column {
            type_: type_of(resource.kind, &column.name).to_owned(),
            ..column
        })
        .collect()
}

/// What the cells of a column are.
fn type_of(kind: &str, column: &str) -> &'static str {
    match (kind, column) {
        (_, "Created At") => "date",
        ("CronJob", "Suspend") | ("PriorityClass", "Global-Default") => "boolean",
        ("CronJob", "Active")
        | ("PriorityClass", "Value")
        | ("ReplicaSet", "Desired" | "Current" | "Ready") => "integer",
        _ => "string",
    }
}

/// The cells of an object.
pub(super) fn of(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = metadata::name(object);
    let age = age::since(object["metadata"]["creationTimestamp"].as_str(), now);
    let (spec, status) = (&object["spec"], &object["status"]);
    match resource.kind {
        "Pod" => pod(object, name, &age, now),
        "Job" => job(object, name, &age, now),
        "Event" => event(object, name, now),
        "Namespace" => vec![json!(name), json!(text(&status["phase"])), json!(age)],
        "Node" => node(object, name, &age),
        "ConfigMap" => {
            let data = count(&object["data"]) + count(&object["binaryData"]);
            vec![json!(name), json!(data), json!(age)]
        }
        "Secret" => {
            let data = count(&object["data"]);
            vec![
                json!(name),
                json!(text(&object["type"])),
                json!(data),
                json!(age),
            ]
        }
        "Service" => service::service(spec, name, &age),
        "Endpoints" => service::endpoints(object, name, &age),
        "EndpointSlice" => service::slice(object, name, &age),
        "Deployment" => workload::deployment(object, name, &age),
        "ReplicaSet" => workload::replica_set(object, name, &age),
        "StatefulSet" => workload::stateful_set(object, name, &age),
        "CronJob" => workload::cron_job(object, name, &age, now),
        "ControllerRevision" => workload::controller_revision(object, name, &age),
        "PersistentVolumeClaim" => storage::claim(object, name, &age),
        "PersistentVolume" => storage::volume(object, name, &age),
        "StorageClass" => storage::class(object, name, &age),
        "Lease" => vec![
            json!(name),
            json!(text(&spec["holderIdentity"])),
            json!(age),
        ],
        "CustomResourceDefinition" | "ClusterRole" | "LimitRange" | "Role" => {
            vec![json!(name), object["metadata"]["creationTimestamp"].clone()]
        }
        "ClusterRoleBinding" | "RoleBinding" => access::binding(object, name, &age),
        "PriorityClass" => access::priority_class(object, name, &age),
        "ResourceQuota" => access::quota(object, name, &age),
        _ => vec![json!(name), json!(age)],
    }
}

fn pod(pod: &Value, name: &str, age: &str, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let statuses = items(&status["containerStatuses"]);
    let ready = statuses.iter().filter(|c| c["ready"] == true).count();
    let all = items(&status["initContainerStatuses"])
        .iter()
        .chain(statuses);
    let restarts: i64 = all.clone().filter_map(|c| c["restartCount"].as_i64()).sum();
    let last = all
        .filter_map(|c| c["lastState"]["terminated"]["finishedAt"].as_str())
        .max();
    let restarts = match last.filter(|_| restarts > 0) {
        Some(last) => format!("{restarts} ({} ago)", age::since(Some(last), now)),
        None => restarts.to_string(),
    };
    vec![
        json!(name),
        json!(format!("{ready}/{}", items(&spec["containers"]).len())),
        json!(pod_state(pod)),
        json!(restarts),
        json!(age),
        json!(or_none(&status["podIP"])),
        json!(or_none(&spec["nodeName"])),
    ]
}

/// The one word that says best how a pod is.
fn pod_state(pod: &Value) -> String {
    let status = &pod["status"];
    let mut word = text(&status["phase"]).to_owned();
    if let Some(reason) = status["reason"].as_str() {
        reason.clone_into(&mut word);
    }
    let first = items(&status["initContainerStatuses"]);
    let waiting = first
        .iter()
        .enumerate()
        .find(|(_, c)| c["state"]["terminated"]["exitCode"] != 0);
    if let Some((done, container)) = waiting {
        let state = &container["state"];
        word = match (
            state["terminated"]["reason"].as_str(),
            state["waiting"]["reason"].as_str(),
        ) {
            (Some(reason), _) => format!("Init:{reason}"),
            (None, Some(reason)) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!(
                "Init:{done}/{}",
                items(&pod["spec"]["initContainers"]).len()
            ),
        };
    } else {
        for container in items(&status["containerStatuses"]).iter().rev() {
            let state = &container["state"];
            if let Some(reason) = state["waiting"]["reason"].as_str() {
                reason.clone_into(&mut word);
            } else if let Some(reason) = state["terminated"]["reason"].as_str() {
                reason.clone_into(&mut word);
            } else if let Some(code) = state["terminated"]["exitCode"].as_i64() {
                word = format!("ExitCode:{code}");
            }
        }
        let runs = items(&status["containerStatuses"])
            .iter()
            .any(|c| c["ready"] == true && c["state"]["running"].is_object());
        if word == "Completed" && runs {
            "Running".clone_into(&mut word);
        }
    }
    if metadata::is_deleting(pod) {
        "Terminating".to_owned()
    } else {
        word
    }
}

fn job(job: &Value, name: &str, age: &str, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&job["spec"], &job["status"]);
    let holds = |type_: &str| {
        items(&status["conditions"])
            .iter()
            .any(|c| c["type"] == type_ && c["status"] == "True")
    };
    let state = match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if metadata::is_deleting(job) => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let succeeded = status["succeeded"].as_i64().unwrap_or(0);
    let parallel = spec["parallelism"].as_i64().unwrap_or(1);
    let completions = match spec["completions"].as_i64() {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        None => format!("{succeeded}/1"),
    };
    let end = status["completionTime"]
        .as_str()
        .and_then(|t| t.parse().ok())
        .unwrap_or(now);
    let start = status["startTime"].as_str();
    let duration = start.map_or_else(String::new, |start| age::since(Some(start), end));
    let containers = items(&spec["template"]["spec"]["containers"]);
    let each = |field: &str| {
        containers
            .iter()
            .map(|c| text(&c[field]))
            .collect::<Vec<_>>()
            .join(",")
    };
    vec![
        json!(name),
        json!(state),
        json!(completions),
        json!(duration),
        json!(age),
        json!(each("name")),
        json!(each("image")),
        json!(pairs(&spec["selector"]["matchLabels"])),
    ]
}

fn event(event: &Value, name: &str, now: Timestamp) -> Vec<Value> {
    let about = &event["involvedObject"];
    let time = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| event.pointer(path)?.as_str());
        age::since(found, now)
    };
    let first = time(&["/firstTimestamp", "/eventTime"]);
    let last = time(&[
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/firstTimestamp",
    ]);
    let source = match event["source"]["component"].as_str() {
        Some(component) if !component.is_empty() => component,
        _ => text(&event["reportingComponent"]),
    };
    let times = event["series"]["count"]
        .as_i64()
        .or(event["count"].as_i64())
        .unwrap_or(1);
    vec![
        json!(last),
        json!(text(&event["type"])),
        json!(text(&event["reason"])),
        json!(format!(
            "{}/{}",
            text(&about["kind"]).to_lowercase(),
            text(&about["name"])
        )),
        json!(text(&about["fieldPath"])),
        json!(source),
        json!(text(&event["message"]).trim()),
        json!(first),
        json!(times),
        json!(name),
    ]
}

fn node(node: &Value, name: &str, age: &str) -> Vec<Value> {
    let status = &node["status"];
    let ready = items(&status["conditions"])
        .iter()
        .find(|c| c["type"] == "Ready");
    let state = match ready.map(|c| text(&c["status"])) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let roles: Vec<&str> = metadata::labels(node)
        .into_iter()
        .flat_map(|labels| labels.keys())
        .filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let roles = if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    };
    let internal = items(&status["addresses"])
        .iter()
        .find(|a| a["type"] == "InternalIP");
    let info = &status["nodeInfo"];
    vec![
        json!(name),
        json!(state),
        json!(roles),
        json!(age),
        json!(text(&info["kubeletVersion"])),
        json!(internal.map_or("<none>", |a| text(&a["address"]))),
        json!(text(&info["osImage"])),
        json!(text(&info["kernelVersion"])),
    ]
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn count(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len) + items(value).len()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn or_none(value: &Value) -> &str {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .unwrap_or("<none>")
}

fn pairs(labels: &Value) -> String {
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", text(v)))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::{columns, of, pod_state};
    use crate::resource::{ALL, JOBS};

    #[test]
    fn every_kind_has_a_cell_for_each_column() {
        for resource in ALL {
            let cells = of(resource, &json!({}), Timestamp::UNIX_EPOCH);
            assert_eq!(cells.len(), columns(resource).len(), "{}", resource.kind);
        }
    }

    #[test]
    fn a_pods_state_is_the_word_that_says_most() {
        let check = |pod: Value, expected: &str| assert_eq!(pod_state(&pod), expected);
        check(json!({ "status": { "phase": "Pending" } }), "Pending");
        check(
            json!({ "status": { "phase": "Failed", "reason": "Evicted" } }),
            "Evicted",
        );
        check(
            json!({ "status": { "phase": "Failed", "containerStatuses": [
                { "state": { "terminated": { "reason": "Error", "exitCode": 1 } } } ] } }),
            "Error",
        );
        check(
            json!({ "spec": { "initContainers": [{}, {}] }, "status": { "phase": "Pending",
                "initContainerStatuses": [
                    { "state": { "terminated": { "exitCode": 0 } } },
                    { "state": { "running": {} } } ] } }),
            "Init:1/2",
        );
        check(
            json!({ "metadata": { "deletionTimestamp": "x" }, "status": { "phase": "Running" } }),
            "Terminating",
        );
    }

    #[test]
    fn a_jobs_duration_ends_with_it() {
        let job = json!({
            "metadata": { "name": "j", "creationTimestamp": "1970-01-01T00:00:00Z" },
            "spec": { "completions": 2 },
            "status": {
                "startTime": "1970-01-01T00:00:10Z", "completionTime": "1970-01-01T00:00:40Z",
                "succeeded": 2, "conditions": [{ "type": "Complete", "status": "True" }],
            },
        });
        let cells = of(&JOBS, &job, Timestamp::from_second(100).unwrap());
        assert_eq!(
            cells[..5],
            [
                json!("j"),
                json!("Complete"),
                json!("2/2"),
                json!("30s"),
                json!("100s")
            ]
        );
    }
}
