//! One rule of a role.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::{Attributes, Subject};

/// One rule of a role: what it names may be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// API groups.
    pub(crate) groups: Vec<String>,
    /// Plurals, with `/subresource` for parts.
    pub(crate) resources: Vec<String>,
    /// Names; none stands for all.
    pub(crate) names: Vec<String>,
    /// Paths of other things than objects.
    pub(crate) paths: Vec<String>,
    /// Verbs.
    pub(crate) verbs: Vec<String>,
}

impl Rule {
    /// The rules of a role.
    pub(crate) fn all(role: &Value) -> Vec<Self> {
        role["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Self::read)
            .collect()
    }

    fn read(rule: &Value) -> Self {
        let texts = |field: &str| {
            let list = rule[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            paths: texts("nonResourceURLs"),
            verbs: texts("verbs"),
        }
    }

    /// Whether the rule lets a request through.
    pub(crate) fn allows(&self, asked: &Attributes) -> bool {
        if !has(&self.verbs, &asked.verb) {
            return false;
        }
        match &asked.subject {
            Subject::Path(path) => self.paths.iter().any(|pattern| matches_path(pattern, path)),
            Subject::Objects {
                group,
                resource,
                subresource,
                name,
                ..
            } => {
                has(&self.groups, group)
                    && self.has_resource(resource, subresource)
                    && (self.names.is_empty() || self.names.contains(name))
            }
        }
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|known| {
            if known == "*" {
                return true;
            }
            match known.split_once('/') {
                None => subresource.is_empty() && known == resource,
                Some(("*", part)) => part == subresource,
                Some((whole, part)) => whole == resource && part == subresource,
            }
        })
    }

    /// The rule in its smallest parts: one verb of one kind or path each.
    pub(crate) fn parts(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let part = |names: Vec<String>| Self {
                        groups: vec![group.clone()],
                        resources: vec![resource.clone()],
                        names,
                        verbs: vec![verb.clone()],
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        parts.push(part(Vec::new()));
                    }
                    parts.extend(self.names.iter().map(|name| part(vec![name.clone()])));
                }
            }
        }
        for path in &self.paths {
            parts.extend(self.verbs.iter().map(|verb| Self {
                paths: vec![path.clone()],
                verbs: vec![verb.clone()],
                ..Self::default()
            }));
        }
        parts
    }

    /// Whether the rule gives all that a smallest part gives.
    pub(crate) fn covers(&self, part: &Self) -> bool {
        let within = |ours: &[String], theirs: &[String]| {
            ours.iter().any(|own| own == "*") || theirs.iter().all(|text| ours.contains(text))
        };
        let names = self.names.is_empty()
            || !part.names.is_empty() && part.names.iter().all(|n| self.names.contains(n));
        let resources = part.resources.iter().all(|resource| {
            let (whole, sub) = resource.split_once('/').unwrap_or((resource, ""));
            self.has_resource(whole, sub)
        });
        let paths = part
            .paths
            .iter()
            .all(|path| self.paths.iter().any(|own| matches_path(own, path)));
        within(&self.verbs, &part.verbs)
            && within(&self.groups, &part.groups)
            && resources
            && names
            && paths
    }

    /// The rule without namespaces and kinds that a part of the API writes: as reviews list it.
    pub(crate) fn resource_rule(&self) -> Option<Value> {
        if self.resources.is_empty() {
            return None;
        }
        let mut rule = json!({
            "verbs": self.verbs, "apiGroups": self.groups, "resources": self.resources,
        });
        if !self.names.is_empty() {
            rule["resourceNames"] = json!(self.names);
        }
        Some(rule)
    }

    /// The rule about paths, as reviews list it.
    pub(crate) fn path_rule(&self) -> Option<Value> {
        let rule = json!({ "verbs": self.verbs, "nonResourceURLs": self.paths });
        (!self.paths.is_empty()).then_some(rule)
    }
}

/// Rules with the verbs of the same kind together, as Kubernetes writes them in refusals.
pub(crate) fn compact(rules: Vec<Rule>) -> Vec<Rule> {
    let mut compacted: Vec<Rule> = Vec::new();
    for rule in rules {
        let plain = rule.names.is_empty() && !rule.resources.is_empty();
        let same = compacted.iter_mut().find(|known| {
            plain
                && known.names.is_empty()
                && known.groups == rule.groups
                && known.resources == rule.resources
        });
        match same {
            Some(known) => known.verbs.extend(rule.verbs),
            None => compacted.push(rule),
        }
    }
    compacted
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|text| text == "*" || text == wanted)
}

