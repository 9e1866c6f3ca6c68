//! The collector's container.

use diwan_api::metrics_collector::CollectorPlan;
use serde_json::{Map, Value, json};

use super::{Form, Injection, PROGRAM_FOLDER, PROGRAM_VOLUME, Source, shell};

/// A user that every image may run as.
const USER: i64 = 65532;

pub(super) fn container(
    name: &str,
    plan: &CollectorPlan,
    source: &Source,
    form: Form,
    shared: Option<Value>,
    injection: &Injection,
    variables: Vec<Value>,
) -> Value {
    let settings = injection.settings(&plan.spec.kind());
    let pull_policy = match settings.image_pull_policy.as_str() {
        "" => &injection.pull_policy,
        given => given,
    };
    let mut container = json!({
        "name": name,
        "image": injection.image,
        "imagePullPolicy": pull_policy,
        "command": ["/diwan-metrics-collector"],
        "env": variables,
        "resources": resources(&settings.resources),
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    });
    match form {
        Form::Shell => {
            let (manager, waits) = (&injection.db_manager, settings.wait_all_processes);
            container["args"] = json!(shell::collector_args(plan, source, manager, waits));
            container["volumeMounts"] = json!([shared]);
        }
        Form::EntryPoint => {
            container["args"] = json!(args(plan, source, &injection.db_manager));
            let copy = ["/diwan", "entrypoint", PROGRAM_FOLDER];
            container["lifecycle"] = json!({"postStart": {"exec": {"command": copy}}});
            let program = json!({"name": PROGRAM_VOLUME, "mountPath": PROGRAM_FOLDER});
            container["volumeMounts"] = json!([program, shared]);
        }
    }
    container
}

fn args(plan: &CollectorPlan, source: &Source, db_manager: &str) -> [String; 9] {
    let plan = CollectorPlan {
        // The controller looks at what is reported and ends the trial itself.
        stop_rules: Vec::new(),
        ..plan.clone()
    };
    let plan = serde_json::to_string(&plan).unwrap_or_default();
    [
        "-wrapped",
        "-marks",
        PROGRAM_FOLDER,
        "-s-db",
        db_manager,
        "-path",
        &source.path,
        "-plan",
        &plan,
    ]
    .map(str::to_owned)
}

/// What the collector may use. Where an amount is given of a resource, the default limit and request
/// of it don't hold: they may not fit.
fn resources(given: &Map<String, Value>) -> Value {
    let mut all = json!({
        "requests": {"cpu": "10m", "memory": "16Mi"},
        "limits": {"memory": "128Mi"},
    });
    for amounts in given.values().filter_map(Value::as_object) {
        for list in ["requests", "limits"] {
            if let Some(list) = all[list].as_object_mut() {
                list.retain(|name, _| !amounts.contains_key(name));
            }
        }
    }
    for (list, amounts) in given {
        for (name, amount) in amounts.as_object().into_iter().flatten() {
            if !is_negative(amount) {
                all[list][name] = amount.clone();
            }
        }
    }
    all
}

/// Katib's word for none.
pub(crate) fn is_negative(amount: &Value) -> bool {
    match amount {
        Value::String(text) => text.starts_with('-'),
        Value::Number(number) => number.as_f64().is_some_and(|number| number < 0.0),
        _ => false,
    }
}
