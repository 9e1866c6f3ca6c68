//! What the ConfigMap `katib-config` says: algorithms in images or at endpoints, and what collectors
//! run with.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use diwan_api::metrics_collector::CollectorSettings;
use diwan_suggestion::config::Source;
use diwan_suggestion::{AlgorithmConfig, KatibConfig, parse_katib_config};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use crate::port::rules::Rules;

/// Katib's name for the ConfigMap.
const NAME: &str = "katib-config";
/// The key in it.
const KEY: &str = "katib-config.yaml";

/// What the ConfigMap says of collectors.
pub(super) type Collectors = Arc<RwLock<Vec<CollectorSettings>>>;

/// Who takes in the ConfigMap.
pub(super) struct Configured {
    api: Api<ConfigMap>,
    rules: Rules,
    collectors: Collectors,
    /// The fields of `init` that were told to have no meaning.
    told: Mutex<Vec<String>>,
}

impl Configured {
    /// Those of the ConfigMap in the namespace of the installation.
    pub(super) fn new(
        client: Client,
        namespace: &str,
        rules: Rules,
        collectors: Collectors,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            rules,
            collectors,
            told: Mutex::default(),
        }
    }

    /// Takes in what it says now.
    pub(super) async fn read(&self) -> anyhow::Result<()> {
        let map = self.api.get_opt(NAME).await;
        let map = map.with_context(|| format!("can't read the ConfigMap {NAME}"))?;
        self.take(map.as_ref());
        Ok(())
    }

    /// Takes in what it says whenever that changes.
    pub(super) async fn follow(self, stop: CancellationToken) {
        let config = Config::default().fields(&format!("metadata.name={NAME}"));
        let mut events = watcher(self.api.clone(), config).default_backoff().boxed();
        while let Some(Some(event)) = stop.run_until_cancelled(events.next()).await {
            match event {
                Ok(Event::Apply(map) | Event::InitApply(map)) => self.take(Some(&map)),
                Ok(Event::Delete(_)) => self.take(None),
                Ok(Event::Init | Event::InitDone) => {}
                Err(error) => tracing::debug!("ConfigMap {NAME}: {error}"),
            }
        }
    }

    /// A configuration that can't be read leaves the one before in place.
    fn take(&self, map: Option<&ConfigMap>) {
        let text = map.and_then(|map| map.data.as_ref()?.get(KEY));
        let config = match text.map(|text| parse_katib_config(text)).transpose() {
            Ok(config) => config.unwrap_or_default(),
            Err(error) => {
                tracing::error!("ConfigMap {NAME}, key {KEY}: {error}; it is not used");
                return;
            }
        };
        let KatibConfig {
            suggestions,
            early_stoppings,
            collectors,
            init,
        } = config;
        let base = Path::new("/");
        let suggesters = &self.rules.suggesters;
        suggesters.configure(without_commands(suggestions), base);
        let stoppers = &self.rules.early_stoppers;
        stoppers.configure(without_commands(early_stoppings), base);
        *self.collectors.write() = collectors;
        self.tell_unused(init);
    }

    fn tell_unused(&self, init: Vec<String>) {
        let mut told = self.told.lock();
        if *told != init && !init.is_empty() {
            let fields = init.join(", ");
            tracing::warn!(
                "ConfigMap {NAME}: init is not followed ({fields}); see the flags of \
                 `diwan controller`, and for trialResources the ClusterRole diwan-trial-kinds"
            );
        }
        *told = init;
    }
}

/// Programs run in pods of their own, not beside the controllers.
fn without_commands(mut algorithms: Vec<AlgorithmConfig>) -> Vec<AlgorithmConfig> {
    algorithms.retain(|algorithm| {
        let is_command = matches!(algorithm.source, Source::Command(_));
        if is_command {
            let name = &algorithm.algorithm_name;
            tracing::error!(
                "ConfigMap {NAME}: algorithm {name} is a command; on a cluster give it an image or \
                 an endpoint"
            );
        }
        !is_command
    });
    algorithms
}
