//! The `scale` subresource: how many replicas an object wants and has, as an autoscaling/v1 Scale.

use axum::body::Body;
use http::{Method, Response};
use serde_json::{Map, Value, json};

use super::{Call, accept, body, manager, read, reply, write_options};
use crate::{
    api::Revision,
    conversion, metadata,
    ownership::Writer,
    patch::{Form, Patch},
    resource::{Kinds, Resource},
    status::{Cause, Status},
    store::Object,
    table,
};

/// Where the numbers of a kind are, as paths of fields such as `.spec.replicas`.
struct Paths<'a> {
    wanted: &'a str,
    current: &'a str,
    selector: &'a str,
}

impl<'a> Paths<'a> {
    fn of(kinds: &'a Kinds, resource: &Resource) -> Self {
        let scale = kinds
            .custom(resource)
            .map(|custom| &custom.version["subresources"]["scale"]);
        let path = |field: &str| scale.and_then(|scale| scale[field].as_str());
        Self {
            wanted: path("specReplicasPath").unwrap_or(".spec.replicas"),
            current: path("statusReplicasPath").unwrap_or(".status.replicas"),
            selector: match scale {
                Some(_) => path("labelSelectorPath").unwrap_or_default(),
                None => ".spec.selector",
            },
        }
    }
}

/// Answers a request for the scale of an object.
pub(super) async fn answer(method: &Method, call: &Call<'_>) -> Result<Response<Body>, Status> {
    match method.as_str() {
        "GET" | "HEAD" => get(call),
        "PUT" => {
            write_options::check(call, "UpdateOptions")?;
            let wanted = body::decode(body::media_type(call.content_type), &call.body)?;
            check_kind(&wanted)?;
            let writer = manager::of(call);
            change(call, &writer, |_| Ok(wanted.clone())).await
        }
        "PATCH" => {
            write_options::check(call, "PatchOptions")?;
            let form = Form::of(call.target.resource, body::media_type(call.content_type))?;
            let (writer, _) = manager::of_patch(call, form == Form::Apply)?;
            let patch = Patch::read(form, &call.body)?;
            // A scale has one field to be set: who applies it owns it as who updates it.
            let writer = Writer {
                applies: false,
                ..writer
            };
            let revise = |scale: &Value| match patch.wanted() {
                Some(wanted) => {
                    let mut scale = scale.clone();
                    json_patch::merge(&mut scale, wanted);
                    Ok(scale)
                }
                None => patch.apply(scale, None),
            };
            change(call, &writer, revise).await
        }
        _ => Err(Status::method_not_allowed()),
    }
}

fn get(call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let object = call
        .api
        .object(target.resource, target.namespace(), target.name())
        .ok_or_else(|| Status::not_found(target.resource, target.name()))?;
    write(call, &object)
}

fn write(call: &Call<'_>, object: &Object) -> Result<Response<Body>, Status> {
    let (kinds, resource) = (call.api.kinds(), call.target.resource);
    let stored = object.value();
    let view = conversion::from_stored(&kinds, resource, &stored);
    let scale = scale_of(&Paths::of(&kinds, resource), &view);
    match call.form()? {
        accept::Form::Yaml => reply::yaml(200, &scale),
        accept::Form::Metadata => Ok(reply::json(200, &read::partial(&scale))),
        accept::Form::Table => {
            let include = table::Include::parse(call.query.get("includeObject"));
            let metadata = json!({ "resourceVersion": object.version.to_string() });
            let table = table::of_scale(&scale, include).to_value(metadata, true);
            Ok(reply::json(200, &table))
        }
        accept::Form::Json => Ok(reply::json(200, &scale)),
    }
}

