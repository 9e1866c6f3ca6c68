//! Paths of the API.

use crate::{
    resource::{Kinds, NAMESPACES, PODS, Resource},
    review::{self, Review, TOKEN_REQUEST},
    status::Status,
};

/// What a path stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Objects of a kind.
    Resource(Target),
    /// The groups, versions and kinds below a path.
    Discovery(String),
    /// The OpenAPI index (empty) or the document of a group's version.
    OpenApi(String),
    /// The OpenAPI document of old.
    OldOpenApi,
    /// What pods and the machine use, below the version of its API.
    Usage(String),
    /// A question about a user.
    Review(ReviewTarget),
    /// The version of the server.
    Version,
    /// Whether the server is well.
    Health,
    /// Nothing, not even for a client of the API.
    Nowhere,
}

/// Objects of a kind: all, those of a namespace, or one of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) resource: &'static Resource,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
    /// Whether the path itself asks for changes, in the way of old.
    pub(super) watch: bool,
}

/// A question about a user, and what it is asked of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReviewTarget {
    pub(super) review: &'static Review,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Target {
    /// The namespace, empty for cluster-wide kinds.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The name, empty for a collection.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// Reads a path.
pub(super) fn parse(kinds: &Kinds, path: &str) -> Result<Route, Status> {
    let trimmed = path.trim_matches('/');
    let parts: Vec<&str> = trimmed.split('/').collect();
    match parts.as_slice() {
        ["version"] => Ok(Route::Version),
        ["healthz" | "livez" | "readyz", ..] => Ok(Route::Health),
        ["openapi", "v2"] => Ok(Route::OldOpenApi),
        ["openapi", "v3", rest @ ..] => Ok(Route::OpenApi(rest.join("/"))),
        ["api" | "apis"] | ["api", "v1"] | ["apis", _] | ["apis", _, _] => {
            Ok(Route::Discovery(trimmed.to_owned()))
        }
        [
            "api",
            "v1",
            "namespaces",
            namespace,
            "serviceaccounts",
            name,
            "token",
        ] => Ok(asked(&TOKEN_REQUEST, namespace, name)),
        ["api", version, rest @ ..] => target(kinds, "", version, rest),
        ["apis", "metrics.k8s.io", "v1beta1", rest @ ..] => Ok(Route::Usage(rest.join("/"))),
        ["apis", group, "v1", rest @ ..] if review::GROUPS.contains(group) => {
            let (namespace, plural) = match rest {
                [plural] => ("", plural),
                ["namespaces", namespace, plural] => (*namespace, plural),
                _ => return Err(Status::no_such_path()),
            };
            let found = review::of(group)
                .find(|r| r.plural == *plural && r.namespaced != namespace.is_empty());
            let found = found.ok_or_else(Status::no_such_path)?;
            Ok(asked(found, namespace, ""))
        }
        ["apis", group, version, rest @ ..] => target(kinds, group, version, rest),
        _ => Ok(Route::Nowhere),
    }
}

/// Whether a path of discovery is about a group of built-in kinds.
pub(super) fn is_builtin(kinds: &Kinds, path: &str) -> bool {
    let group = path.split('/').nth(1).unwrap_or_default();
    let mut rows = kinds.all().iter();
    review::GROUPS.contains(&group) || rows.any(|row| !row.custom && row.group == group)
}

/// What is not there: in the groups of custom kinds no page, elsewhere no resource.
fn missing(kinds: &Kinds, group: &str) -> Result<Route, Status> {
    match kinds.all().iter().find(|r| r.group == group) {
        Some(known) if !known.custom => Err(Status::no_such_path()),
        _ => Ok(Route::Nowhere),
    }
}

fn asked(review: &'static Review, namespace: &str, name: &str) -> Route {
    Route::Review(ReviewTarget {
        review,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

fn target(kinds: &Kinds, group: &str, version: &str, parts: &[&str]) -> Result<Route, Status> {
    let (watch, parts) = match parts {
        ["watch", rest @ ..] => (true, rest),
        parts => (false, parts),
    };
    let (namespace, parts) = match parts {
        ["namespaces", namespace, rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => {
            (Some((*namespace).to_owned()), rest)
        }
        _ => (None, parts),
    };
    let [plural, rest @ ..] = parts else {
        return missing(kinds, group);
    };
    let Some(resource) = kinds.find(group, version, plural) else {
        return missing(kinds, group);
    };
    let (name, subresource) = match rest {
        [] => (None, None),
        [name] => (Some((*name).to_owned()), None),
        [name, sub] if has_subresource(resource, sub) => {
            (Some((*name).to_owned()), Some((*sub).to_owned()))
        }
        [name, _] if resource.custom => return Err(Status::not_found(resource, name)),
        _ => return Err(Status::no_such_path()),
    };
    // A namespaced object is reached only through its namespace, a cluster-wide one never.
    let misplaced = namespace.is_some() && !resource.namespaced
        || namespace.is_none() && resource.namespaced && name.is_some();
    if misplaced {
        return missing(kinds, group);
    }
    Ok(Route::Resource(Target {
        resource,
        namespace,
        name,
        subresource,
        watch,
    }))
}

fn has_subresource(resource: &Resource, name: &str) -> bool {
    match name {
        "status" => resource.status,
        "scale" => resource.scale,
        "log" | "exec" | "attach" | "portforward" | "eviction" => resource == &PODS,
        "finalize" => resource == &NAMESPACES,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Route, Status};
    use crate::{custom, resource::Kinds};

    fn parse(path: &str) -> Result<Route, Status> {
        let definitions: Vec<_> = custom::seeds().into_iter().map(Arc::new).collect();
        super::parse(&Kinds::new(&definitions, None), path)
    }

    #[track_caller]
    fn check(
        path: &str,
        kind: &str,
        namespace: Option<&str>,
        name: Option<&str>,
        sub: Option<&str>,
    ) {
        let Ok(Route::Resource(target)) = parse(path) else {
            panic!("{path} is not a resource")
        };
        assert_eq!(
            (
                target.resource.kind,
                target.namespace.as_deref(),
                target.name.as_deref()
            ),
            (kind, namespace, name)
        );
        assert_eq!(target.subresource.as_deref(), sub);
    }

    #[test]
    fn paths_lead_to_kinds() {
        check("/api/v1/pods", "Pod", None, None, None);
        check("/api/v1/namespaces/n/pods", "Pod", Some("n"), None, None);
        check(
            "/api/v1/namespaces/n/pods/p/log",
            "Pod",
            Some("n"),
            Some("p"),
            Some("log"),
        );
        check("/api/v1/namespaces", "Namespace", None, None, None);
        check("/api/v1/namespaces/n", "Namespace", None, Some("n"), None);
        check(
            "/api/v1/namespaces/n/finalize",
            "Namespace",
            None,
            Some("n"),
            Some("finalize"),
        );
        check(
            "/apis/kubeflow.org/v1beta1/namespaces/n/trials/t/status",
            "Trial",
            Some("n"),
            Some("t"),
            Some("status"),
        );
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in [
            "/api/v1/pods/p",
            "/api/v1/foos",
            "/api/v1/namespaces/n/nodes/x",
            "/api/v1/namespaces/n/configmaps/c/status",
        ] {
            assert_eq!(parse(path).unwrap_err().code, 404, "{path}");
        }
        for path in [
            "/apis/kubeflow.org/v1/namespaces/n/trials",
            "/apis/other.org/v1/things",
            "/foo",
            "/",
        ] {
            assert_eq!(parse(path), Ok(Route::Nowhere), "{path}");
        }
    }
}
