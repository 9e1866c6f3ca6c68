//! Whether a user may do something: the roles that are bound to them, and nothing else.

use serde_json::{Value, json};

use super::{
    Attributes, Rule, Subject,
    user::{User, account_name},
};
use crate::{
    api::Api,
    resource::{CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Resource},
    status::Status,
    store::State,
};

/// Whether something may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it may.
    pub(crate) allowed: bool,
    /// Why; empty when there is nothing to say.
    pub(crate) reason: String,
}

/// The rules that hold for a user.
#[derive(Default)]
pub(crate) struct Grants {
    /// Each rule, and how the user comes by it.
    pub(crate) rules: Vec<(Rule, String)>,
    /// Bindings that name roles that are not there.
    pub(crate) errors: Vec<String>,
}

impl Grants {
    /// What holds for a user in the whole cluster, and in a namespace unless it is empty.
    pub(crate) fn of(api: &Api, user: &User, namespace: &str) -> Self {
        let mut grants = Self::default();
        api.store().read(|state| {
            for binding in state.list(CLUSTER_ROLE_BINDINGS.storage, None) {
                let origin = format!("ClusterRoleBinding {:?}", binding.key.name);
                grants.add(state, user, "", &binding.value(), &origin);
            }
            if namespace.is_empty() {
                return;
            }
            for binding in state.list(ROLE_BINDINGS.storage, Some(namespace)) {
                let name = format!("{}/{namespace}", binding.key.name);
                let origin = format!("RoleBinding {name:?}");
                grants.add(state, user, namespace, &binding.value(), &origin);
            }
        });
        grants
    }

    fn add(&mut self, state: &State, user: &User, namespace: &str, binding: &Value, origin: &str) {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        let mut matching = subjects.filter_map(|subject| matched(subject, user, namespace));
        let Some(subject) = matching.next() else {
            return;
        };
        let reference = &binding["roleRef"];
        let kind = reference["kind"].as_str().unwrap_or_default();
        let name = reference["name"].as_str().unwrap_or_default();
        let Some(rules) = role_rules(state, reference, namespace) else {
            let kind = kind.to_lowercase();
            let error = format!("{kind}.rbac.authorization.k8s.io {name:?} not found");
            self.errors.push(error);
            return;
        };
        let why = format!("RBAC: allowed by {origin} of {kind} {name:?} to {subject}");
        self.rules
            .extend(rules.into_iter().map(|rule| (rule, why.clone())));
    }

    fn decide(&self, asked: &Attributes) -> Verdict {
        if let Some((_, why)) = self.rules.iter().find(|(rule, _)| rule.allows(asked)) {
            return Verdict {
                allowed: true,
                reason: why.clone(),
            };
        }
        let reason = match self.errors.as_slice() {
            [] => String::new(),
            [one] => format!("RBAC: {one}"),
            several => format!("RBAC: [{}]", several.join(", ")),
        };
        Verdict {
            allowed: false,
            reason,
        }
    }
}

/// The rules of the role that a binding refers to; `None` when there is no such role.
pub(super) fn role_rules(state: &State, reference: &Value, namespace: &str) -> Option<Vec<Rule>> {
    let name = reference["name"].as_str()?;
    let role = if reference["kind"] == "ClusterRole" {
        state.get(CLUSTER_ROLES.storage, "", name)
    } else {
        state.get(ROLES.storage, namespace, name)
    };
    Some(Rule::all(&role?.value()))
}

/// How a subject of a binding is called when it is the user or one of their groups.
fn matched(subject: &Value, user: &User, namespace: &str) -> Option<String> {
    let name = subject["name"].as_str()?;
    match subject["kind"].as_str()? {
        "User" if name == user.name => Some(format!("User {name:?}")),
        "Group" if user.groups.iter().any(|group| group == name) => Some(format!("Group {name:?}")),
        "ServiceAccount" => {
            let own = subject["namespace"].as_str().filter(|own| !own.is_empty());
            let namespace = own.unwrap_or(namespace);
            let found = !namespace.is_empty() && user.name == account_name(namespace, name);
            found.then(|| {
                let text = format!("{name}/{namespace}");
                format!("ServiceAccount {text:?}")
            })
        }
        _ => None,
    }
}

/// Whether a user may do something.
pub(crate) fn decide(api: &Api, user: &User, asked: &Attributes) -> Verdict {
    if user.is_master() {
        return Verdict {
            allowed: true,
            reason: String::new(),
        };
    }
    let namespace = match &asked.subject {
        Subject::Objects { namespace, .. } => namespace.as_str(),
        Subject::Path(_) => "",
    };
    Grants::of(api, user, namespace).decide(asked)
}

/// Refuses what a user may not do.
pub(crate) fn authorize(api: &Api, user: &User, asked: &Attributes) -> Result<(), Status> {
    let verdict = decide(api, user, asked);
    if verdict.allowed {
        return Ok(());
    }
    Err(refusal(user, asked, &verdict.reason))
}

/// Refuses another verb about an object of a kind.
pub(crate) fn require(
    api: &Api,
    user: &User,
    verb: &str,
    resource: &Resource,
    namespace: &str,
    name: &str,
) -> Result<(), Status> {
    let asked = Attributes::of_object(verb, resource, namespace, name);
    authorize(api, user, &asked)
}

/// The text that says who may not do what.
pub(super) fn refusal(user: &User, asked: &Attributes, reason: &str) -> Status {
    let (user, verb) = (&user.name, &asked.verb);
    let (mut message, details) = match &asked.subject {
        Subject::Path(path) => (
            format!("forbidden: User {user:?} cannot {verb} path {path:?}"),
            json!({}),
        ),
        Subject::Objects {
            group,
            resource,
            subresource,
            namespace,
            name,
        } => {
            let part = if subresource.is_empty() {
                resource.clone()
            } else {
                format!("{resource}/{subresource}")
            };
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            let mut about = resource.clone();
            let mut details = json!({});
            if !name.is_empty() {
                details["name"] = json!(name);
            }
            if !group.is_empty() {
                about = format!("{about}.{group}");
                details["group"] = json!(group);
            }
            details["kind"] = json!(resource);
            if !name.is_empty() {
                about = format!("{about} {name:?}");
            }
            let text = format!(
                "{about} is forbidden: User {user:?} cannot {verb} resource {part:?} in API group \
                 {group:?} {place}"
            );
            (text, details)
        }
    };
    if !reason.is_empty() {
        message = format!("{message}: {reason}");
    }
    let mut status = Status::new(403, "Forbidden", message);
    status.details = Some(Box::new(details));
    status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{User, matched};

    #[test]
    fn a_binding_is_for_users_groups_and_accounts() {
        let user = User::service_account("a", "robot", "");
        for (subject, expected) in [
            (json!({ "kind": "User", "name": "robot" }), None),
            (
                json!({ "kind": "User", "name": "system:serviceaccount:a:robot" }),
                Some("User \"system:serviceaccount:a:robot\""),
            ),
            (
                json!({ "kind": "Group", "name": "system:serviceaccounts:a" }),
                Some("Group \"system:serviceaccounts:a\""),
            ),
            (
                json!({ "kind": "ServiceAccount", "name": "robot", "namespace": "a" }),
                Some("ServiceAccount \"robot/a\""),
            ),
            (
                json!({ "kind": "ServiceAccount", "name": "robot", "namespace": "b" }),
                None,
            ),
            (json!({ "kind": "ServiceAccount", "name": "robot" }), None),
        ] {
            assert_eq!(
                matched(&subject, &user, "").as_deref(),
                expected,
                "{subject}"
            );
        }
    }
}
