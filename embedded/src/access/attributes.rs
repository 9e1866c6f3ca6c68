//! What a request is about, read from its method and path alone: a kind need not exist for the
//! question whether a user may touch it.

use http::Method;

use crate::resource::Resource;

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// The verb, such as `list`.
    pub(crate) verb: String,
    /// What is to be read or written.
    pub(crate) subject: Subject,
}

/// What is to be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Objects of a kind.
    Objects {
        /// The API group; empty for the core group.
        group: String,
        /// The plural.
        resource: String,
        /// The part of the object, empty for the whole.
        subresource: String,
        /// The namespace; empty for cluster-wide kinds and for all namespaces.
        namespace: String,
        /// The name; empty for a collection.
        name: String,
    },
    /// Another path.
    Path(String),
}

impl Default for Subject {
    fn default() -> Self {
        Self::Path(String::new())
    }
}

/// Verbs that stand in paths.
const IN_PATHS: [&str; 2] = ["proxy", "watch"];
/// Parts of a namespace, as opposed to kinds in it.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

impl Attributes {
    /// Something done to an object of a kind.
    pub(super) fn of_object(verb: &str, resource: &Resource, namespace: &str, name: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            subject: Subject::Objects {
                group: resource.group.to_owned(),
                resource: resource.plural.to_owned(),
                subresource: String::new(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        }
    }

    /// Reads a request. `parameter` gives the parameters of the query.
    pub(crate) fn read<'a>(
        method: &Method,
        path: &str,
        parameter: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", (version, rest)),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, (version, rest)),
            _ => {
                return Self {
                    verb: method.as_str().to_ascii_lowercase(),
                    subject: Subject::Path(path.to_owned()),
                };
            }
        };
        let mut rest = rest.1;
        let mut verb = verb(method);
        if let [word, after @ ..] = rest
            && IN_PATHS.contains(word)
            && !after.is_empty()
        {
            (verb, rest) = (word, after);
        }
        let mut namespace = "";
        if let ["namespaces", name, after @ ..] = rest {
            namespace = name;
            if after
                .first()
                .is_some_and(|part| !OF_NAMESPACES.contains(part))
            {
                rest = after;
            }
        }
        let part = |index: usize| rest.get(index).copied().unwrap_or_default();
        let mut name = part(1);
        if name.is_empty() && verb == "get" {
            let watches = matches!(parameter("watch"), Some("true" | "1" | "True"));
            verb = if watches { "watch" } else { "list" };
            name = parameter("fieldSelector")
                .and_then(selected_name)
                .unwrap_or_default();
        }
        if name.is_empty() && verb == "delete" {
            verb = "deletecollection";
        }
        let subresource = if IN_PATHS.contains(&verb) {
            ""
        } else {
            part(2)
        };
        Self {
            verb: verb.to_owned(),
            subject: Subject::Objects {
                group: group.to_owned(),
                resource: part(0).to_owned(),
                subresource: subresource.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        }
    }
}

fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

/// The name that a field selector asks for, if it asks for one.
fn selected_name(selector: &str) -> Option<&str> {
    let terms = selector.split(',');
    terms
        .filter(|term| !term.contains("!="))
        .filter_map(|term| term.split_once('='))
        .find(|(field, _)| *field == "metadata.name")
        .map(|(_, value)| value.trim_start_matches('='))
        .filter(|name| !name.is_empty() && !name.contains(['/', '%', '\\']))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{Attributes, Subject};

    #[track_caller]
    fn check(request: &str, verb: &str, expected: [&str; 5]) {
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|p| p.split_once('=')).collect();
        let parameter = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|p| p.1);
        let method: Method = method.parse().unwrap();
        let read = Attributes::read(&method, path, parameter);
        let [group, resource, subresource, namespace, name] = expected.map(str::to_owned);
        let subject = Subject::Objects {
            group,
            resource,
            subresource,
            namespace,
            name,
        };
        assert_eq!(
            (read.verb.as_str(), read.subject),
            (verb, subject),
            "{request}"
        );
    }

    #[test]
    fn requests_for_objects() {
        check("GET /api/v1/pods", "list", ["", "pods", "", "", ""]);
        check("HEAD /api/v1/pods", "list", ["", "pods", "", "", ""]);
        check(
            "GET /api/v1/pods?watch=1",
            "watch",
            ["", "pods", "", "", ""],
        );
        check("GET /api/v1/watch/pods", "watch", ["", "pods", "", "", ""]);
        check(
            "GET /api/v1/namespaces/n/pods?fieldSelector=metadata.name=p",
            "list",
            ["", "pods", "", "n", "p"],
        );
        check(
            "DELETE /apis/batch/v1/namespaces/n/jobs",
            "deletecollection",
            ["batch", "jobs", "", "n", ""],
        );
        check(
            "GET /api/v1/namespaces/n/pods/p/log",
            "get",
            ["", "pods", "log", "n", "p"],
        );
        check(
            "PUT /api/v1/namespaces/n",
            "update",
            ["", "namespaces", "", "n", "n"],
        );
        check(
            "PUT /api/v1/namespaces/n/finalize",
            "update",
            ["", "namespaces", "finalize", "n", "n"],
        );
        check(
            "POST /apis/a.io/v1/anything/x/y",
            "create",
            ["a.io", "anything", "y", "", "x"],
        );
    }

    #[test]
    fn other_paths_are_asked_for_as_they_are() {
        for path in [
            "/",
            "/api",
            "/api/v1",
            "/apis/batch/v1",
            "/healthz",
            "/api/v1/",
        ] {
            let read = Attributes::read(&Method::GET, path, |_| None);
            let expected = Attributes {
                verb: "get".to_owned(),
                subject: Subject::Path(path.to_owned()),
            };
            assert_eq!(read, expected);
        }
    }
}
