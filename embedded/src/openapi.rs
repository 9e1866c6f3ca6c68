//! OpenAPI documents (v3), made when they are asked for: `kubectl explain` and `kubectl apply`
//! read them.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value, json};

use crate::{
    discovery::version_text,
    patch,
    resource::{Kinds, Resource},
    rest::reply,
    schema::{REFERENCE_PREFIX, builtin_definitions, builtin_name, each_child, identify_embedded},
    status::Status,
};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// What the fields are that every object has.
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an \
    object. Servers should convert recognized schemas to the latest internal value, and may reject \
    unrecognized values. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. \
    Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In \
    CamelCase. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// Answers with the index (empty path), or with the document of `api/v1` or
/// `apis/GROUP/VERSION`.
pub(crate) fn answer(kinds: &Kinds, path: &str) -> Result<Response<Body>, Status> {
    let parts: Vec<&str> = path.split('/').collect();
    let made = |group: &str, version: &str| {
        let made = || Bytes::from(document(kinds, group, version).to_string());
        Ok(reply::bytes(200, kinds.document(path, made)))
    };
    match parts.as_slice() {
        [""] => Ok(reply::json(200, &index(kinds))),
        ["api", "v1"] => made("", "v1"),
        ["apis", group, version] if kinds.served(group, version).next().is_some() => {
            made(group, version)
        }
        _ => Err(Status::no_such_path()),
    }
}

fn index(kinds: &Kinds) -> Value {
    let groups = kinds.groups();
    let named = groups.into_iter().flat_map(|group| {
        let versions = kinds.versions(group).into_iter();
        versions.map(move |version| (group, version, format!("apis/{group}/{version}")))
    });
    let core = std::iter::once(("", "v1", "api/v1".to_owned()));
    let paths: Map<String, Value> = core
        .chain(named)
        .map(|(group, version, path)| {
            let url = format!("/openapi/v3/{path}?hash={}", hash(kinds, group, version));
            (path, json!({ "serverRelativeURL": url }))
        })
        .collect();
    json!({ "paths": paths })
}

/// Lets clients keep a document until the program or a definition changes.
fn hash(kinds: &Kinds, group: &str, version: &str) -> String {
    let mut hasher = DefaultHasher::new();
    for custom in kinds.served(group, version).filter_map(|r| kinds.custom(r)) {
        (custom.resource.plural, custom.version.to_string()).hash(&mut hasher);
    }
    format!("{}-{:016X}", env!("CARGO_PKG_VERSION"), hasher.finish())
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
            // Rust's type has it always; who writes an object of a kind may leave it out.
            if let Some(required) = schema["required"].as_array_mut() {
                required.retain(|field| field != "metadata");
            }
        }
        add_paths(&mut paths, resource, &name);
    }
    components.values_mut().for_each(describe_references);
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
    if schema["x-kubernetes-preserve-unknown-fields"] == true && !schema["properties"].is_object() {
        return json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    }
    identify_embedded(&mut schema);
    name_alternatives(&mut schema);
    let text = |description| json!({ "type": "string", "description": description });
    schema["properties"]["apiVersion"] = text(API_VERSION);
    schema["properties"]["kind"] = text(KIND);
    schema["properties"]["metadata"] = json!({
        "description": METADATA,
        "allOf": [{ "$ref": format!("{REFERENCE_PREFIX}{OBJECT_META}") }],
    });
    if let Some(fields) = version["selectableFields"].as_array() {
        let path = |field: &Value| field["jsonPath"].as_str().unwrap_or_default().to_owned();
        let fields = fields
            .iter()
            .map(|field| json!({ "fieldPath": path(field).trim_start_matches('.') }));
        schema["x-kubernetes-selectable-fields"] = fields.collect();
    }
    schema
}

/// Clients that do not know `x-kubernetes-int-or-string` are told in other words.
fn name_alternatives(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else {
        return;
    };
    if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        let either = json!([{ "type": "integer" }, { "type": "string" }]);
        fields.entry("anyOf").or_insert(either);
    }
    each_child(node, &mut name_alternatives);
}

/// A reference stands alone; what describes a field stands beside a list that holds the reference.
fn describe_references(node: &mut Value) {
    if let Some(fields) = node.as_object_mut()
        && fields.contains_key("description")
        && let Some(reference) = fields.remove("$ref")
    {
        fields.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
    each_child(node, &mut describe_references);
}

/// The document of old: it describes nothing, so who asks for it finds that nothing is known of what
/// the newer documents do not describe.
pub(crate) fn answer_old(accept: &str) -> Option<Response<Body>> {
    const ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    /// `swagger: "2.0"`.
    const NOTHING: &[u8] = b"\x0a\x032.0";
    let asked = accept
        .split(',')
        .any(|range| range.trim().starts_with(ASKED));
    asked.then(|| reply::response(200, TYPE, Body::from(NOTHING)))
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
