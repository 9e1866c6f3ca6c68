//! The ConfigMap `katib-config`, and a file of the same: algorithms in images or at endpoints, and what
//! collectors run with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use diwan_api::metrics_collector::CollectorSettings;
use diwan_suggestion::config::{CONFIG_MAP_KEY, Source};
use diwan_suggestion::{AlgorithmConfig, KatibConfig, parse_katib_config};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use crate::port::rules::Rules;

/// Katib's name for the ConfigMap.
pub(crate) const NAME: &str = "katib-config";

/// What the configuration says of collectors.
pub(crate) type Collectors = Arc<RwLock<Vec<CollectorSettings>>>;

/// Where the control plane runs: what the configuration can mean there.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// On a cluster.
    Cluster,
    /// On one machine.
    Machine,
}

/// A configuration in a file, whose entries come before those of the ConfigMap.
#[derive(Default)]
pub(crate) struct ConfigFile {
    config: KatibConfig,
    /// Where it is: its commands run there.
    folder: PathBuf,
}

impl ConfigFile {
    /// Reads it.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let describe = || format!("can't use the configuration {}", file.display());
        let text = std::fs::read_to_string(file).with_context(describe)?;
        let config = parse_katib_config(&text).with_context(describe)?;
        let path = std::path::absolute(file).with_context(describe)?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { config, folder })
    }
}

/// Who takes in what the configuration says. Clones take in the same.
#[derive(Clone)]
pub(crate) struct Configured(Arc<Inner>);

struct Inner {
    place: Place,
    file: ConfigFile,
    rules: Rules,
    collectors: Collectors,
    taken: Mutex<Taken>,
}

/// What was taken in last.
#[derive(Default)]
struct Taken {
    /// The text in the ConfigMap.
    text: Option<String>,
    /// The fields that were told to have no meaning.
    unused: Vec<String>,
}

impl Configured {
    /// Takes in the file; the ConfigMap is still to be read.
    pub(crate) fn new(
        place: Place,
        file: ConfigFile,
        rules: Rules,
        collectors: Collectors,
    ) -> Self {
        let configured = Self(Arc::new(Inner {
            place,
            file,
            rules,
            collectors,
            taken: Mutex::default(),
        }));
        let none = KatibConfig::default();
        configured.put(none, &mut configured.0.taken.lock());
        configured
    }

    /// Takes in what the ConfigMap says now.
    pub(crate) async fn read(&self, api: &Api<ConfigMap>) -> anyhow::Result<()> {
        let map = api.get_opt(NAME).await;
        let map = map.with_context(|| format!("can't read the ConfigMap {NAME}"))?;
        self.take(map.as_ref().and_then(text));
        Ok(())
    }

    /// Takes in what the ConfigMap says whenever that changes.
    pub(crate) async fn follow(self, api: Api<ConfigMap>, stop: CancellationToken) {
        let config = Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = watcher(api, config).default_backoff().boxed();
        while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
            match event {
                Ok(Event::Apply(map) | Event::InitApply(map)) => self.take(text(&map)),
                Ok(Event::Delete(_)) => self.take(None),
                Ok(Event::Init | Event::InitDone) => {}
                Err(error) => tracing::debug!("ConfigMap {NAME}: {error}"),
            }
        }
    }

    /// Takes in the text of the ConfigMap. One that can't be read leaves the one before in place.
    pub(crate) fn take(&self, text: Option<&str>) {
        let mut taken = self.0.taken.lock();
        if taken.text.as_deref() == text {
            return;
        }
        taken.text = text.map(str::to_owned);
        match text.map(parse_katib_config).transpose() {
            Ok(config) => self.put(config.unwrap_or_default(), &mut taken),
            Err(error) => {
                tracing::error!("ConfigMap {NAME}, key {CONFIG_MAP_KEY}: {error}; it is not used");
            }
        }
    }

    fn put(&self, map: KatibConfig, taken: &mut Taken) {
        let Inner { file, rules, .. } = &*self.0;
        self.tell_unused(&map, taken);
        let mut collectors = map.collectors;
        collectors.extend(file.config.collectors.iter().cloned());
        *self.0.collectors.write() = collectors;
        let suggestions = both(map.suggestions, &file.config.suggestions);
        rules.suggesters.configure(suggestions, &file.folder);
        let stoppings = both(map.early_stoppings, &file.config.early_stoppings);
        rules.early_stoppers.configure(stoppings, &file.folder);
    }

    fn tell_unused(&self, map: &KatibConfig, taken: &mut Taken) {
        let unused: Vec<String> = [map, &self.0.file.config]
            .into_iter()
            .flat_map(|config| match self.0.place {
                Place::Cluster => config.init.iter().map(|f| format!("init.{f}")).collect(),
                Place::Machine => config.unused_on_one_machine(),
            })
            .collect();
        if taken.unused != unused && !unused.is_empty() {
            let hint = match self.0.place {
                Place::Cluster => {
                    "; see the flags of `diwan controller`, and for trialResources the ClusterRole \
                     diwan-trial-kinds"
                }
                Place::Machine => "",
            };
            let fields = unused.join(", ");
            tracing::warn!("{NAME}: no meaning here have {fields}{hint}");
        }
        taken.unused = unused;
    }
}

fn text(map: &ConfigMap) -> Option<&str> {
    Some(map.data.as_ref()?.get(CONFIG_MAP_KEY)?.as_str())
}

/// The entries of the ConfigMap and then those of the file, which come last to take precedence.
fn both(map: Vec<AlgorithmConfig>, file: &[AlgorithmConfig]) -> Vec<AlgorithmConfig> {
    let mut algorithms = without_commands(map);
    algorithms.extend_from_slice(file);
    algorithms
}

/// Who may write a ConfigMap may not for that reason run programs beside the controllers.
fn without_commands(mut algorithms: Vec<AlgorithmConfig>) -> Vec<AlgorithmConfig> {
    algorithms.retain(|algorithm| {
        let is_command = matches!(algorithm.source, Source::Command(_));
        if is_command {
            let name = &algorithm.algorithm_name;
            tracing::error!(
                "ConfigMap {NAME}: algorithm {name} is a command; give it an image or an endpoint \
                 (a command can stand in the file of --config on one machine)"
            );
        }
        !is_command
    });
    algorithms
}
