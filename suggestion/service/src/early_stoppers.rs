//! All algorithms of early stopping by name: the built-in ones, and those of the configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use diwan_algorithms::find_early_stopping;
use diwan_api::{Experiment, FieldError, Trial};

use crate::config::AlgorithmConfig;
use crate::early_stopping::{
    Curves, StoppingRules, early_stopping_errors, early_stopping_names, stopping_rules,
};
use crate::outside::{self, Outside};
use crate::service::SuggestionError;

/// Answers for every algorithm of early stopping that can be served here.
#[derive(Debug, Default)]
pub struct EarlyStoppers {
    outside: BTreeMap<String, Outside>,
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
        let outside = outside::by_name(configs, base, |name| find_early_stopping(name).is_some());
        Self { outside }
    }

    /// The names of all algorithms that can be asked, sorted.
    pub fn names(&self) -> Vec<String> {
        let built_in = early_stopping_names().into_iter().map(str::to_owned);
        let asked = self.outside.values().filter(|o| o.can_be_asked());
        let mut names: Vec<String> = built_in.chain(asked.map(|o| o.name().to_owned())).collect();
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
        let fresh = outside.remote().await?.stopping_rules(request).await?;
        let running = vec![fresh.clone(); request.curves.running.len()];
        Ok(StoppingRules { fresh, running })
    }

    fn outside(&self, experiment: &Experiment) -> Option<&Outside> {
        let spec = experiment.spec.early_stopping.as_ref()?;
        self.outside.get(&spec.algorithm_name)
    }
}
