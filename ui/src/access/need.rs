//! What each route asks of the caller.

use std::fmt;

use axum::http::Method;
use diwan_api::GROUP;

/// What a user wants to do, in the words of Kubernetes' roles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// Such as `get`.
    pub verb: &'static str,
    /// The API group; empty for the core's.
    pub group: &'static str,
    /// Such as `experiments`.
    pub resource: &'static str,
    /// Such as `log`; empty when the object itself is meant.
    pub subresource: &'static str,
    /// The namespace; all of them when empty.
    pub namespace: String,
    /// The object's name; any when empty.
    pub name: String,
}

impl Action {
    /// To see which experiments there are.
    pub(crate) fn list_experiments(namespace: &str) -> Self {
        LIST_EXPERIMENTS.of(namespace, "")
    }

    /// To see an experiment.
    pub(crate) fn get_experiment(namespace: &str, name: &str) -> Self {
        GET_EXPERIMENT.of(namespace, name)
    }

    /// To see which trials there are.
    pub(crate) fn list_trials(namespace: &str) -> Self {
        LIST_TRIALS.of(namespace, "")
    }

    /// To make an experiment.
    pub(crate) fn create_experiment(namespace: &str, name: &str) -> Self {
        CREATE_EXPERIMENT.of(namespace, name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        match self.namespace.as_str() {
            "" => f.write_str(" in all namespaces"),
            namespace => write!(f, " in namespace {namespace}"),
        }
    }
}

/// An [`Action`] on whatever a request names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    /// Whether the object that the request names is meant.
    named: bool,
}

impl Need {
    const fn of_group(verb: &'static str, resource: &'static str, named: bool) -> Self {
        Self {
            verb,
            group: GROUP,
            resource,
            subresource: "",
            named,
        }
    }

    const fn of_core(
        verb: &'static str,
        resource: &'static str,
        subresource: &'static str,
    ) -> Self {
        Self {
            verb,
            group: "",
            resource,
            subresource,
            named: false,
        }
    }

    /// The action on an object of a namespace.
    pub(super) fn of(self, namespace: &str, name: &str) -> Action {
        Action {
            verb: self.verb,
            group: self.group,
            resource: self.resource,
            subresource: self.subresource,
            namespace: namespace.to_owned(),
            name: if self.named { name } else { "" }.to_owned(),
        }
    }
}

const LIST_EXPERIMENTS: Need = Need::of_group("list", "experiments", false);
const CREATE_EXPERIMENT: Need = Need::of_group("create", "experiments", true);
const GET_EXPERIMENT: Need = Need::of_group("get", "experiments", true);
const DELETE_EXPERIMENT: Need = Need::of_group("delete", "experiments", true);
const PATCH_EXPERIMENT: Need = Need::of_group("patch", "experiments", true);
const GET_TRIAL: Need = Need::of_group("get", "trials", true);
const LIST_TRIALS: Need = Need::of_group("list", "trials", false);
const LIST_EVENTS: Need = Need::of_core("list", "events", "");
/// Of any pod: which one it is, only the trial tells.
const GET_LOG: Need = Need::of_core("get", "pods", "log");

/// The routes. One that names no object in its address asks the caller itself: its list here is
/// empty. One that is not here is open to nobody.
const ROUTES: &[(&str, &str, &[Need])] = &[
    ("GET", "/namespaces", &[]),
    ("GET", "/experiments", &[]),
    ("POST", "/experiments", &[]),
    ("GET", "/events", &[]),
    (
        "GET",
        "/namespaces/{namespace}/experiments/{name}",
        &[GET_EXPERIMENT],
    ),
    (
        "DELETE",
        "/namespaces/{namespace}/experiments/{name}",
        &[DELETE_EXPERIMENT],
    ),
    (
        "PATCH",
        "/namespaces/{namespace}/experiments/{name}/budget",
        &[PATCH_EXPERIMENT],
    ),
    (
        "GET",
        "/namespaces/{namespace}/experiments/{name}/trials",
        &[LIST_TRIALS],
    ),
    (
        "GET",
        "/namespaces/{namespace}/experiments/{name}/curve",
        &[GET_EXPERIMENT, LIST_TRIALS],
    ),
    (
        "GET",
        "/namespaces/{namespace}/experiments/{name}/metrics",
        &[GET_EXPERIMENT, LIST_TRIALS],
    ),
    (
        "GET",
        "/namespaces/{namespace}/experiments/{name}/events",
        &[GET_EXPERIMENT, LIST_EVENTS],
    ),
    ("GET", "/namespaces/{namespace}/trials/{name}", &[GET_TRIAL]),
    (
        "GET",
        "/namespaces/{namespace}/trials/{name}/metrics",
        &[GET_TRIAL],
    ),
    (
        "GET",
        "/namespaces/{namespace}/trials/{name}/events",
        &[GET_TRIAL, LIST_EVENTS],
    ),
    (
        "GET",
        "/namespaces/{namespace}/trials/{name}/log",
        &[GET_TRIAL, GET_LOG],
    ),
];

/// What a route asks of the caller before it is reached; `None` when it is open to nobody.
pub(super) fn needs(method: &Method, path: &str) -> Option<&'static [Need]> {
    let method = match method.as_str() {
        "HEAD" => "GET",
        other => other,
    };
    let mut routes = ROUTES.iter();
    let found = routes.find(|route| (route.0, route.1) == (method, path))?;
    Some(found.2)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_holds_the_routes_that_there_are() {
        let paths = crate::openapi().paths.paths;
        let mut expected = BTreeSet::new();
        for (path, item) in &paths {
            let path = path.strip_prefix(crate::API_BASE).unwrap();
            for (method, operation) in [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PATCH", &item.patch),
                ("PUT", &item.put),
                ("DELETE", &item.delete),
            ] {
                if operation.is_some() {
                    expected.insert((method, path));
                }
            }
        }
        let table: BTreeSet<_> = ROUTES.iter().map(|route| (route.0, route.1)).collect();
        assert_eq!(table, expected);
        assert_eq!(table.len(), ROUTES.len());
    }

    #[test]
    fn a_route_with_a_namespace_in_its_address_needs_something() {
        for (method, path, needs) in ROUTES {
            assert_eq!(
                path.contains("{namespace}"),
                !needs.is_empty(),
                "{method} {path}"
            );
        }
        assert!(needs(&Method::PUT, "/experiments").is_none());
        assert!(needs(&Method::HEAD, "/experiments").is_some());
    }

    #[test]
    fn an_action_reads_as_a_sentence() {
        let action = GET_LOG.of("team", "tune-a");
        assert_eq!(action.to_string(), "get pods/log in namespace team");
        assert_eq!(action.name, "");
        let action = Action::list_experiments("");
        assert_eq!(action.to_string(), "list experiments in all namespaces");
    }
}
