//! Custom resource definitions as written objects: their defaults and their rules.

mod columns;
mod conversion;
mod lists;
mod names;
mod selectable;
mod structural;

use serde_json::{Map, Value, json};

use super::problem::{forbidden, invalid, required, unsupported};
use crate::{metadata, status::Cause, validate};

/// Fills in what a client leaves out.
pub(crate) fn default(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let (singular, list_kind) = (kind.to_lowercase(), format!("{kind}List"));
        if !kind.is_empty() {
            set(names, "singular", singular.into());
            set(names, "listKind", list_kind.into());
        }
    }
    if spec.get("conversion").is_none_or(Value::is_null) {
        spec.insert("conversion".to_owned(), json!({ "strategy": "None" }));
    }
    // The default is written out by nobody.
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    let service = spec.get_mut("conversion").and_then(|conversion| {
        conversion
            .pointer_mut("/webhook/clientConfig/service")?
            .as_object_mut()
    });
    if let Some(service) = service {
        set(service, "port", json!(443));
    }
}

fn set(fields: &mut Map<String, Value>, field: &str, value: Value) {
    let old = fields.get(field);
    if old.is_none_or(|old| old.is_null() || old == "") {
        fields.insert(field.to_owned(), value);
    }
}

/// The version in which objects are stored, if there is one.
pub(crate) fn storage_version(definition: &Value) -> Option<&str> {
    let versions = definition["spec"]["versions"].as_array()?;
    let stored = versions.iter().find(|version| version["storage"] == true)?;
    stored["name"].as_str()
}

/// Adds the version in which objects are stored to those that they are stored in.
pub(crate) fn count_stored_version(definition: &mut Value) {
    let Some(version) = storage_version(definition).map(str::to_owned) else {
        return;
    };
    let Some(fields) = definition.as_object_mut() else {
        return;
    };
    let status = fields.entry("status").or_insert_with(|| json!({}));
    if !status.is_object() {
        *status = json!({});
    }
    if !status["storedVersions"].is_array() {
        status["storedVersions"] = json!([]);
    }
    if let Some(stored) = status["storedVersions"].as_array_mut()
        && !stored.contains(&json!(version))
    {
        stored.push(json!(version));
    }
}

/// What clients are warned of.
pub(crate) fn warnings(definition: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (schema, _) in schemas(definition) {
        structural::unknown_formats(schema, &mut found);
    }
    found
}

/// Everything that is wrong with a definition.
pub(crate) fn validate(definition: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
    let name = metadata::name(definition);
    if name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        causes.push(invalid("metadata.name", &json!(name), detail));
    }
    check_group(&group, &mut causes);
    match spec["scope"].as_str().unwrap_or_default() {
        "" => causes.push(required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => causes.push(unsupported(
            "spec.scope",
            &json!(other),
            &["Cluster", "Namespaced"],
        )),
    }
    check_versions(definition, &mut causes);
    check_first_version(definition, &mut causes);
    if spec["preserveUnknownFields"] == true {
        if schemas(definition)
            .iter()
            .any(|(schema, _)| structural::has_defaults(schema))
        {
            let detail = "must be false in order to use defaults in the schema";
            causes.push(invalid("spec.preserveUnknownFields", &json!(true), detail));
        }
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                      spec.versions[*].schema instead";
        causes.push(invalid("spec.preserveUnknownFields", &json!(true), detail));
    }
    names::check(&spec["names"], &mut causes);
    conversion::check(definition, &mut causes);
    check_parts(definition, old, &mut causes);
    check_stored_versions(definition, &mut causes);
    check_approval(definition, &group, &mut causes);
    if let Some(old) = old {
        names::check_fixed(old, definition, &mut causes);
    }
    causes
}

fn check_group(group: &str, causes: &mut Vec<Cause>) {
    if group.is_empty() {
        causes.push(required("spec.group", ""));
    } else if let Some(detail) = validate::subdomain(group) {
        causes.push(invalid("spec.group", &json!(group), &detail));
    } else if !group.contains('.') {
        let detail = "should be a domain with at least one dot";
        causes.push(invalid("spec.group", &json!(group), detail));
    }
}

fn versions(definition: &Value) -> &[Value] {
    definition["spec"]["versions"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn check_versions(definition: &Value, causes: &mut Vec<Cause>) {
    let versions = versions(definition);
    let mut seen = Vec::new();
    let mut twice = false;
    for (i, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{i}]");
        let name = version["name"].as_str().unwrap_or_default();
        twice |= seen.contains(&name);
        seen.push(name);
        if let Some(detail) = names::dns_1035(name) {
            causes.push(invalid(format!("{at}.name"), &json!(name), detail));
        }
        check_deprecation(version, &at, causes);
        if !version["schema"]["openAPIV3Schema"].is_object() {
            causes.push(required(format!("{at}.schema.openAPIV3Schema"), ""));
        }
    }
    if twice {
        let detail = "must contain unique version names";
        causes.push(invalid("spec.versions", &brief(versions), detail));
    }
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(invalid("spec.versions", &brief(versions), detail));
    }
}

/// Kubernetes keeps the name of the first version in a field of its own as well, and looks there too.
fn check_first_version(definition: &Value, causes: &mut Vec<Cause>) {
    let first = versions(definition).first();
    let name = first.and_then(|version| version["name"].as_str());
    if let Some(name) = name
        && let Some(detail) = names::dns_1035(name)
    {
        causes.push(invalid("spec.version", &json!(name), detail));
    }
}

