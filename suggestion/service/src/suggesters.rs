//! All algorithms by name: the built-in ones, and those of the configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use diwan_algorithms::{ALGORITHMS, find};
use diwan_api::{Experiment, FieldError};

use crate::config::AlgorithmConfig;
use crate::known::{Known, TrialSource};
use crate::outside::{self, Outside};
use crate::service::{self, SuggestReply, SuggestRequest, SuggestionError};

/// Answers for every algorithm that can be served here. Commands are started when they are first
/// needed and end when this is dropped.
#[derive(Debug, Default)]
pub struct Suggesters {
    outside: BTreeMap<String, Outside>,
    known: Arc<Known>,
}

impl Suggesters {
    /// The built-in algorithms and those of a configuration, whose endpoints and commands take
    /// precedence. Commands run in the folder `base`, that of the configuration file. An entry
    /// that names an image for a built-in algorithm changes nothing.
    pub fn new(configs: Vec<AlgorithmConfig>, base: &Path) -> Self {
        let outside = outside::by_name(configs, base, |name| find(name).is_some());
        Self {
            outside,
            known: Arc::default(),
        }
    }

    /// The names of all algorithms that can be asked, sorted.
    pub fn names(&self) -> Vec<String> {
        let built_in = ALGORITHMS
            .iter()
            .flat_map(|a| std::iter::once(&a.name).chain(a.aliases))
            .map(|name| (*name).to_owned());
        let outside = self
            .outside
            .values()
            .filter(|outside| outside.can_be_asked())
            .map(|outside| outside.name().to_owned());
        let mut names: Vec<String> = built_in.chain(outside).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What is wrong with the settings of a built-in algorithm. Others are asked by
    /// [`Suggesters::validate`].
    pub fn settings_errors(&self, experiment: &Experiment) -> Vec<FieldError> {
        let Some(algorithm) = &experiment.spec.algorithm else {
            return Vec::new();
        };
        if self.outside.contains_key(&algorithm.algorithm_name) {
            return Vec::new();
        }
        let errors = service::setting_errors(experiment);
        service::field_errors("spec.algorithm", algorithm, errors)
    }

    /// Asks the algorithm whether it takes the experiment.
    pub async fn validate(&self, experiment: &Experiment) -> Result<(), SuggestionError> {
        match self.outside(experiment) {
            None => service::validate(experiment),
            Some(outside) => outside.remote().await?.validate(experiment).await,
        }
    }

    /// Asks the algorithm for assignments. Only an exhausted search gives fewer than were asked
    /// for without an error, or a service elsewhere that has no more for now.
    pub async fn suggest(&self, request: SuggestRequest) -> Result<SuggestReply, SuggestionError> {
        match self.outside(&request.experiment) {
            None => {
                let trials = request.trials.iter().cloned();
                let sources = trials.map(TrialSource::Shared).collect();
                service::suggest_in_background(request, sources, self.known.clone()).await
            }
            Some(outside) => outside.remote().await?.suggest(&request).await,
        }
    }

    fn outside(&self, experiment: &Experiment) -> Option<&Outside> {
        self.outside
            .get(&experiment.spec.algorithm.as_ref()?.algorithm_name)
    }
}
