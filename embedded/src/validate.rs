//! The rules of Kubernetes for names, labels and the built-in kinds that matter here.

pub(crate) mod advice;
pub(crate) mod immutable;
mod job;
mod label_selector;
mod meta;
mod pod;
mod probe;
mod quota;
mod rbac;
mod secret;
mod service;
mod storage;
mod workload;

use std::sync::LazyLock;

use diwan_api::FieldError;
use regex::Regex;
use serde_json::{Map, Value};

use crate::{
    metadata,
    resource::Resource,
    status::{Cause, Status},
};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
    characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
    'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
    '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
    '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
    'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

static SUBDOMAIN_PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
        .expect("the pattern is valid")
});
static NAME_PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$").expect("the pattern is valid")
});

/// An object without any name.
pub(crate) fn name_required(resource: &Resource) -> Status {
    let error = FieldError::required("metadata.name", "name or generateName is required");
    Status::invalid(resource, "", &[cause(error)])
}

/// A field error as a cause of a status.
pub(crate) fn cause(error: FieldError) -> Cause {
    Cause {
        reason: error.kind.reason(),
        message: error.message(),
        field: error.field,
    }
}

/// The rules for `metadata` of every kind.
pub(crate) fn metadata(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut errors = Vec::new();
    let name = metadata::name(object);
    let checked = if matches!(resource.kind, "Namespace" | "Service") {
        label(name)
    } else if resource.group == "rbac.authorization.k8s.io" {
        rbac::name(name)
    } else {
        subdomain(name)
    };
    if let Some(detail) = checked {
        errors.push(FieldError::invalid("metadata.name", name, detail));
    }
    labels(
        "metadata.labels",
        &object["metadata"]["labels"],
        &mut errors,
    );
    let mut causes: Vec<Cause> = errors.into_iter().map(cause).collect();
    causes.extend(meta::check(resource, object));
    causes
}

/// The rules of built-in kinds.
pub(crate) fn builtin(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut errors = Vec::new();
    match resource.kind {
        "Pod" => pod::check(&object["spec"], "spec", &mut errors),
        "Job" => job::check(&object["spec"], &mut errors),
        "Deployment" => workload::deployment(&object["spec"], &mut errors),
        "ReplicaSet" => workload::replica_set(&object["spec"], &mut errors),
        "StatefulSet" => workload::stateful_set(&object["spec"], &mut errors),
        "CronJob" => workload::cron_job(&object["spec"], &mut errors),
        "Service" => service::check(&object["spec"], &mut errors),
        "PersistentVolumeClaim" => storage::claim(&object["spec"], &mut errors),
        "PersistentVolume" => storage::volume(&object["spec"], &mut errors),
        "StorageClass" => storage::class(object, &mut errors),
        "ConfigMap" => data_keys(object, &["data", "binaryData"], &mut errors),
        "Secret" => {
            data_keys(object, &["data"], &mut errors);
            secret::check(object, &mut errors);
        }
        "Lease" => lease(&object["spec"], &mut errors),
        "Event" if resource.group.is_empty() => event(object, &mut errors),
        _ => {}
    }
    let mut causes: Vec<Cause> = errors.into_iter().map(cause).collect();
    match resource.kind {
        "Role" | "ClusterRole" => rbac::role(resource, object, &mut causes),
        "RoleBinding" | "ClusterRoleBinding" => rbac::binding(resource, object, &mut causes),
        "PriorityClass" => rbac::priority_class(object, &mut causes),
        "ResourceQuota" => quota::check(&object["spec"], &mut causes),
        _ => {}
    }
    causes.extend(match resource.kind {
        "ConfigMap" => too_much_data(object, "[]"),
        "Secret" => too_much_data(object, "data"),
        _ => None,
    });
    causes
}

fn lease(spec: &Value, errors: &mut Vec<FieldError>) {
    for (field, least, relation) in [
        ("leaseDurationSeconds", 1, "greater than 0"),
        ("leaseTransitions", 0, "greater than or equal to 0"),
    ] {
        if let Some(number) = spec[field].as_i64().filter(|number| *number < least) {
            let detail = format!("must be {relation}");
            errors.push(FieldError::invalid(format!("spec.{field}"), number, detail));
        }
    }
}

fn event(object: &Value, errors: &mut Vec<FieldError>) {
    let about = object["involvedObject"]["namespace"]
        .as_str()
        .unwrap_or_default();
    if !about.is_empty() && about != metadata::namespace(object) {
        let detail = "does not match event.namespace";
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            about,
            detail,
        ));
    }
}

/// Whether the values of an object are too large; Kubernetes names a field for it.
fn too_much_data(object: &Value, field: &str) -> Option<Cause> {
    const LIMIT: usize = 1 << 20;
    let values = |field: &str| object[field].as_object().into_iter().flat_map(Map::values);
    let length = |value: &Value| value.as_str().map_or(0, str::len);
    // Bytes are written with four letters for three of them.
    let encoded = |value: &Value| length(value) / 4 * 3;
    let size: usize = if field == "data" {
        values("data").map(encoded).sum()
    } else {
        let binary: usize = values("binaryData").map(encoded).sum();
        values("data").map(length).sum::<usize>() + binary
    };
    (size > LIMIT).then(|| Cause {
        field: field.to_owned(),
        reason: "FieldValueTooLong",
        message: format!("Too long: may not be more than {LIMIT} bytes"),
    })
}