async fn change(
    call: &Call<'_>,
    writer: &Writer,
    revise: impl Fn(&Value) -> Result<Value, Status> + Send + Sync,
) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let (kinds, resource) = (call.api.kinds(), target.resource);
    let paths = Paths::of(&kinds, resource);
    let revise = |current: &Value| {
        let before = scale_of(&paths, current);
        let after = revise(&before)?;
        check(resource, target.name(), &paths, &after)?;
        let mut new = current.clone();
        set(&mut new, paths.wanted, after["spec"]["replicas"].clone());
        match after["metadata"]["resourceVersion"].as_str() {
            // Who names a version wants no other to be changed.
            Some(version) if before["metadata"]["resourceVersion"] != version => {
                metadata::set(&mut new, "resourceVersion", version);
            }
            _ => metadata::unset(&mut new, "resourceVersion"),
        }
        Ok(Revision::Replace(new))
    };
    let object = call
        .api
        .update_object(
            resource,
            target.namespace(),
            target.name(),
            writer,
            call.query.dry_run(),
            revise,
        )
        .await?;
    write(call, &object)
}

fn check_kind(scale: &Value) -> Result<(), Status> {
    let (version, kind) = (scale["apiVersion"].as_str(), scale["kind"].as_str());
    let is_scale =
        |given: Option<&str>, wanted: &str| given.is_none_or(|g| g.is_empty() || g == wanted);
    if is_scale(version, "autoscaling/v1") && is_scale(kind, "Scale") {
        return Ok(());
    }
    Err(Status::bad_request(
        "the body must be a Scale of autoscaling/v1",
    ))
}

fn check(resource: &Resource, name: &str, paths: &Paths<'_>, scale: &Value) -> Result<(), Status> {
    let refuse = |value: &Value, detail: &str| {
        let cause = Cause {
            field: paths.wanted.to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {detail}"),
        };
        Err(Status::invalid(resource, name, &[cause]))
    };
    match &scale["spec"]["replicas"] {
        Value::Null => Ok(()),
        replicas => match replicas.as_i64() {
            None => refuse(replicas, "must be an integer"),
            // Its schema has a say, too.
            Some(_) if resource.custom => Ok(()),
            Some(count) if count < 0 => refuse(replicas, "should be a non-negative integer"),
            Some(count) if count > i64::from(i32::MAX) => {
                refuse(replicas, "should be less than or equal to 2147483647")
            }
            Some(_) => Ok(()),
        },
    }
}

/// The scale of an object.
fn scale_of(paths: &Paths<'_>, object: &Value) -> Value {
    let mut metadata = Map::new();
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = object["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let count = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or(0);
    let mut status = json!({ "replicas": count(paths.current) });
    let selector = at(object, paths.selector)
        .map(selector_text)
        .unwrap_or_default();
    if !selector.is_empty() {
        status["selector"] = json!(selector);
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": { "replicas": count(paths.wanted) },
        "status": status,
    })
}

/// A selector as text: it may be one already, or a label selector.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut terms: Vec<String> = labels
        .map(|(label, value)| format!("{label}={}", value.as_str().unwrap_or_default()))
        .collect();
    for expression in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let values = values.join(",");
        terms.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.sort();
    terms.join(",")
}

/// The value at a path of fields.
fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = object;
    for field in path.strip_prefix('.')?.split('.') {
        value = value.get(field)?;
    }
    Some(value)
}

/// Sets the value at a path of fields.
fn set(object: &mut Value, path: &str, new: Value) {
    let mut value = object;
    for field in path.trim_start_matches('.').split('.') {
        if !value.is_object() {
            *value = json!({});
        }
        value = &mut value[field];
    }
    *value = new;
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::{Paths, scale_of, selector_text, set};

    #[test]
    fn the_numbers_are_where_the_kind_has_them() {
        let paths = Paths {
            wanted: ".spec.pool.size",
            current: ".status.size",
            selector: ".status.selector",
        };
        let mut object = json!({ "metadata": { "name": "a", "labels": {} }, "status": { "size": 2, "selector": "a=b" } });
        set(&mut object, paths.wanted, json!(3));
        assert_eq!(
            scale_of(&paths, &object),
            json!({
                "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": { "name": "a" },
                "spec": { "replicas": 3 }, "status": { "replicas": 2, "selector": "a=b" },
            })
        );
    }

    #[test]
    fn a_label_selector_is_written_as_text() {
        let selector = json!({
            "matchLabels": { "b": "1" },
            "matchExpressions": [{ "key": "a", "operator": "In", "values": ["x", "y"] }],
        });
        assert_eq!(selector_text(&selector), "a in (x,y),b=1");
    }
}
