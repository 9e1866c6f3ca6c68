//! What hands checkpoints on in the pods of trials: this program.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

/// The container on one machine, where a command is a program of the machine.
pub(crate) fn in_process() -> Map<String, Value> {
    let program = this_program().display().to_string();
    object(json!({"image": "diwan", "command": [program, "checkpoint"]}))
}

/// The container on a cluster. It is root unless the trial names a user: what is copied then belongs to
/// whom it belonged before.
pub(crate) fn in_image(image: &str, pull_policy: &str) -> Map<String, Value> {
    object(json!({
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["/diwan", "checkpoint"],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"memory": "256Mi"},
        },
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {
                "drop": ["ALL"],
                "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"],
            },
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }))
}

/// The file of this program; of one that was replaced meanwhile, the file in its place.
fn this_program() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("diwan"));
    let text = path.to_string_lossy();
    match text.strip_suffix(" (deleted)") {
        Some(text) => PathBuf::from(text),
        None => path,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