fn matches_path(pattern: &str, path: &str) -> bool {
    pattern == "*"
        || pattern == path
        || pattern
            .strip_suffix('*')
            .is_some_and(|prefix| path.starts_with(prefix.trim_end_matches('*')))
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let fields = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.names),
            ("NonResourceURLs", &self.paths),
            ("Verbs", &self.verbs),
        ];
        let filled = fields.iter().filter(|(_, list)| !list.is_empty());
        let texts: Vec<String> = filled
            .map(|(name, list)| format!("{name}:{}", quoted(list)))
            .collect();
        write!(f, "{{{}}}", texts.join(", "))
    }
}

/// A list as Go writes it: `["a" "b"]`.
pub(crate) fn quoted(list: &[String]) -> String {
    let texts: Vec<String> = list.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", texts.join(" "))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::json;

    use super::{Rule, compact};
    use crate::access::Attributes;

    fn rule(groups: &str, resources: &str, names: &str, verbs: &str) -> Rule {
        let list = |text: &str| -> Vec<String> {
            text.split_whitespace()
                .map(|t| t.replace("core", ""))
                .collect()
        };
        Rule {
            groups: list(groups),
            resources: list(resources),
            names: list(names),
            verbs: list(verbs),
            paths: Vec::new(),
        }
    }

    #[track_caller]
    fn check(rule: &Rule, request: &str, allowed: bool) {
        let (method, path) = request.split_once(' ').unwrap();
        let asked = Attributes::read(&method.parse::<Method>().unwrap(), path, |_| None);
        assert_eq!(rule.allows(&asked), allowed, "{rule} {request}");
    }

    #[test]
    fn a_rule_allows_what_it_names_and_nothing_else() {
        let pods = rule("core", "pods pods/log", "", "get list");
        check(&pods, "GET /api/v1/namespaces/n/pods", true);
        check(&pods, "GET /api/v1/namespaces/n/pods/p/log", true);
        check(&pods, "GET /api/v1/namespaces/n/pods/p/status", false);
        check(&pods, "GET /apis/x/v1/namespaces/n/pods", false);
        check(&pods, "POST /api/v1/namespaces/n/pods", false);
        check(&pods, "GET /healthz", false);
        let named = rule("core", "pods", "p", "*");
        check(&named, "DELETE /api/v1/namespaces/n/pods/p", true);
        check(&named, "DELETE /api/v1/namespaces/n/pods/q", false);
        check(&named, "GET /api/v1/namespaces/n/pods", false);
        check(
            &rule("*", "*/scale", "", "*"),
            "GET /apis/a/v1/namespaces/n/b/c/scale",
            true,
        );
        check(
            &rule("*", "*", "", "*"),
            "GET /apis/a/v1/namespaces/n/b/c/scale",
            true,
        );
    }

    #[test]
    fn paths_may_end_with_a_star() {
        let role = json!({ "rules": [{ "nonResourceURLs": ["/api/*"], "verbs": ["get"] }] });
        let rule = &Rule::all(&role)[0];
        check(rule, "GET /api/v1", true);
        check(rule, "GET /api", false);
        check(rule, "GET /apis", false);
        check(rule, "POST /api/v1", false);
    }

    #[test]
    fn nobody_covers_more_than_they_have() {
        let held = rule("core", "pods", "a b", "get");
        assert!(held.covers(&rule("core", "pods", "a", "get")));
        assert!(!held.covers(&rule("core", "pods", "", "get")));
        assert!(!held.covers(&rule("core", "pods", "c", "get")));
        assert!(!held.covers(&rule("core", "pods/log", "a", "get")));
        let all = rule("*", "*", "", "*");
        assert!(all.covers(&rule("apps", "deployments/scale", "x", "patch")));
        assert!(!rule("core", "pods", "", "get").covers(&rule("*", "*", "", "*")));
        assert!(!rule("core", "*/log", "", "get").covers(&rule("core", "*", "", "get")));
        let paths = Rule {
            paths: vec!["/api/*".to_owned()],
            verbs: vec!["get".to_owned()],
            ..Rule::default()
        };
        assert!(paths.covers(&Rule {
            paths: vec!["/api/v1".to_owned()],
            ..paths.clone()
        }));
        assert!(!paths.covers(&Rule {
            paths: vec!["/*".to_owned()],
            ..paths.clone()
        }));
    }

    #[test]
    fn refusals_name_parts_with_their_verbs_together() {
        let parts = rule("core", "pods secrets", "", "get list").parts();
        let texts: Vec<String> = compact(parts).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
                r#"{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}"#,
            ]
        );
    }
}