/// No finalizer may be added to an object that is being deleted.
pub(crate) fn new_finalizers(old: &Value, new: &Value) -> Vec<Cause> {
    if !metadata::is_deleting(old) {
        return Vec::new();
    }
    let known = metadata::finalizers(old);
    let added: Vec<&str> = metadata::finalizers(new)
        .into_iter()
        .filter(|f| !known.contains(f))
        .collect();
    if added.is_empty() {
        return Vec::new();
    }
    let list = added
        .iter()
        .map(|f| format!("{f:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers \
         []string{{{list}}}"
    );
    vec![cause(FieldError::forbidden("metadata.finalizers", detail))]
}

/// What is wrong with a DNS subdomain.
pub(crate) fn subdomain(name: &str) -> Option<String> {
    if name.len() > 253 {
        return Some("must be no more than 253 characters".to_owned());
    }
    (!SUBDOMAIN_PATTERN.is_match(name)).then(|| SUBDOMAIN.to_owned())
}

/// What is wrong with a DNS label.
pub(crate) fn label(name: &str) -> Option<String> {
    if name.len() > 63 {
        return Some("must be no more than 63 characters".to_owned());
    }
    let detail = match SUBDOMAIN_PATTERN.is_match(name) {
        true if name.contains('.') => "must not contain dots",
        true => return None,
        false => LABEL,
    };
    Some(detail.to_owned())
}

/// The rules for a map of labels.
pub(crate) fn labels(field: &str, labels: &Value, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        for detail in qualified_name(key) {
            errors.push(FieldError::invalid(field, key, detail));
        }
        match value.as_str() {
            Some(text) => {
                if let Some(detail) = label_value(text) {
                    errors.push(FieldError::invalid(field, text, detail));
                }
            }
            None => errors.push(FieldError::invalid(field, value, "must be a string")),
        }
    }
}

/// What is wrong with a label's value.
pub(crate) fn label_value(text: &str) -> Option<&'static str> {
    if text.len() > 63 {
        return Some("must be no more than 63 bytes");
    }
    (!text.is_empty() && !NAME_PATTERN.is_match(text)).then_some(LABEL_VALUE)
}

/// What is wrong with a name that may have a prefix, such as a label's key.
pub(crate) fn qualified_name(key: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let parts: Vec<&str> = key.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else if let Some(detail) = subdomain(prefix) {
                wrong.push(format!("prefix part {detail}"));
            }
            name
        }
        _ => {
            let rule = LABEL_KEY.replacen("name part", "a valid label key", 1);
            let example =
                "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("{rule} {example}")];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".to_owned());
    }
    if !NAME_PATTERN.is_match(name) {
        wrong.push(LABEL_KEY.to_owned());
    }
    wrong
}

fn data_keys(object: &Value, fields: &[&str], errors: &mut Vec<FieldError>) {
    let binary = object["binaryData"].as_object();
    for key in object["data"].as_object().into_iter().flat_map(Map::keys) {
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            let detail = "duplicate of key present in binaryData";
            errors.push(FieldError::invalid(format!("data[{key}]"), key, detail));
        }
    }
    for field in fields {
        for key in object[field].as_object().into_iter().flat_map(|m| m.keys()) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if key.is_empty() || key.len() > 253 || !key.chars().all(allowed) {
                let detail = "a valid config key must consist of alphanumeric characters, '-', \
                              '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex \
                              used for validation is '[-._a-zA-Z0-9]+')";
                errors.push(FieldError::invalid(format!("{field}[{key}]"), key, detail));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{label, qualified_name, subdomain};
    use crate::resource::PODS;

    #[test]
    fn names_follow_the_rules_of_dns() {
        for name in ["a", "a-b.c", "0"] {
            assert_eq!(subdomain(name), None, "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", "a_b", "a\n"] {
            assert!(subdomain(name).is_some(), "{name:?}");
        }
        assert!(label("a.b").is_some());
        assert!(label(&"a".repeat(64)).is_some());
    }

    #[test]
    fn label_keys_may_have_a_prefix() {
        for key in ["a", "A_b.c", "katib.kubeflow.org/trial"] {
            assert_eq!(qualified_name(key), [""; 0], "{key}");
        }
        for key in ["", "/a", "a/", "a/b/c", "-a", "Up/a"] {
            assert!(!qualified_name(key).is_empty(), "{key:?}");
        }
    }

    #[test]
    fn every_wrong_field_of_metadata_is_named() {
        let object = json!({ "metadata": {
            "name": "A", "labels": { "ok": "-" }, "annotations": { "-": "" },
            "finalizers": ["a b"], "ownerReferences": [{ "kind": "Job" }],
        }});
        let fields: Vec<String> = super::metadata(&PODS, &object)
            .into_iter()
            .map(|c| c.field)
            .collect();
        assert_eq!(
            fields,
            [
                "metadata.name",
                "metadata.labels",
                "metadata.annotations",
                "metadata.ownerReferences.apiVersion",
                "metadata.ownerReferences.name",
                "metadata.ownerReferences.uid",
                "metadata.finalizers",
                "metadata.finalizers[0]",
            ]
        );
    }
}
