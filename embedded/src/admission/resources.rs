//! What the containers of a pod ask for together.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::admission::quantity::Quantity;

/// Amounts by name.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// What a pod requests.
pub(super) fn requests(pod: &Value) -> Amounts {
    total(pod, "requests")
}

/// What limits a pod.
pub(super) fn limits(pod: &Value) -> Amounts {
    total(pod, "limits")
}

/// The sum of the containers that run together; or what an init container asks for beside the
/// sidecars before it, if that is more.
fn total(pod: &Value, field: &str) -> Amounts {
    let containers = |list: &str| pod["spec"][list].as_array().into_iter().flatten();
    let mut sum = Amounts::new();
    for container in containers("containers") {
        add(&mut sum, &container["resources"][field]);
    }
    let (mut most, mut sidecars) = (Amounts::new(), Amounts::new());
    for container in containers("initContainers") {
        let asked = &container["resources"][field];
        let mut meanwhile = sidecars.clone();
        add(&mut meanwhile, asked);
        if container["restartPolicy"] == "Always" {
            add(&mut sidecars, asked);
        }
        raise(&mut most, meanwhile);
    }
    for (name, amount) in sidecars {
        plus(&mut sum, &name, amount);
    }
    raise(&mut sum, most);
    add(&mut sum, &pod["spec"]["overhead"]);
    sum
}

/// Adds an amount of something.
pub(super) fn plus(sum: &mut Amounts, name: &str, amount: Quantity) {
    let entry = sum.entry(name.to_owned()).or_insert(Quantity::ZERO);
    *entry = *entry + amount;
}

fn add(sum: &mut Amounts, list: &Value) {
    for (name, value) in list.as_object().into_iter().flatten() {
        if let Some(amount) = Quantity::read(value) {
            plus(sum, name, amount);
        }
    }
}

fn raise(to: &mut Amounts, from: Amounts) {
    for (name, amount) in from {
        let entry = to.entry(name).or_insert(amount);
        *entry = amount.max(*entry);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::requests;

    #[test]
    fn what_runs_at_the_same_time_counts_together() {
        let container = |cpu: &str, restarts: bool| {
            let mut container = json!({ "resources": { "requests": { "cpu": cpu } } });
            if restarts {
                container["restartPolicy"] = json!("Always");
            }
            container
        };
        let of = |init: &[serde_json::Value]| {
            let main = [container("1", false), container("500m", false)];
            let pod = json!({ "spec": { "containers": main, "initContainers": init } });
            requests(&pod)["cpu"].to_string()
        };
        assert_eq!(of(&[]), "1500m");
        assert_eq!(of(&[container("1", false)]), "1500m");
        assert_eq!(of(&[container("2", false)]), "2");
        assert_eq!(of(&[container("1", true)]), "2500m");
        assert_eq!(of(&[container("1", true), container("2", false)]), "3");
    }
}
