//! All algorithms of early stopping by name: the built-in ones, and those of the configuration.

use std::path::Path;
use std::sync::Arc;

use diwan_algorithms::find_early_stopping;
use diwan_api::metadata::EARLY_STOPPING_PORT;
use diwan_api::{Experiment, FieldError, Trial};

use crate::config::{AlgorithmConfig, ServiceImage};
use crate::early_stopping::{
    Curves, StoppingRules, early_stopping_errors, early_stopping_names, stopping_rules,
};
use crate::outside::{Outside, Outsiders};
use crate::place::{Images, Locate};
use crate::service::SuggestionError;

/// Answers for every algorithm of early stopping that can be served here.
#[derive(Debug, Default)]
pub struct EarlyStoppers {
    outside: Outsiders,
}

/// What rules are made from.
#[derive(Clone, Debug)]
pub struct RulesRequest {
    /// The experiment.
    pub experiment: Arc<Experiment>,
    /// Its trials, for services that read logs themselves.
    pub trials: Vec<Arc<Trial>>,
    /// Where such services read logs, as `host:port`.
    pub db_manager: String,
    /// What the trials have reported.
    pub curves: Curves,
}

impl EarlyStoppers {
    /// The built-in algorithms and those of a configuration, whose endpoints and commands take
    /// precedence. Commands run in the folder `base`, that of the configuration file.
    pub fn new(configs: Vec<AlgorithmConfig>, base: &Path) -> Self {
        let stoppers = Self::default();
        stoppers.configure(configs, base);
        stoppers
    }

    /// The built-in algorithms, where others can run in images: a Service of the experiment's
    /// leads to them, and `locate` tells where that is.
    pub fn with_images(locate: Locate) -> Self {
        Self {
            outside: Outsiders::in_images(Images::new(EARLY_STOPPING_PORT, locate)),
        }
    }

    /// Takes another configuration.
    pub fn configure(&self, configs: Vec<AlgorithmConfig>, base: &Path) {
        let is_built_in = |name: &str| find_early_stopping(name).is_some();
        self.outside.configure(configs, base, is_built_in);
    }

    /// The image that serves the experiment's early stopping, if one does.
    pub fn image(&self, experiment: &Experiment) -> Option<ServiceImage> {
        self.outside(experiment)?.image().cloned()
    }

    /// The names of all algorithms that can be asked, sorted.
    pub fn names(&self) -> Vec<String> {
        let built_in = early_stopping_names().into_iter().map(str::to_owned);
        let mut names: Vec<String> = built_in.chain(self.outside.names()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What is wrong with the settings of a built-in algorithm. Others say it when they are asked
    /// for rules.
    pub fn settings_errors(&self, experiment: &Experiment) -> Vec<FieldError> {
        match self.outside(experiment) {
            Some(_) => Vec::new(),
            None => early_stopping_errors(experiment),
        }
    }

    /// Makes the rules that hold now. Those of a service are for all trials alike.
    ///
    /// # Errors
    /// The algorithm is not known, does not take its settings, or does not answer.
    pub async fn rules(&self, request: &RulesRequest) -> Result<StoppingRules, SuggestionError> {
        let Some(outside) = self.outside(&request.experiment) else {
            return stopping_rules(&request.experiment, &request.curves);
        };
        let remote = outside.remote(&request.experiment).await?;
        let fresh = remote.stopping_rules(request).await?;
        let running = vec![fresh.clone(); request.curves.running.len()];
        Ok(StoppingRules { fresh, running })
    }

    fn outside(&self, experiment: &Experiment) -> Option<Arc<Outside>> {
        let spec = experiment.spec.early_stopping.as_ref()?;
        self.outside.get(&spec.algorithm_name)
    }
}
