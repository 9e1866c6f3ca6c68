//! The part of a KatibConfig that says who serves which algorithm, and what collectors run with.

mod collector;
mod unused;

use std::time::Duration;

use diwan_api::metrics_collector::CollectorSettings;
use serde::Deserialize;
use serde_json::{Map, Value};

const API_VERSION: &str = "config.kubeflow.org/v1beta1";
const KIND: &str = "KatibConfig";
/// Where a ConfigMap holds the configuration.
pub const CONFIG_MAP_KEY: &str = "katib-config.yaml";

/// How long a service has to answer, unless the configuration says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);

/// Why a KatibConfig can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is no YAML of the right shape.
    #[error("failed to read the configuration: {0}")]
    Syntax(String),
    /// It is another kind of document.
    #[error("configuration is {found}, expected {API_VERSION} {KIND}")]
    Kind {
        /// What was found.
        found: String,
    },
    /// An entry can't be served.
    #[error("runtime.{list}[{index}] ({name}): {reason}")]
    Entry {
        /// The list it is in.
        list: &'static str,
        /// Which entry.
        index: usize,
        /// Its algorithm.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Who serves one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlgorithmConfig {
    /// Name of the algorithm.
    pub algorithm_name: String,
    /// Where its service is found.
    pub source: Source,
    /// How long the service has to answer.
    pub timeout: Duration,
}

/// Where the service of an algorithm is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A container image, which only a cluster can run.
    Image(Box<ServiceImage>),
    /// A gRPC endpoint, as `host:port` or URI.
    Endpoint(String),
    /// A command that listens on the port in its variable `PORT`.
    Command(CommandLine),
}

/// A container that serves an algorithm, and what it needs in a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceImage {
    /// The core/v1 Container, but for its name.
    #[serde(skip)]
    pub container: Map<String, Value>,
    /// The service account it runs as; the namespace's default when empty.
    pub service_account_name: String,
    /// Where the volume of resume policy FromVolume is mounted.
    pub volume_mount_path: String,
    /// The PersistentVolumeClaimSpec of that volume.
    pub persistent_volume_claim_spec: Option<Value>,
    /// The PersistentVolumeSpec, where the volume is to be made too.
    pub persistent_volume_spec: Option<Value>,
    /// Labels of that volume.
    pub persistent_volume_labels: Map<String, Value>,
}

/// The fields of an entry that are not those of a container.
const OWN_FIELDS: [&str; 8] = [
    "algorithmName",
    "endpoint",
    "timeoutSeconds",
    "serviceAccountName",
    "volumeMountPath",
    "persistentVolumeClaimSpec",
    "persistentVolumeSpec",
    "persistentVolumeLabels",
];

impl ServiceImage {
    fn read(entry: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        let mut image: Self = serde_json::from_value(Value::Object(entry.clone()))?;
        image.container.clone_from(entry);
        image
            .container
            .retain(|field, _| !OWN_FIELDS.contains(&field.as_str()));
        // Of early stopping services, Katib calls it so.
        if let Some(resources) = image.container.remove("resource") {
            image.container.insert("resources".to_owned(), resources);
        }
        Ok(image)
    }

    /// The image's name.
    pub fn name(&self) -> &str {
        let name = self.container.get("image").and_then(Value::as_str);
        name.unwrap_or_default()
    }
}

/// A command and what it runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables that are added to the environment.
    pub env: Vec<(String, String)>,
    /// Folder it runs in; the current one when empty.
    pub working_dir: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Document {
    api_version: String,
    kind: String,
    init: Map<String, Value>,
    runtime: Runtime,
    data: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
#[serde(rename_all = "camelCase")]
struct Runtime {
    suggestions: Vec<Map<String, Value>>,
    early_stoppings: Vec<Map<String, Value>>,
    metrics_collectors: Vec<Value>,
}

/// An inline core/v1 Container of which this reads what matters on one machine, and our fields.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    algorithm_name: String,
    image: String,
    endpoint: String,
    command: Vec<String>,
    args: Vec<String>,
    env: Vec<Variable>,
    working_dir: String,
    timeout_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
    value: String,
}

