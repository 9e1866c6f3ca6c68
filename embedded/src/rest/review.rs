//! Questions about users: who they are, and what they may do. Nothing is stored.

use axum::body::Body;
use http::Response;
use serde_json::{Value, json};

use super::{body, path::ReviewTarget, reply};
use crate::{
    access::{self, Attributes, Bound, Grants, Subject, TokenOrder, User},
    api::Api,
    metadata,
    resource::SERVICE_ACCOUNTS,
    review::Review,
    status::{Cause, Status},
};

/// The shortest and the longest life of a token, in seconds.
const LIFETIMES: (i64, i64) = (600, 1 << 32);

/// Answers a review.
pub(super) fn answer(
    api: &Api,
    user: &User,
    target: &ReviewTarget,
    request: &[u8],
    content_type: &str,
) -> Result<Response<Body>, Status> {
    let mut object = body::decode(body::media_type(content_type), request)?;
    check_kind(target.review, &mut object)?;
    let answer = match target.review.kind {
        "TokenRequest" => token_request(api, target, object)?,
        "TokenReview" => token_review(api, object)?,
        "SelfSubjectReview" => {
            object["status"] = json!({ "userInfo": user.info() });
            if let Some(fields) = object.as_object_mut() {
                fields.remove("spec");
            }
            metadata::set(
                &mut object,
                "creationTimestamp",
                metadata::time(jiff::Timestamp::now()),
            );
            object
        }
        "SelfSubjectRulesReview" => rules_review(api, user, &object)?,
        "SelfSubjectAccessReview" => access_review(api, user, object)?,
        _ => {
            let user = named_user(&object["spec"])?;
            if target.review.namespaced {
                check_namespace(&object["spec"], &target.namespace)?;
            }
            access_review(api, &user, object)?
        }
    };
    Ok(reply::json(201, &answer))
}

