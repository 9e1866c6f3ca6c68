//! Cluster roles that are made of others.

use serde_json::{Value, json};

use crate::metadata;

/// The rules that a role gets from those that it selects, in the order of their names; `None` for
/// a role that is not made of others.
pub(super) fn rules<'a>(
    role: &Value,
    all: impl Iterator<Item = &'a Value> + Clone,
) -> Option<Value> {
    let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array()?;
    let mut rules: Vec<&Value> = Vec::new();
    for selector in selectors {
        let others = all.clone().filter(|other| {
            metadata::name(other) != metadata::name(role) && selects(selector, other)
        });
        for rule in others
            .filter_map(|other| other["rules"].as_array())
            .flatten()
        {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
    }
    Some(if rules.is_empty() {
        Value::Null
    } else {
        json!(rules)
    })
}

/// Brings the rules of all roles up to date; several rounds, as roles may be made of such ones.
/// Returns the names of those that have changed.
pub(crate) fn refresh(roles: &mut [Value]) -> Vec<String> {
    let mut changed: Vec<String> = Vec::new();
    for _ in 0..roles.len() {
        let mut quiet = true;
        for index in 0..roles.len() {
            let Some(new) = rules(&roles[index], roles.iter()) else {
                continue;
            };
            if roles[index]["rules"] != new {
                roles[index]["rules"] = new;
                changed.push(metadata::name(&roles[index]).to_owned());
                quiet = false;
            }
        }
        if quiet {
            break;
        }
    }
    changed.sort();
    changed.dedup();
    changed
}

fn selects(selector: &Value, role: &Value) -> bool {
    let labels = &role["metadata"]["labels"];
    let equal = selector["matchLabels"].as_object();
    let mut equal = equal.into_iter().flatten();
    let terms = selector["matchExpressions"].as_array();
    let mut terms = terms.into_iter().flatten();
    let holds = |term: &Value| {
        let value = &labels[term["key"].as_str().unwrap_or_default()];
        let listed = term["values"]
            .as_array()
            .is_some_and(|list| list.contains(value));
        match term["operator"].as_str() {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => value.is_string(),
            Some("DoesNotExist") => value.is_null(),
            _ => false,
        }
    };
    equal.all(|(key, value)| labels[key] == *value) && terms.all(holds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::refresh;
    use crate::access::defaults;

    #[test]
    fn roles_are_made_of_others_and_of_what_those_are_made_of() {
        let mut roles = defaults::cluster_roles();
        assert_eq!(
            refresh(&mut roles),
            ["admin", "edit", "kubeflow-katib-admin", "view"]
        );
        assert_eq!(refresh(&mut roles), Vec::<String>::new());
        let rules = |name: &str| {
            let role = roles
                .iter()
                .find(|r| r["metadata"]["name"] == name)
                .unwrap();
            role["rules"].as_array().unwrap()
        };
        let is_ours = |rule: &&Value| rule["apiGroups"] == json!(["kubeflow.org"]);
        for name in ["admin", "edit", "view", "kubeflow-katib-admin"] {
            assert!(rules(name).iter().any(|r| is_ours(&r)), "{name}");
        }
        assert!(rules("admin").len() > rules("edit").len());
        assert!(rules("edit").len() > rules("view").len());
    }
}
