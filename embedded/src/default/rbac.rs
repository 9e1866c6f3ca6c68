//! Defaults of bindings.

use serde_json::{Value, json};

use super::{child, each, set};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Sets the group of the role and of the subjects.
pub(super) fn apply(binding: &mut Value) {
    let Some(fields) = binding.as_object_mut() else {
        return;
    };
    if let Some(reference) = child(fields, "roleRef") {
        if reference.get("apiGroup").is_some_and(|group| group == "") {
            reference.remove("apiGroup");
        }
        set(reference, "apiGroup", json!(GROUP));
    }
    for subject in each(fields, "subjects") {
        let kind = subject.get("kind").and_then(Value::as_str);
        if matches!(kind, Some("User" | "Group")) {
            set(subject, "apiGroup", json!(GROUP));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn people_are_of_the_group_and_accounts_are_not() {
        let mut binding = json!({
            "roleRef": { "kind": "Role", "name": "x" },
            "subjects": [{ "kind": "User", "name": "y" }, { "kind": "ServiceAccount", "name": "z" }],
        });
        super::apply(&mut binding);
        assert_eq!(binding["roleRef"]["apiGroup"], super::GROUP);
        assert_eq!(binding["subjects"][0]["apiGroup"], super::GROUP);
        assert!(binding["subjects"][1]["apiGroup"].is_null());
    }
}