/// A review says of which kind it is, or nothing at all.
fn check_kind(review: &Review, object: &mut Value) -> Result<(), Status> {
    let Some(fields) = object.as_object_mut() else {
        return Err(Status::bad_request("the review must be a JSON object"));
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let known = kind.is_empty() || kind == review.kind && version == review.api_version();
    if !known {
        let (group, short) = version.split_once('/').unwrap_or(("", version));
        let from = if group.is_empty() { version } else { group };
        return Err(Status::bad_request(format!(
            "{kind} in version \"{short}\" cannot be handled as a {}: converting ({from}.{kind}) \
             to ({}.{}): unknown conversion",
            review.kind,
            review.group.split('.').next().unwrap_or_default(),
            review.kind
        )));
    }
    fields.insert("kind".to_owned(), json!(review.kind));
    fields.insert("apiVersion".to_owned(), json!(review.api_version()));
    for field in ["metadata", "spec"] {
        if fields.get(field).is_none_or(|value| !value.is_object()) {
            fields.insert(field.to_owned(), json!({}));
        }
    }
    Ok(())
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn token_review(api: &Api, mut object: Value) -> Result<Value, Status> {
    let token = object["spec"]["token"].as_str().unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let checked = access::check_token(api, token, &texts(&object["spec"]["audiences"]));
    object["status"] = match checked {
        Ok((user, audiences)) => json!({
            "authenticated": true, "user": user.info(), "audiences": audiences,
        }),
        Err(why) => json!({ "user": {}, "error": why }),
    };
    Ok(object)
}

fn token_request(api: &Api, target: &ReviewTarget, mut object: Value) -> Result<Value, Status> {
    let spec = &object["spec"];
    let seconds = spec["expirationSeconds"].as_i64();
    if let Some(seconds) = seconds {
        check_lifetime(seconds)?;
    }
    let reference = &spec["boundObjectRef"];
    let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
    let bound = reference.is_object().then(|| Bound {
        kind: text("kind"),
        name: text("name"),
        uid: text("uid"),
    });
    let order = TokenOrder {
        audiences: texts(&spec["audiences"]),
        seconds,
        bound,
    };
    let issued = api.issue_token(&target.namespace, &target.name, &order)?;
    let account = api.get(&SERVICE_ACCOUNTS, &target.namespace, &target.name);
    object["metadata"] = json!({
        "name": target.name,
        "namespace": target.namespace,
        "uid": account.as_deref().map(metadata::uid),
        "creationTimestamp": metadata::time(jiff::Timestamp::now()),
    });
    object["spec"]["audiences"] = json!(issued.audiences);
    object["spec"]["expirationSeconds"] = json!(seconds.unwrap_or(access::LIFETIME));
    if object["spec"]["boundObjectRef"].is_null() {
        object["spec"]["boundObjectRef"] = Value::Null;
    }
    object["status"] = json!({
        "token": issued.token, "expirationTimestamp": metadata::time(issued.expires),
    });
    Ok(object)
}

fn check_lifetime(seconds: i64) -> Result<(), Status> {
    let limit = match seconds {
        _ if seconds < LIFETIMES.0 => "less than 10 minutes",
        _ if seconds > LIFETIMES.1 => "larger than 2^32 seconds",
        _ => return Ok(()),
    };
    let message = format!("Invalid value: {seconds}: may not specify a duration {limit}");
    Err(invalid(
        "TokenRequest.authentication.k8s.io",
        &json!({ "group": "authentication.k8s.io", "kind": "TokenRequest" }),
        "spec.expirationSeconds",
        message,
    ))
}

/// What the user may do, one thing.
fn access_review(api: &Api, user: &User, mut object: Value) -> Result<Value, Status> {
    let verdict = access::decide(api, user, &asked(&object["spec"])?);
    object["status"] = json!({ "allowed": verdict.allowed });
    if !verdict.reason.is_empty() {
        object["status"]["reason"] = json!(verdict.reason);
    }
    Ok(object)
}

/// What the user may do, all of it.
fn rules_review(api: &Api, user: &User, object: &Value) -> Result<Value, Status> {
    let namespace = object["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let grants = Grants::of(api, user, namespace);
    let rules = grants.rules.iter().map(|(rule, _)| rule);
    let mut status = json!({
        "resourceRules": rules.clone().filter_map(access::Rule::resource_rule).collect::<Value>(),
        "nonResourceRules": rules.filter_map(access::Rule::path_rule).collect::<Value>(),
        "incomplete": false,
    });
    if !grants.errors.is_empty() {
        status["evaluationError"] = json!(grants.errors.join(", "));
    }
    Ok(json!({
        "kind": object["kind"], "apiVersion": object["apiVersion"], "metadata": {}, "spec": {},
        "status": status,
    }))
}

/// The user that a review asks about.
fn named_user(spec: &Value) -> Result<User, Status> {
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let mut user = User {
        name: text("user"),
        uid: text("uid"),
        groups: texts(&spec["groups"]),
        ..User::default()
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let message = "Invalid value: \"\": at least one of user or group must be specified";
        return Err(invalid_review("spec.user", message));
    }
    for (key, values) in spec["extra"].as_object().into_iter().flatten() {
        user.extra.insert(key.clone(), texts(values));
    }
    Ok(user)
}

fn check_namespace(spec: &Value, namespace: &str) -> Result<(), Status> {
    let asked = spec["resourceAttributes"]["namespace"]
        .as_str()
        .unwrap_or_default();
    if spec["nonResourceAttributes"].is_object() {
        let message = "Invalid value: null: disallowed on this kind of request";
        return Err(invalid_review("spec.nonResourceAttributes", message));
    }
    if asked != namespace {
        let message = format!("Invalid value: {asked:?}: must match metadata.namespace");
        return Err(invalid_review(
            "spec.resourceAttributes.namespace",
            &message,
        ));
    }
    Ok(())
}

/// What a review asks about.
fn asked(spec: &Value) -> Result<Attributes, Status> {
    let (objects, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    match (objects.is_object(), path.is_object()) {
        (true, false) => Ok(Attributes {
            verb: text(objects, "verb"),
            subject: Subject::Objects {
                group: text(objects, "group"),
                resource: text(objects, "resource"),
                subresource: text(objects, "subresource"),
                namespace: text(objects, "namespace"),
                name: text(objects, "name"),
            },
        }),
        (false, true) => Ok(Attributes {
            verb: text(path, "verb"),
            subject: Subject::Path(text(path, "path")),
        }),
        (true, true) => {
            let (path, verb) = (text(path, "path"), text(path, "verb"));
            let message = format!(
                "Invalid value: {{\"Path\":{path:?},\"Verb\":{verb:?}}}: cannot be specified in \
                 combination with resourceAttributes"
            );
            Err(invalid_review("spec.nonResourceAttributes", &message))
        }
        (false, false) => Err(invalid_review(
            "spec.resourceAttributes",
            "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must \
             be specified",
        )),
    }
}

/// Kubernetes names no kind in these refusals.
fn invalid_review(field: &str, message: &str) -> Status {
    let details = json!({ "group": "authorization.k8s.io" });
    invalid(".authorization.k8s.io", &details, field, message.to_owned())
}

fn invalid(kind: &str, details: &Value, field: &str, message: String) -> Status {
    let text = format!("{kind} \"\" is invalid: {field}: {message}");
    let cause = Cause {
        field: field.to_owned(),
        reason: "FieldValueInvalid",
        message,
    };
    let mut status = Status::new(422, "Invalid", text);
    let mut details = details.clone();
    details["causes"] = json!([{
        "reason": cause.reason, "message": cause.message, "field": cause.field,
    }]);
    status.details = Some(Box::new(details));
    status
}
