//! Discovery: which groups, versions and kinds there are.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use crate::{
    pod_usage,
    resource::{Kinds, NAMESPACES, PODS, Resource},
    rest::reply,
    review,
    status::Status,
};

/// The version of Kubernetes whose API is served.
const KUBERNETES: (&str, &str) = ("1", "36");
/// What clients say when they want everything in one document.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The kind that the `scale` subresource speaks: group, version and name.
const SCALE: (&str, &str, &str) = ("autoscaling", "v1", "Scale");

/// Answers a request for one of the paths `api`, `apis`, `api/v1`, `apis/GROUP` and
/// `apis/GROUP/VERSION`. `host` is the address at which the client found this server.
pub(crate) fn answer(
    kinds: &Kinds,
    path: &str,
    accept: &str,
    host: &str,
) -> Result<Response<Body>, Status> {
    let parts: Vec<&str> = path.split('/').collect();
    let aggregated = accept.split(',').any(wants_aggregated);
    match parts.as_slice() {
        ["api" | "apis"] if aggregated => {
            let body = Body::from(aggregate(kinds, parts[0] == "api").to_string());
            Ok(reply::response(200, AGGREGATED, body))
        }
        ["api"] => Ok(reply::json(
            200,
            &json!({
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": host }],
            }),
        )),
        ["apis"] => Ok(reply::json(
            200,
            &json!({
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": groups(kinds)
                    .into_iter()
                    .map(|name| group(kinds, name))
                    .chain([pod_usage::group()])
                    .collect::<Value>(),
            }),
        )),
        ["api", "v1"] => Ok(reply::json(200, &resources(kinds, "", "v1"))),
        ["apis", pod_usage::GROUP] => {
            let mut answer = pod_usage::group();
            answer["kind"] = json!("APIGroup");
            answer["apiVersion"] = json!("v1");
            Ok(reply::json(200, &answer))
        }
        ["apis", pod_usage::GROUP, pod_usage::VERSION] => {
            Ok(reply::json(200, &pod_usage::resources()))
        }
        ["apis", name] => {
            let groups = groups(kinds);
            let name = groups.into_iter().find(|group| group == name);
            let name = name.ok_or_else(Status::no_such_path)?;
            let mut answer = json!({ "kind": "APIGroup", "apiVersion": "v1" });
            for (field, value) in group(kinds, name).as_object().into_iter().flatten() {
                answer[field] = value.clone();
            }
            Ok(reply::json(200, &answer))
        }
        ["apis", name, version]
            if kinds.served(name, version).next().is_some()
                || review::GROUPS.contains(name) && *version == "v1" =>
        {
            Ok(reply::json(200, &resources(kinds, name, version)))
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

/// The named groups, and those of reviews.
fn groups(kinds: &Kinds) -> Vec<&'static str> {
    let mut groups = kinds.groups();
    groups.extend(review::GROUPS);
    groups
}

fn versions(kinds: &Kinds, group: &str) -> Vec<&'static str> {
    if review::GROUPS.contains(&group) {
        return vec!["v1"];
    }
    kinds.versions(group)
}

fn group(kinds: &Kinds, name: &str) -> Value {
    let versions = versions(kinds, name).into_iter();
    let versions: Vec<Value> = versions
        .map(|version| json!({ "groupVersion": format!("{name}/{version}"), "version": version }))
        .collect();
    json!({ "name": name, "versions": versions, "preferredVersion": versions[0] })
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
    if resource == &PODS {
        list.push(("attach", json!(["create", "get"])));
        list.push(("eviction", json!(["create"])));
        list.push(("exec", json!(["create", "get"])));
        list.push(("log", json!(["get"])));
        list.push(("portforward", json!(["create", "get"])));
    }
    if resource.status && !resource.read_only {
        list.push(("status", json!(["get", "patch", "update"])));
    }
    if resource.scale {
        list.push(("scale", json!(["get", "patch", "update"])));
    }
    list
}

fn resources(kinds: &Kinds, group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for resource in kinds.served(group, version) {
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
            let mut entry = json!({
                "name": format!("{}/{name}", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": verbs,
            });
            if name == "scale" {
                entry["group"] = json!(SCALE.0);
                entry["version"] = json!(SCALE.1);
                entry["kind"] = json!(SCALE.2);
            }
            list.push(entry);
        }
        if resource.kind == "ServiceAccount" {
            list.push(review::token_entry());
        }
    }
    list.extend(review::of(group).map(review::Review::entry));
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
fn aggregate(kinds: &Kinds, core: bool) -> Value {
    let names: Vec<&str> = if core { vec![""] } else { groups(kinds) };
    let items = names.into_iter().map(|name| {
        let versions = versions(kinds, name).into_iter().map(|version| {
            let resources = kinds.served(name, version).map(aggregated_resource);
            let resources = resources.chain(review::of(name).map(review::Review::aggregated_entry));
            json!({
                "version": version,
                "resources": resources.collect::<Value>(),
                "freshness": "Current",
            })
        });
        json!({
            "metadata": { "name": name, "creationTimestamp": null },
            "versions": versions.collect::<Value>(),
        })
    });
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items.chain((!core).then(pod_usage::aggregated)).collect::<Value>(),
    })
}

fn aggregated_resource(resource: &'static Resource) -> Value {
    let kind = json!({
        "group": resource.group, "version": resource.version, "kind": resource.kind,
    });
    let subresources = subresources(resource).into_iter().map(|(name, verbs)| {
        let (group, version, scale) = SCALE;
        let kind = match name {
            "scale" => json!({ "group": group, "version": version, "kind": scale }),
            _ => kind.clone(),
        };
        json!({ "subresource": name, "responseKind": kind, "verbs": verbs })
    });
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource),
        "subresources": subresources.collect::<Value>(),
    });
    if resource.kind == "ServiceAccount" {
        entry["subresources"] = json!([review::aggregated_token_entry()]);
    }
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    entry
}