/// What is read of a KatibConfig.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KatibConfig {
    /// Who suggests.
    pub suggestions: Vec<AlgorithmConfig>,
    /// Who makes the rules of early stopping.
    pub early_stoppings: Vec<AlgorithmConfig>,
    /// What collectors run with.
    pub collectors: Vec<CollectorSettings>,
    /// The fields of `init`, such as `controller.webhookPort`: none has a meaning here.
    pub init: Vec<String>,
}

/// Reads a KatibConfig, or the ConfigMap `katib-config` with one in it.
pub fn parse_katib_config(text: &str) -> Result<KatibConfig, ConfigError> {
    let document = read(text)?;
    if document.api_version != "v1" || document.kind != "ConfigMap" {
        return understand(document);
    }
    let inner = document.data.get(CONFIG_MAP_KEY).and_then(Value::as_str);
    let missing = || ConfigError::Syntax(format!("the ConfigMap has no key {CONFIG_MAP_KEY}"));
    understand(read(inner.ok_or_else(missing)?)?)
}

fn read(text: &str) -> Result<Document, ConfigError> {
    serde_saphyr::from_str(text).map_err(|e| ConfigError::Syntax(e.to_string()))
}

fn understand(document: Document) -> Result<KatibConfig, ConfigError> {
    if document.api_version != API_VERSION || document.kind != KIND {
        let found = format!("{} {}", document.api_version, document.kind)
            .trim()
            .to_owned();
        let found = if found.is_empty() {
            "without apiVersion and kind".to_owned()
        } else {
            found
        };
        return Err(ConfigError::Kind { found });
    }
    let Runtime {
        suggestions,
        early_stoppings,
        metrics_collectors,
    } = document.runtime;
    Ok(KatibConfig {
        suggestions: each("suggestions", suggestions)?,
        early_stoppings: each("earlyStoppings", early_stoppings)?,
        collectors: collector::read(metrics_collectors)?,
        init: document.init.iter().flat_map(fields).collect(),
    })
}

/// The names of a section's fields, with that of the section.
fn fields((section, value): (&String, &Value)) -> Vec<String> {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => fields
            .keys()
            .map(|field| format!("{section}.{field}"))
            .collect(),
        None => vec![section.clone()],
    }
}

fn each(
    list: &'static str,
    entries: Vec<Map<String, Value>>,
) -> Result<Vec<AlgorithmConfig>, ConfigError> {
    let entries = entries.into_iter().enumerate();
    entries.map(|entry| convert(list, entry)).collect()
}

