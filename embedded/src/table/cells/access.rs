//! Cells of what says who may do what, and how much of it.

use serde_json::{Value, json};

use super::{items, text};

/// Of a binding of a role.
pub(super) fn binding(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let role = &object["roleRef"];
    let subjects = |kind: &str| {
        let all = items(&object["subjects"]).iter();
        let named = all.filter(|subject| subject["kind"] == kind);
        let names: Vec<String> = named.map(subject).collect();
        names.join(", ")
    };
    vec![
        json!(name),
        json!(format!("{}/{}", text(&role["kind"]), text(&role["name"]))),
        json!(age),
        json!(subjects("User")),
        json!(subjects("Group")),
        json!(subjects("ServiceAccount")),
    ]
}

fn subject(subject: &Value) -> String {
    let name = text(&subject["name"]);
    match text(&subject["namespace"]) {
        namespace if subject["kind"] == "ServiceAccount" => format!("{namespace}/{name}"),
        _ => name.to_owned(),
    }
}

/// Of a priority class.
pub(super) fn priority_class(object: &Value, name: &str, age: &str) -> Vec<Value> {
    vec![
        json!(name),
        json!(object["value"].as_i64().unwrap_or(0)),
        json!(object["globalDefault"] == true),
        json!(age),
        json!(text(&object["preemptionPolicy"])),
    ]
}

/// Of a quota: how much is used of what may be.
pub(super) fn quota(object: &Value, name: &str, age: &str) -> Vec<Value> {
    let status = &object["status"];
    let hard = status["hard"].as_object().into_iter().flatten();
    let shown = hard.map(|(what, most)| {
        let used = status["used"][what].as_str().unwrap_or("0");
        let shown = format!("{what}: {used}/{}", text(most));
        (what.starts_with("limits."), shown)
    });
    let (limits, requests): (Vec<_>, Vec<_>) = shown.partition(|(limits, _)| *limits);
    let list = |shown: Vec<(bool, String)>| {
        let parts: Vec<String> = shown.into_iter().map(|(_, shown)| shown).collect();
        json!(parts.join(", "))
    };
    vec![json!(name), list(requests), list(limits), json!(age)]
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::{binding, quota};

    #[test]
    fn a_binding_names_whom_it_binds() {
        let object = json!({
            "roleRef": { "kind": "Role", "name": "reader" },
            "subjects": [
                { "kind": "User", "name": "alice" },
                { "kind": "ServiceAccount", "name": "robot", "namespace": "shop" },
                { "kind": "User", "name": "bob" },
            ],
        });
        assert_eq!(
            json!(binding(&object, "a", "1s")),
            json!(["a", "Role/reader", "1s", "alice, bob", "", "shop/robot"])
        );
    }

    #[test]
    fn a_quota_shows_requests_and_limits_apart() {
        let object = json!({ "status": {
            "hard": { "limits.cpu": "1", "pods": "2", "secrets": "3" },
            "used": { "limits.cpu": "500m", "pods": "1" },
        }});
        assert_eq!(
            json!(quota(&object, "q", "1s")),
            json!(["q", "pods: 1/2, secrets: 0/3", "limits.cpu: 500m/1", "1s"])
        );
    }
}
