//! The priority of pods, by the name of a class.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::metadata;

/// The class that a pod names, empty when it names none.
pub(super) fn class_name(pod: &Value) -> &str {
    pod["spec"]["priorityClassName"]
        .as_str()
        .unwrap_or_default()
}

/// The class of pods that name none: the lowest of those that are meant for it.
pub(super) fn default_class(classes: &[Arc<Value>]) -> Option<Arc<Value>> {
    let meant = classes
        .iter()
        .filter(|class| class["globalDefault"] == true);
    meant
        .min_by_key(|class| class["value"].as_i64().unwrap_or(0))
        .cloned()
}

/// Writes the priority of its class into a pod.
pub(super) fn set(pod: &mut Value, class: Option<&Value>) -> Result<(), String> {
    let value = class.map_or(0, |class| class["value"].as_i64().unwrap_or(0));
    let policy = class.and_then(|class| class["preemptionPolicy"].as_str());
    let policy = policy.unwrap_or("PreemptLowerPriority");
    let spec = &mut pod["spec"];
    if let Some(sent) = spec["priority"].as_i64().filter(|sent| *sent != value) {
        return Err(format!(
            "the integer value of priority ({sent}) must not be provided in pod spec; priority \
             admission controller computed {value} from the given PriorityClass name"
        ));
    }
    if let Some(sent) = spec["preemptionPolicy"]
        .as_str()
        .filter(|sent| *sent != policy)
    {
        return Err(format!(
            "the string value of PreemptionPolicy ({sent}) must not be provided in pod spec; \
             priority admission controller computed {policy} from the given PriorityClass name"
        ));
    }
    if let Some(class) = class {
        spec["priorityClassName"] = json!(metadata::name(class));
    }
    spec["priority"] = json!(value);
    spec["preemptionPolicy"] = json!(policy);
    Ok(())
}

/// At most one class is for pods that name none.
pub(super) fn check_class(classes: &[Arc<Value>], class: &Value) -> Result<(), String> {
    if class["globalDefault"] != true {
        return Ok(());
    }
    let mut others = classes
        .iter()
        .filter(|other| metadata::name(other) != metadata::name(class));
    match others.find(|other| other["globalDefault"] == true) {
        None => Ok(()),
        Some(other) => Err(format!(
            "PriorityClass {} is already marked as default. Only one default can exist",
            metadata::name(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{check_class, default_class, set};

    #[test]
    fn a_pod_gets_the_priority_of_its_class() {
        let class = json!({
            "metadata": { "name": "high" }, "value": 7, "preemptionPolicy": "Never",
        });
        let mut pod = json!({ "spec": {} });
        set(&mut pod, Some(&class)).unwrap();
        let wanted =
            json!({ "priority": 7, "priorityClassName": "high", "preemptionPolicy": "Never" });
        assert_eq!(pod["spec"], wanted);
        let why = set(&mut json!({ "spec": { "priority": 7 } }), None).unwrap_err();
        assert!(
            why.starts_with("the integer value of priority (7) must not"),
            "{why}"
        );
    }

    #[test]
    fn one_class_is_for_pods_that_name_none() {
        let class = |name: &str, default: bool| {
            Arc::new(json!({ "metadata": { "name": name }, "globalDefault": default, "value": 1 }))
        };
        let classes = [class("a", false), class("b", true)];
        assert_eq!(default_class(&classes), Some(classes[1].clone()));
        assert!(check_class(&classes, &class("c", true)).is_err());
        assert!(check_class(&classes, &class("b", true)).is_ok());
        assert!(check_class(&classes, &class("c", false)).is_ok());
    }
}
