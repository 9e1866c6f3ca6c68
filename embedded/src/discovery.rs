//! Discovery: which groups, versions and kinds there are.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use crate::{
    resource::{ALL, NAMESPACES, Resource},
    rest::reply,
    status::Status,
};

/// The version of Kubernetes whose API is served.
const KUBERNETES: (&str, &str) = ("1", "36");
/// What clients say when they want everything in one document.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Answers a request for one of the paths `api`, `apis`, `api/v1`, `apis/GROUP` and
/// `apis/GROUP/VERSION`.
pub(crate) fn answer(path: &str, accept: &str) -> Result<Response<Body>, Status> {
    let parts: Vec<&str> = path.split('/').collect();
    let aggregated = accept.split(',').any(wants_aggregated);
    match parts.as_slice() {
        ["api" | "apis"] if aggregated => {
            let body = Body::from(aggregate(parts[0] == "api").to_string());
            Ok(reply::response(200, AGGREGATED, body))
        }
        ["api"] => Ok(reply::json(
            200,
            &json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        )),
        ["apis"] => Ok(reply::json(
            200,
            &json!({
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": groups().map(group).collect::<Value>(),
            }),
        )),
        ["api", "v1"] => Ok(reply::json(200, &resources("", "v1"))),
        ["apis", name] => {
            let name = groups()
                .find(|group| group == name)
                .ok_or_else(Status::no_such_path)?;
            let mut answer = json!({ "kind": "APIGroup", "apiVersion": "v1" });
            for (field, value) in group(name).as_object().into_iter().flatten() {
                answer[field] = value.clone();
            }
            Ok(reply::json(200, &answer))
        }
        ["apis", name, version] if served(name, version).next().is_some() => {
            Ok(reply::json(200, &resources(name, version)))
        }
        _ => Err(Status::no_such_path()),
    }
}

/// What the server says it is.
pub(crate) fn version() -> Value {
    let (major, minor) = KUBERNETES;
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.0+diwan-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform_architecture()),
    })
}

/// The version in the form of OpenAPI documents.
pub(crate) fn version_text() -> String {
    format!("v{}.{}.0", KUBERNETES.0, KUBERNETES.1)
}

fn platform_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn wants_aggregated(range: &str) -> bool {
    let has = |parameter: &str| range.split(';').any(|part| part.trim() == parameter);
    has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
}

/// The named groups, each once.
pub(crate) fn groups() -> impl Iterator<Item = &'static str> {
    let mut seen = Vec::new();
    ALL.iter()
        .map(|resource| resource.group)
        .filter(move |group| {
            let new = !group.is_empty() && !seen.contains(group);
            seen.push(*group);
            new
        })
}

/// The kinds of a group's version.
pub(crate) fn served(group: &str, version: &str) -> impl Iterator<Item = &'static Resource> {
    ALL.into_iter()
        .filter(move |r| r.group == group && r.version == version)
}

fn version_of(group: &str) -> &'static str {
    ALL.iter()
        .find(|r| r.group == group)
        .map_or("v1", |r| r.version)
}

fn group(name: &str) -> Value {
    let version = version_of(name);
    let entry = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [entry], "preferredVersion": entry })
}

fn verbs(resource: &Resource) -> Value {
    if resource.read_only {
        return json!(["get", "list", "watch"]);
    }
    if resource.custom {
        let read = ["delete", "deletecollection", "get", "list"];
        let write = ["patch", "create", "update", "watch"];
        return json!([read, write].concat());
    }
    if resource == &NAMESPACES {
        return json!([
            "create", "delete", "get", "list", "patch", "update", "watch"
        ]);
    }
    json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ])
}

fn subresources(resource: &Resource) -> Vec<(&'static str, Value)> {
    let mut list = Vec::new();
    if resource.kind == "Pod" {
        list.push(("log", json!(["get"])));
    }
    if resource.status && !resource.read_only {
        list.push(("status", json!(["get", "patch", "update"])));
    }
    list
}

fn resources(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for resource in served(group, version) {
        let mut entry = json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": verbs(resource),
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        list.push(entry);
        for (name, verbs) in subresources(resource) {
            list.push(json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": verbs,
            }));
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": list,
    })
}

/// All groups in one document: the core group, or the named ones.
fn aggregate(core: bool) -> Value {
    let names: Vec<&str> = if core { vec![""] } else { groups().collect() };
    let items = names.into_iter().map(|name| {
        let version = version_of(name);
        let resources = served(name, version).map(aggregated_resource);
        json!({
            "metadata": { "name": name, "creationTimestamp": null },
            "versions": [{
                "version": version,
                "resources": resources.collect::<Value>(),
                "freshness": "Current",
            }],
        })
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.collect::<Value>(),
    })
}

fn aggregated_resource(resource: &'static Resource) -> Value {
    let kind = json!({
        "group": resource.group, "version": resource.version, "kind": resource.kind,
    });
    let subresources = subresources(resource)
        .into_iter()
        .map(|(name, verbs)| json!({ "subresource": name, "responseKind": kind, "verbs": verbs }));
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
        "subresources": subresources.collect::<Value>(),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    entry
}