/// Versions by what tells them apart.
fn brief(versions: &[Value]) -> Value {
    let one =
        |v: &Value| json!({ "name": v["name"], "served": v["served"], "storage": v["storage"] });
    versions.iter().map(one).collect()
}

fn check_deprecation(version: &Value, at: &str, causes: &mut Vec<Cause>) {
    let Some(warning) = version["deprecationWarning"].as_str() else {
        return;
    };
    let field = format!("{at}.deprecationWarning");
    let mut refuse = |detail: &str| causes.push(invalid(&field, &json!(warning), detail));
    if version["deprecated"] != true {
        refuse("can only be set for deprecated versions");
    }
    if warning.is_empty() {
        refuse("must not be an empty string");
    }
    if warning.len() > 256 {
        refuse("must be <= 256 characters long");
    }
    if let Some(at) = warning.find(char::is_control) {
        refuse(&format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {at}"
        ));
    }
}

/// The schema of each version with its path. What is the same in all versions stands, for
/// Kubernetes, in the definition as a whole, and is looked at once.
fn schemas(definition: &Value) -> Vec<(&Value, String)> {
    parts(
        definition,
        |version| &version["schema"]["openAPIV3Schema"],
        "spec.validation.openAPIV3Schema",
        "schema.openAPIV3Schema",
    )
}

fn parts<'a>(
    definition: &'a Value,
    of: impl Fn(&'a Value) -> &'a Value,
    common: &str,
    own: &str,
) -> Vec<(&'a Value, String)> {
    let versions = versions(definition);
    let first = versions.first().map(&of);
    if let Some(first) = first
        && versions.iter().all(|version| of(version) == first)
    {
        return vec![(first, common.to_owned())];
    }
    let each = versions.iter().enumerate();
    each.map(|(i, version)| (of(version), format!("spec.versions[{i}].{own}")))
        .collect()
}

fn check_parts(definition: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let known: Vec<&Value> = old
        .map(schemas)
        .into_iter()
        .flatten()
        .map(|(s, _)| s)
        .collect();
    for (schema, at) in schemas(definition) {
        // A schema that was accepted once stays acceptable.
        if schema.is_object() && !known.contains(&schema) {
            structural::check(schema, &at, causes);
        }
    }
    let all = "additionalPrinterColumns";
    for (list, at) in parts(definition, |v| &v[all], &format!("spec.{all}"), all) {
        columns::check(list, &at, causes);
    }
    for (subresources, at) in parts(
        definition,
        |v| &v["subresources"],
        "spec.subresources",
        "subresources",
    ) {
        columns::check_scale(&subresources["scale"], &format!("{at}.scale"), causes);
    }
    for version in parts(definition, |v| v, "spec", "") {
        let at = format!("{}.selectableFields", version.1.trim_end_matches('.'));
        selectable::check(version.0, &at, causes);
    }
}

fn check_stored_versions(definition: &Value, causes: &mut Vec<Cause>) {
    let field = "status.storedVersions";
    let stored = &definition["status"]["storedVersions"];
    let list = stored.as_array().map_or(&[][..], Vec::as_slice);
    if list.is_empty() {
        causes.push(invalid(
            field,
            &Value::Null,
            "must have at least one stored version",
        ));
        return;
    }
    let names: Vec<&Value> = versions(definition).iter().map(|v| &v["name"]).collect();
    for (i, version) in list.iter().enumerate() {
        if !names.contains(&version) {
            let detail = "missing from spec.versions; v1 was previously a storage version, and must remain in \
                          spec.versions until a storage migration ensures no data remains persisted in v1 and \
                          removes v1 from status.storedVersions";
            let detail = detail.replace("v1", version.as_str().unwrap_or_default());
            causes.push(invalid(format!("{field}[{i}]"), version, &detail));
        }
    }
    if let Some(storage) = storage_version(definition)
        && !list.iter().any(|version| version == storage)
    {
        let detail = format!("must have the storage version {storage}");
        causes.push(invalid(field, stored, &detail));
    }
}

/// Groups of Kubernetes' own domains are its own.
fn check_approval(definition: &Value, group: &str, causes: &mut Vec<Cause>) {
    let is_protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group == *domain || group.ends_with(&format!(".{domain}")));
    let annotation = "api-approved.kubernetes.io";
    let approved = definition["metadata"]["annotations"][annotation].as_str();
    if is_protected && approved.is_none_or(str::is_empty) {
        let detail = format!(
            "protected groups must have approval annotation \"{annotation}\", see \
             https://github.com/kubernetes/enhancements/pull/1111"
        );
        causes.push(required(
            format!("metadata.annotations[{annotation}]"),
            &detail,
        ));
    }
}

/// Whether a field is given, and not as null.
fn given(node: &Value, field: &str) -> bool {
    node.get(field).is_some_and(|value| !value.is_null())
}

/// Refuses a field that is given.
fn refuse(node: &Value, field: &str, at: &str, detail: &str, causes: &mut Vec<Cause>) {
    if given(node, field) {
        causes.push(forbidden(format!("{at}.{field}"), detail));
    }
}

#[cfg(test)]
mod tests;
