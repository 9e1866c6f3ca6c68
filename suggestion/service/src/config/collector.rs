//! What a KatibConfig says about collectors.

use diwan_api::CollectorKind;
use diwan_api::metrics_collector::CollectorSettings;
use serde_json::Value;

use super::ConfigError;

const LIST: &str = "metricsCollectors";
const PULL_POLICIES: [&str; 4] = ["", "Always", "IfNotPresent", "Never"];

pub(super) fn read(entries: Vec<Value>) -> Result<Vec<CollectorSettings>, ConfigError> {
    entries.into_iter().enumerate().map(convert).collect()
}

fn convert((index, entry): (usize, Value)) -> Result<CollectorSettings, ConfigError> {
    let name = entry["kind"].as_str().unwrap_or_default().to_owned();
    let refuse = |reason| ConfigError::Entry {
        list: LIST,
        index,
        name: name.clone(),
        reason,
    };
    if name.is_empty() {
        return Err(refuse("kind is missing"));
    }
    let settings = serde_json::from_value::<CollectorSettings>(entry).map_err(|error| {
        ConfigError::Syntax(format!("runtime.{LIST}[{index}] ({name}): {error}"))
    })?;
    if matches!(settings.kind, CollectorKind::Other(_)) {
        return Err(refuse("kind is none of a collector"));
    }
    if !PULL_POLICIES.contains(&settings.image_pull_policy.as_str()) {
        return Err(refuse(
            "imagePullPolicy must be Always, IfNotPresent or Never",
        ));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_of_katib_s_is_read() {
        let entry = json!({
            "kind": "File", "image": "ghcr.io/kubeflow/katib/file-metrics-collector:latest",
            "imagePullPolicy": "Always", "waitAllProcesses": false,
            "resources": {"limits": {"memory": "1Gi"}},
        });
        let expected = CollectorSettings {
            kind: CollectorKind::File,
            image_pull_policy: "Always".to_owned(),
            resources: entry["resources"].as_object().unwrap().clone(),
            wait_all_processes: Some(false),
        };
        assert_eq!(read(vec![entry]).unwrap(), [expected]);
        let bare = read(vec![json!({"kind": "StdOut"})]).unwrap();
        assert_eq!(bare, [CollectorSettings::default()]);
    }

    #[test]
    fn what_can_t_be_followed_is_named() {
        for (entry, expected) in [
            (
                json!({}),
                "runtime.metricsCollectors[0] (): kind is missing",
            ),
            (
                json!({"kind": "Mine"}),
                "runtime.metricsCollectors[0] (Mine): kind is none of a collector",
            ),
            (
                json!({"kind": "File", "imagePullPolicy": "Sometimes"}),
                "runtime.metricsCollectors[0] (File): imagePullPolicy must be Always, \
                 IfNotPresent or Never",
            ),
            (
                json!({"kind": "File", "resources": "many"}),
                "failed to read the configuration: runtime.metricsCollectors[0] (File): invalid \
                 type: string \"many\", expected a map",
            ),
        ] {
            assert_eq!(read(vec![entry]).unwrap_err().to_string(), expected);
        }
    }
}
