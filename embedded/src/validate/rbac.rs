//! The rules for roles and their bindings, and for priority classes.

use serde_json::{Value, json};

use crate::{metadata, resource::Resource, status::Cause};

/// The highest priority of a class that is not the system's.
const HIGHEST: i64 = 1_000_000_000;

/// Names of roles are free, as long as they stand in a path.
pub(super) fn name(name: &str) -> Option<String> {
    match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ if name.contains('/') => Some("may not contain '/'".to_owned()),
        _ if name.contains('%') => Some("may not contain '%'".to_owned()),
        _ => None,
    }
}

fn required(field: String, detail: &str) -> Cause {
    let end = if detail.is_empty() { "" } else { ": " };
    Cause {
        field,
        reason: "FieldValueRequired",
        message: format!("Required value{end}{detail}"),
    }
}

fn invalid(field: &str, value: &Value, detail: &str) -> Cause {
    Cause {
        field: field.to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {detail}"),
    }
}

fn unsupported(field: String, value: &Value, known: &[&str]) -> Cause {
    let known: Vec<String> = known.iter().map(|text| format!("{text:?}")).collect();
    Cause {
        field,
        reason: "FieldValueNotSupported",
        message: format!(
            "Unsupported value: {value}: supported values: {}",
            known.join(", ")
        ),
    }
}