fn convert(
    list: &'static str,
    (index, fields): (usize, Map<String, Value>),
) -> Result<AlgorithmConfig, ConfigError> {
    let unreadable =
        |error: serde_json::Error| ConfigError::Syntax(format!("runtime.{list}[{index}]: {error}"));
    let image = ServiceImage::read(&fields).map_err(unreadable)?;
    let entry: Entry = serde_json::from_value(Value::Object(fields)).map_err(unreadable)?;
    let name = entry.algorithm_name.clone();
    let refuse = |reason| {
        Err(ConfigError::Entry {
            list,
            index,
            name: name.clone(),
            reason,
        })
    };
    if entry.algorithm_name.is_empty() {
        return refuse("algorithmName is missing");
    }
    let timeout = entry
        .timeout_seconds
        .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
    if timeout.is_zero() {
        return refuse("timeoutSeconds must be greater than zero");
    }
    // With an image, command and args are what the image's container runs.
    let source = if !entry.endpoint.is_empty() {
        Source::Endpoint(entry.endpoint)
    } else if !entry.image.is_empty() {
        Source::Image(Box::new(image))
    } else if !entry.command.is_empty() {
        Source::Command(CommandLine {
            command: entry.command.into_iter().chain(entry.args).collect(),
            env: entry.env.into_iter().map(|v| (v.name, v.value)).collect(),
            working_dir: entry.working_dir,
        })
    } else {
        return refuse("one of endpoint, command and image must be given");
    };
    Ok(AlgorithmConfig {
        algorithm_name: entry.algorithm_name,
        source,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(suggestions: &str) -> Result<Vec<AlgorithmConfig>, ConfigError> {
        let read = parse_katib_config(&format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\nruntime:\n  suggestions:\n{suggestions}"
        ));
        read.map(|config| config.suggestions)
    }

    #[test]
    fn each_source_is_read() {
        let found = parse(
            "  - algorithmName: a\n    endpoint: localhost:6789\n    timeoutSeconds: 5\n\
             \x20 - algorithmName: b\n    command: [python3, serve.py]\n    args: [-v]\n\
             \x20   env: [{name: X, value: '1'}]\n    workingDir: /opt\n\
             \x20 - algorithmName: c\n    image: docker.io/kubeflowkatib/c\n    resources: {}\n\
             \x20   volumeMountPath: /data\n    serviceAccountName: me\n",
        )
        .unwrap();
        assert_eq!(found[0].source, Source::Endpoint("localhost:6789".into()));
        assert_eq!(found[0].timeout, Duration::from_secs(5));
        assert_eq!(
            found[1].source,
            Source::Command(CommandLine {
                command: ["python3", "serve.py", "-v"].map(String::from).to_vec(),
                env: vec![("X".into(), "1".into())],
                working_dir: "/opt".into(),
            })
        );
        let Source::Image(image) = &found[2].source else {
            panic!("not an image");
        };
        assert_eq!(image.name(), "docker.io/kubeflowkatib/c");
        let fields: Vec<&String> = image.container.keys().collect();
        assert_eq!(fields, ["image", "resources"]);
        assert_eq!(image.volume_mount_path, "/data");
        assert_eq!(found[2].timeout, DEFAULT_TIMEOUT);
    }

    #[test]
    fn what_can_not_be_served_is_named() {
        let text = |suggestions| parse(suggestions).unwrap_err().to_string();
        assert_eq!(
            text("  - algorithmName: a\n"),
            "runtime.suggestions[0] (a): one of endpoint, command and image must be given"
        );
        assert_eq!(
            text("  - endpoint: x:1\n"),
            "runtime.suggestions[0] (): algorithmName is missing"
        );
        assert_eq!(
            parse_katib_config("kind: Pod\napiVersion: v1\n")
                .unwrap_err()
                .to_string(),
            "configuration is v1 Pod, expected config.kubeflow.org/v1beta1 KatibConfig"
        );
    }

    #[test]
    fn a_configuration_without_suggestions_has_none() {
        let text = format!("apiVersion: {API_VERSION}\nkind: {KIND}\n");
        assert_eq!(parse_katib_config(&text).unwrap(), KatibConfig::default());
    }

    #[test]
    fn a_config_map_holds_one() {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: katib-config}}\ndata:\n\
             \x20 {CONFIG_MAP_KEY}: |\n    apiVersion: {API_VERSION}\n    kind: {KIND}\n\
             \x20   runtime:\n      suggestions:\n      - algorithmName: a\n\
             \x20       endpoint: localhost:6789\n"
        );
        let config = parse_katib_config(&text).unwrap();
        assert_eq!(config.suggestions[0].algorithm_name, "a");
        let error = parse_katib_config("apiVersion: v1\nkind: ConfigMap\n").unwrap_err();
        assert!(error.to_string().contains(CONFIG_MAP_KEY), "{error}");
    }

    #[test]
    fn fields_of_init_are_named() {
        let text = format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\ninit:\n  controller:\n    webhookPort: 1\n\
             \x20   trialResources: [Job.v1.batch]\n  certGenerator: {{enable: true}}\n"
        );
        let expected = [
            "controller.webhookPort",
            "controller.trialResources",
            "certGenerator.enable",
        ];
        let mut found = parse_katib_config(&text).unwrap().init;
        found.sort_by_key(|field| expected.iter().position(|e| e == field));
        assert_eq!(found, expected);
    }

    #[test]
    fn services_of_early_stopping_are_a_list_of_their_own() {
        let text = format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\nruntime:\n  earlyStoppings:\n\
             \x20 - algorithmName: mine\n    endpoint: localhost:6788\n  - algorithmName: other\n"
        );
        let error = parse_katib_config(&text).unwrap_err().to_string();
        assert_eq!(
            error,
            "runtime.earlyStoppings[1] (other): one of endpoint, command and image must be given"
        );
        let text = text.replace("  - algorithmName: other\n", "");
        let config = parse_katib_config(&text).unwrap();
        assert_eq!(config.suggestions, []);
        assert_eq!(config.early_stoppings[0].algorithm_name, "mine");
    }
}
