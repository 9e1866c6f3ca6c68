//! Nobody gives away more than they have.

use serde_json::Value;

use super::{
    Attributes, Grants, Rule, User,
    authorization::{decide, role_rules},
    rule::{compact, quoted},
};
use crate::{
    api::Api,
    metadata,
    resource::{CLUSTER_ROLES, ROLES, Resource},
    status::Status,
};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Refuses a role with more rights than its author has, and a binding to such a role.
pub(crate) fn check(
    api: &Api,
    user: &User,
    resource: &'static Resource,
    namespace: &str,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if resource.group != GROUP || user.is_master() || old.is_some_and(|old| same(old, new)) {
        return Ok(());
    }
    let name = metadata::name(new);
    let may = |verb: &str, resource: &Resource, name: &str| {
        let asked = Attributes::of_object(verb, resource, namespace, name);
        decide(api, user, &asked).allowed
    };
    let wanted = if resource.kind.ends_with("Binding") {
        let reference = &new["roleRef"];
        let role = if reference["kind"] == "ClusterRole" {
            &CLUSTER_ROLES
        } else {
            &ROLES
        };
        let role_name = reference["name"].as_str().unwrap_or_default();
        if may("bind", role, role_name) {
            return Ok(());
        }
        let rules = api
            .store()
            .read(|state| role_rules(state, reference, namespace));
        rules.ok_or_else(|| Status::not_found(resource, role_name))?
    } else {
        if may("escalate", resource, name) {
            return Ok(());
        }
        if new["aggregationRule"].is_object() {
            vec![everything(), everywhere()]
        } else {
            Rule::all(new)
        }
    };
    let missing = missing(&Grants::of(api, user, namespace), &wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let mut texts: Vec<String> = compact(missing).iter().map(ToString::to_string).collect();
    texts.sort();
    let why = format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        quoted(&user.groups),
        texts.join("\n")
    );
    Err(Status::forbidden(resource, name, &why))
}

/// The smallest parts of rules that no rule of the user covers.
fn missing(grants: &Grants, wanted: &[Rule]) -> Vec<Rule> {
    let parts = wanted.iter().flat_map(Rule::parts);
    let covered = |part: &Rule| grants.rules.iter().any(|(rule, _)| rule.covers(part));
    parts.filter(|part| !covered(part)).collect()
}

/// Whether only what the garbage collector may change has changed.
fn same(old: &Value, new: &Value) -> bool {
    let plain = |object: &Value| {
        let mut object = object.clone();
        for field in [
            "ownerReferences",
            "finalizers",
            "managedFields",
            "resourceVersion",
        ] {
            metadata::unset(&mut object, field);
        }
        object
    };
    plain(old) == plain(new)
}

/// What a role may come to hold that is made of others.
fn everything() -> Rule {
    let all = || vec!["*".to_owned()];
    Rule {
        groups: all(),
        resources: all(),
        verbs: all(),
        ..Rule::default()
    }
}

fn everywhere() -> Rule {
    let all = || vec!["*".to_owned()];
    Rule {
        paths: all(),
        verbs: all(),
        ..Rule::default()
    }
}