fn forbidden(field: &str, detail: &str) -> Cause {
    Cause {
        field: field.to_owned(),
        reason: "FieldValueForbidden",
        message: format!("Forbidden: {detail}"),
    }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

/// The rules of a Role or ClusterRole.
pub(super) fn role(resource: &Resource, role: &Value, causes: &mut Vec<Cause>) {
    let rules = role["rules"].as_array().into_iter().flatten();
    for (index, rule) in rules.enumerate() {
        let field = |name: &str| format!("rules[{index}].{name}");
        if is_empty(&rule["verbs"]) {
            let detail = "verbs must contain at least one value";
            causes.push(required(field("verbs"), detail));
        }
        if !is_empty(&rule["nonResourceURLs"]) {
            let urls = &rule["nonResourceURLs"];
            let parts = ["apiGroups", "resources", "resourceNames"];
            if resource.namespaced {
                let detail = "namespaced rules cannot apply to non-resource URLs";
                causes.push(invalid(&field("nonResourceURLs"), urls, detail));
            }
            if parts.iter().any(|part| !is_empty(&rule[part])) {
                let detail = "rules cannot apply to both regular resources and non-resource URLs";
                causes.push(invalid(&field("nonResourceURLs"), urls, detail));
            }
            continue;
        }
        for (name, word) in [("apiGroups", "api group"), ("resources", "resource")] {
            if is_empty(&rule[name]) {
                let detail = format!("resource rules must supply at least one {word}");
                causes.push(required(field(name), &detail));
            }
        }
    }
}

/// The rules of a RoleBinding or ClusterRoleBinding.
pub(super) fn binding(resource: &Resource, binding: &Value, causes: &mut Vec<Cause>) {
    let reference = &binding["roleRef"];
    let kinds: &[&str] = if resource.namespaced {
        &["Role", "ClusterRole"]
    } else {
        &["ClusterRole"]
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !kinds.contains(&text(&reference["kind"]).as_str()) {
        let kind = json!(text(&reference["kind"]));
        causes.push(unsupported("roleRef.kind".to_owned(), &kind, kinds));
    }
    if text(&reference["name"]).is_empty() {
        causes.push(required("roleRef.name".to_owned(), ""));
    }
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    for (index, subject) in subjects.enumerate() {
        let field = |name: &str| format!("subjects[{index}].{name}");
        if text(&subject["name"]).is_empty() {
            causes.push(required(field("name"), ""));
        }
        match subject["kind"].as_str() {
            Some("ServiceAccount") => {
                if !resource.namespaced && text(&subject["namespace"]).is_empty() {
                    causes.push(required(field("namespace"), ""));
                }
            }
            Some("User" | "Group") => {}
            _ => {
                let known = ["ServiceAccount", "User", "Group"];
                causes.push(unsupported(field("kind"), &subject["kind"], &known));
            }
        }
    }
}

/// The rules of a PriorityClass.
pub(super) fn priority_class(class: &Value, causes: &mut Vec<Cause>) {
    let name = metadata::name(class);
    let known = crate::access::defaults::priority_classes();
    let known = known.iter().any(|own| metadata::name(own) == name);
    if name.starts_with("system-") {
        if !known {
            let detail = format!(
                "priority class names with 'system-' prefix are reserved for system use only. \
                 error: {name} is not a known system priority class"
            );
            causes.push(forbidden("metadata.name", &detail));
        }
    } else if class["value"].as_i64().is_some_and(|value| value > HIGHEST) {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        causes.push(forbidden("value", &detail));
    }
}

/// What of `old` must not have changed in `new`, and has.
pub(super) fn changed(resource: &Resource, old: &Value, new: &Value) -> Option<Cause> {
    match resource.kind {
        "RoleBinding" | "ClusterRoleBinding" if old["roleRef"] != new["roleRef"] => {
            let part = |name: &str| new["roleRef"][name].as_str().unwrap_or_default().to_owned();
            let (group, kind, name) = (part("apiGroup"), part("kind"), part("name"));
            let message = format!(
                "Invalid value: {{\"APIGroup\":{group:?},\"Kind\":{kind:?},\"Name\":{name:?}}}: \
                 cannot change roleRef"
            );
            Some(Cause {
                field: "roleRef".to_owned(),
                reason: "FieldValueInvalid",
                message,
            })
        }
        "PriorityClass" => ["value", "preemptionPolicy"]
            .into_iter()
            .find(|field| old[field] != new[field])
            .map(|field| forbidden(field, "may not be changed in an update.")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{binding, changed, priority_class, role};
    use crate::{
        resource::{CLUSTER_ROLE_BINDINGS, PRIORITY_CLASSES, ROLE_BINDINGS, ROLES},
        status::Cause,
    };

    #[track_caller]
    fn check(causes: &[Cause], expected: &[&str]) {
        let texts: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        assert_eq!(texts, expected);
    }

    /// Refusals of a kube-apiserver of version 1.36.3.
    #[test]
    fn roles_name_what_they_allow() {
        let mut causes = Vec::new();
        let rules = json!({ "rules": [
            { "verbs": [] },
            { "verbs": ["get"], "nonResourceURLs": ["/x"] },
            { "verbs": ["get"], "resources": ["x"] },
        ] });
        role(&ROLES, &rules, &mut causes);
        check(
            &causes,
            &[
                "rules[0].verbs: Required value: verbs must contain at least one value",
                "rules[0].apiGroups: Required value: resource rules must supply at least one api \
                 group",
                "rules[0].resources: Required value: resource rules must supply at least one \
                 resource",
                "rules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply \
                 to non-resource URLs",
                "rules[2].apiGroups: Required value: resource rules must supply at least one api \
                 group",
            ],
        );
    }

    #[test]
    fn bindings_name_a_role_and_subjects() {
        let mut causes = Vec::new();
        let body = json!({
            "roleRef": { "kind": "Foo", "name": "x" },
            "subjects": [
                { "kind": "ServiceAccount", "name": "y" }, { "kind": "Zoo", "name": "y" },
                { "kind": "User", "name": "" },
            ],
        });
        binding(&ROLE_BINDINGS, &body, &mut causes);
        check(
            &causes,
            &[
                "roleRef.kind: Unsupported value: \"Foo\": supported values: \"Role\", \
                 \"ClusterRole\"",
                "subjects[1].kind: Unsupported value: \"Zoo\": supported values: \
                 \"ServiceAccount\", \"User\", \"Group\"",
                "subjects[2].name: Required value",
            ],
        );
        let mut causes = Vec::new();
        let body: Value = json!({
            "roleRef": { "kind": "ClusterRole", "name": "x" },
            "subjects": [{ "kind": "ServiceAccount", "name": "y" }],
        });
        binding(&CLUSTER_ROLE_BINDINGS, &body, &mut causes);
        check(&causes, &["subjects[0].namespace: Required value"]);
    }

    #[test]
    fn a_binding_keeps_its_role_and_a_class_its_value() {
        let body = |name: &str| {
            json!({ "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name,
            } })
        };
        let cause = changed(&ROLE_BINDINGS, &body("a"), &body("delete"));
        check(
            &[cause.unwrap()],
            &[
                "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\
               \"Kind\":\"Role\",\"Name\":\"delete\"}: cannot change roleRef",
            ],
        );
        let class = |value: i64| json!({ "metadata": { "name": "big" }, "value": value });
        let cause = changed(&PRIORITY_CLASSES, &class(1), &class(2));
        check(
            &[cause.unwrap()],
            &["value: Forbidden: may not be changed in an update."],
        );
        let mut causes = Vec::new();
        priority_class(&class(2_000_000_000), &mut causes);
        check(
            &causes,
            &["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"],
        );
    }
}
