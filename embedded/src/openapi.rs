//! OpenAPI documents (v3), made when they are asked for: `kubectl explain` and `kubectl apply`
//! read them.

use axum::body::Body;
use http::Response;
use serde_json::{Map, Value, json};

use crate::{
    discovery::version_text,
    patch,
    resource::{Kinds, Resource},
    rest::reply,
    schema::{REFERENCE_PREFIX, builtin_definitions, builtin_name},
    status::Status,
};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Answers with the index (empty path), or with the document of `api/v1` or
/// `apis/GROUP/VERSION`.
pub(crate) fn answer(kinds: &Kinds, path: &str) -> Result<Response<Body>, Status> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [""] => Ok(reply::json(200, &index(kinds))),
        ["api", "v1"] => Ok(reply::json(200, &document(kinds, "", "v1"))),
        ["apis", group, version] if kinds.served(group, version).next().is_some() => {
            Ok(reply::json(200, &document(kinds, group, version)))
        }
        _ => Err(Status::no_such_path()),
    }
}

fn index(kinds: &Kinds) -> Value {
    let mut paths = Map::new();
    let versions = kinds.groups().into_iter().flat_map(|group| {
        let versions = kinds.versions(group).into_iter();
        versions.map(move |version| format!("apis/{group}/{version}"))
    });
    for path in std::iter::once("api/v1".to_owned()).chain(versions) {
        // The hash lets clients keep a document until the program changes.
        let url = format!("/openapi/v3/{path}?hash={}", env!("CARGO_PKG_VERSION"));
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

fn document(kinds: &Kinds, group: &str, version: &str) -> Value {
    let mut components = builtin_definitions(Some(group));
    let mut paths = Map::new();
    for resource in kinds.served(group, version) {
        let name = component(resource);
        if let Some(custom) = kinds.custom(resource) {
            components.insert(name.clone(), custom_schema(&custom.version));
        }
        if let Some(schema) = components.get_mut(&name) {
            schema["x-kubernetes-group-version-kind"] = json!([gvk(resource)]);
        }
        add_paths(&mut paths, resource, &name);
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": version_text() },
        "paths": paths,
        "components": { "schemas": components },
    })
}

/// The name of a kind's schema.
fn component(resource: &Resource) -> String {
    if let Some(name) = builtin_name(resource) {
        return name.to_owned();
    }
    let reversed: Vec<&str> = resource.group.rsplit('.').collect();
    format!(
        "{}.{}.{}",
        reversed.join("."),
        resource.version,
        resource.kind
    )
}

fn gvk(resource: &Resource) -> Value {
    json!({ "group": resource.group, "kind": resource.kind, "version": resource.version })
}

fn custom_schema(version: &Value) -> Value {
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    schema["properties"]["apiVersion"] = json!({
        "type": "string",
        "description": "The version of the schema of this object, with its group.",
    });
    schema["properties"]["kind"] = json!({
        "type": "string",
        "description": "The kind of this object.",
    });
    schema["properties"]["metadata"] = json!({
        "description": "Name, namespace, labels and whatever else every object has.",
        "allOf": [{ "$ref": format!("{REFERENCE_PREFIX}{OBJECT_META}") }],
    });
    schema
}

fn add_paths(paths: &mut Map<String, Value>, resource: &Resource, component: &str) {
    let root = if resource.group.is_empty() {
        format!("/api/{}", resource.version)
    } else {
        format!("/apis/{}/{}", resource.group, resource.version)
    };
    let scope = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("{root}{scope}/{}", resource.plural);
    let one = format!("{collection}/{{name}}");
    let operation = |action: &str| operation(resource, component, action);
    let mut on_collection = json!({ "get": operation("list") });
    let mut on_one = json!({ "get": operation("get") });
    if !resource.read_only {
        on_collection["post"] = operation("post");
        on_collection["delete"] = operation("deletecollection");
        on_one["put"] = operation("put");
        on_one["patch"] = operation("patch");
        on_one["delete"] = operation("delete");
    }
    if resource.status && !resource.read_only {
        let mut status = on_one.clone();
        if let Some(operations) = status.as_object_mut() {
            operations.remove("delete");
        }
        paths.insert(format!("{one}/status"), status);
    }
    paths.insert(collection, on_collection);
    paths.insert(one, on_one);
}

fn operation(resource: &Resource, component: &str, action: &str) -> Value {
    let text = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
    let mut parameters = match action {
        "list" => vec![
            text("labelSelector"),
            text("fieldSelector"),
            text("resourceVersion"),
        ],
        "post" | "put" => vec![
            text("dryRun"),
            text("fieldManager"),
            text("fieldValidation"),
        ],
        "patch" => {
            vec![
                text("dryRun"),
                text("fieldManager"),
                text("fieldValidation"),
                text("force"),
            ]
        }
        "delete" | "deletecollection" => {
            vec![
                text("dryRun"),
                text("gracePeriodSeconds"),
                text("propagationPolicy"),
            ]
        }
        _ => Vec::new(),
    };
    if resource.namespaced {
        parameters.push(json!({
            "name": "namespace", "in": "path", "required": true, "schema": { "type": "string" },
        }));
    }
    let schema = json!({ "$ref": format!("{REFERENCE_PREFIX}{component}") });
    let content = json!({ "application/json": { "schema": schema } });
    let mut operation = json!({
        "operationId": format!("{action}{}{}", resource.kind, resource.version),
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": gvk(resource),
        "parameters": parameters,
        "responses": { "200": { "description": "OK", "content": content } },
    });
    match action {
        "post" | "put" => operation["requestBody"] = json!({ "content": content }),
        "patch" => {
            let types = patch::MEDIA_TYPES.into_iter();
            let any: Map<String, Value> = types
                .filter(|t| !resource.custom || !t.contains("strategic"))
                .map(|t| (t.to_owned(), json!({ "schema": { "type": "object" } })))
                .collect();
            operation["requestBody"] = json!({ "content": any });
        }
        _ => {}
    }
    operation
}
