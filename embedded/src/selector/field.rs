//! Reading field selectors, with the words of Kubernetes for what is wrong with them.

use super::FieldRequirement;
use crate::resource::Resource;

/// Reads the requirements of a selector.
pub(super) fn parse(resource: &Resource, text: &str) -> Result<Vec<FieldRequirement>, String> {
    terms(text)
        .into_iter()
        .filter(|term| !term.is_empty())
        .map(|term| requirement(resource, term))
        .collect()
}

/// The terms between commas that no backslash escapes.
fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            terms.push(&text[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(&text[start..]);
    terms
}

fn requirement(resource: &Resource, term: &str) -> Result<FieldRequirement, String> {
    let at = term.find(['=', '!']);
    let split = at.and_then(|at| {
        let (path, rest) = term.split_at(at);
        let operators = [("!=", false), ("==", true), ("=", true)];
        operators
            .into_iter()
            .find_map(|(operator, equal)| Some((path, rest.strip_prefix(operator)?, equal)))
    });
    let Some((path, value, equal)) = split else {
        return Err(format!(
            "invalid selector: '{term}'; can't understand '{term}'"
        ));
    };
    let value = unescaped(value)?;
    let known = ["metadata.name", "metadata.namespace"];
    if !known.contains(&path) && !of(resource).contains(&path) {
        return Err(unknown(resource, path));
    }
    // The reason of an events.k8s.io/v1 event is the same field; its object has another name.
    let path = match path.strip_prefix("regarding") {
        Some(rest) => format!("involvedObject{rest}"),
        None if path == "source" => "source.component".to_owned(),
        None => path.to_owned(),
    };
    Ok(FieldRequirement { path, value, equal })
}

fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => plain.push(c),
                other => {
                    let code = other.map_or(0, u32::from);
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: {code}"
                    ));
                }
            },
            '=' => {
                let code = u32::from(c);
                return Err(format!(
                    "invalid field selector: unescaped character in value: {code}"
                ));
            }
            c => plain.push(c),
        }
    }
    Ok(plain)
}

/// A field by which objects of a kind can't be selected.
fn unknown(resource: &Resource, path: &str) -> String {
    match resource.kind {
        "Job" => format!("field label {path:?} not supported for Job"),
        _ if resource.custom || !of(resource).is_empty() => {
            format!("field label not supported: {path}")
        }
        _ => format!(
            "{path:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
    }
}

/// The fields, beside name and namespace, by which objects of a kind can be selected.
fn of(resource: &Resource) -> &'static [&'static str] {
    if resource.custom {
        return resource.selectable;
    }
    match (resource.group, resource.kind) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("batch", "Job") => &["status.successful"],
        ("", "Namespace") => &["status.phase"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Secret") => &["type"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        _ => &[],
    }
}
