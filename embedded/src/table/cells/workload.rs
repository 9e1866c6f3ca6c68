//! Cells of what makes pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age, items, or_none, pairs, text};

/// Of a Deployment.
pub(super) fn deployment(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let mut cells = vec![
        json!(name),
        json!(ready(spec, status)),
        json!(number(&status["updatedReplicas"])),
        json!(number(&status["availableReplicas"])),
        json!(age),
    ];
    cells.extend(containers(&spec["template"]["spec"]));
    cells.push(json!(selector(&spec["selector"])));
    cells
}

/// Of a ReplicaSet.
pub(super) fn replica_set(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let mut cells = vec![
        json!(name),
        json!(number(&spec["replicas"])),
        json!(number(&status["replicas"])),
        json!(number(&status["readyReplicas"])),
        json!(age),
    ];
    cells.extend(containers(&spec["template"]["spec"]));
    cells.push(json!(selector(&spec["selector"])));
    cells
}

/// Of a StatefulSet.
pub(super) fn stateful_set(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let mut cells = vec![json!(name), json!(ready(spec, status)), json!(age)];
    cells.extend(containers(&spec["template"]["spec"]));
    cells
}

/// Of a CronJob.
pub(super) fn cron_job(object: &Value, name: &str, age: &str, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let last = status["lastScheduleTime"].as_str();
    let job = &spec["jobTemplate"]["spec"];
    let suspended = if spec["suspend"] == true {
        "True"
    } else {
        "False"
    };
    let mut cells = vec![
        json!(name),
        json!(text(&spec["schedule"])),
        json!(or_none(&spec["timeZone"])),
        json!(suspended),
        json!(items(&status["active"]).len()),
        json!(last.map_or_else(|| "<none>".to_owned(), |_| age::since(last, now))),
        json!(age),
    ];
    cells.extend(containers(&job["template"]["spec"]));
    cells.push(json!(selector(&job["selector"])));
    cells
}

/// Of a revision of a controller.
pub(super) fn controller_revision(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let owners = items(&object["metadata"]["ownerReferences"]);
    let owner = owners.iter().find(|owner| owner["controller"] == true);
    let kind = owner.map(|owner| {
        let group = text(&owner["apiVersion"])
            .split_once('/')
            .map(|(group, _)| group);
        let kind = text(&owner["kind"]).to_lowercase();
        let kind = group.map_or_else(|| kind.clone(), |group| format!("{kind}.{group}"));
        format!("{kind}/{}", text(&owner["name"]))
    });
    vec![
        json!(name),
        json!(kind.as_deref().unwrap_or("<none>")),
        json!(number(&object["revision"])),
        json!(age),
    ]
}

fn ready(spec: &Value, status: &Value) -> String {
    format!(
        "{}/{}",
        number(&status["readyReplicas"]),
        number(&spec["replicas"])
    )
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

/// The names and images of the containers.
fn containers(pods: &Value) -> [Value; 2] {
    let each = |field: &str| {
        let texts = items(&pods["containers"]).iter().map(|c| text(&c[field]));
        json!(texts.collect::<Vec<_>>().join(","))
    };
    [each("name"), each("image")]
}

/// A selector in the words of kubectl.
fn selector(selector: &Value) -> String {
    let mut terms = Vec::new();
    if selector["matchLabels"]
        .as_object()
        .is_some_and(|map| !map.is_empty())
    {
        terms.push(pairs(&selector["matchLabels"]));
    }
    for expression in items(&selector["matchExpressions"]) {
        let key = text(&expression["key"]);
        let values: Vec<&str> = items(&expression["values"]).iter().map(text).collect();
        let values = values.join(",");
        terms.push(match text(&expression["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if terms.is_empty() {
        "<none>".to_owned()
    } else {
        terms.join(",")
    }
}
