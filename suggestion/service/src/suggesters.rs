//! All algorithms by name: the built-in ones, and those of the configuration.

use std::path::Path;
use std::sync::Arc;

use diwan_algorithms::{ALGORITHMS, Capability, find};
use diwan_api::metadata::SUGGESTION_PORT;
use diwan_api::{Experiment, FieldError, SearchSpace, Trial};

use crate::config::{AlgorithmConfig, ServiceImage};
use crate::history;
use crate::known::{Known, TrialSource};
use crate::outside::{Outside, Outsiders};
use crate::place::{Images, Locate};
use crate::service::{self, SuggestReply, SuggestRequest, SuggestionError};

/// Answers for every algorithm that can be served here. Commands are started when they are first
/// needed and end when this is dropped.
#[derive(Debug, Default)]
pub struct Suggesters {
    outside: Outsiders,
    known: Arc<Known>,
}

impl Suggesters {
    /// The built-in algorithms and those of a configuration, whose endpoints and commands take
    /// precedence. Commands run in the folder `base`, that of the configuration file. An entry
    /// that names an image for a built-in algorithm changes nothing.
    pub fn new(configs: Vec<AlgorithmConfig>, base: &Path) -> Self {
        let suggesters = Self::default();
        suggesters.configure(configs, base);
        suggesters
    }

    /// The built-in algorithms, where others can run in images: a Service of the experiment's
    /// leads to them, and `locate` tells where that is.
    pub fn with_images(locate: Locate) -> Self {
        Self {
            outside: Outsiders::in_images(Images::new(SUGGESTION_PORT, locate)),
            known: Arc::default(),
        }
    }

    /// Takes another configuration.
    pub fn configure(&self, configs: Vec<AlgorithmConfig>, base: &Path) {
        let is_built_in = |name: &str| find(name).is_some();
        self.outside.configure(configs, base, is_built_in);
    }

    /// The image that serves the experiment's algorithm, if one does.
    pub fn image(&self, experiment: &Experiment) -> Option<ServiceImage> {
        self.outside(experiment)?.image().cloned()
    }

    /// What the configuration says of the volume of a built-in algorithm: it names an image, of which
    /// only the volume counts.
    pub fn volume(&self, experiment: &Experiment) -> Option<ServiceImage> {
        let algorithm = experiment.spec.algorithm.as_ref()?;
        self.outside.volume(&algorithm.algorithm_name)
    }

    /// The trials, by name, whose checkpoints nobody will continue any more, where a built-in
    /// algorithm suggested them. The trials are those of a request.
    pub fn spent_checkpoints(&self, experiment: &Experiment, trials: &[Arc<Trial>]) -> Vec<String> {
        if self.outside(experiment).is_some() {
            return Vec::new();
        }
        // Where a trial was does not matter, only how it ended.
        let nowhere = SearchSpace {
            parameters: Vec::new(),
        };
        let objective = experiment.spec.objective.as_ref();
        let entries = trials.iter();
        let entries: Vec<_> = entries
            .map(|trial| history::entry(&nowhere, objective, trial))
            .collect();
        let spent = diwan_algorithms::spent_checkpoints(&entries);
        spent.into_iter().map(str::to_owned).collect()
    }

    /// The names of all algorithms that can be asked, sorted.
    pub fn names(&self) -> Vec<String> {
        let built_in = ALGORITHMS
            .iter()
            .flat_map(|a| std::iter::once(&a.name).chain(a.aliases))
            .map(|name| (*name).to_owned());
        let mut names: Vec<String> = built_in.chain(self.outside.names()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What is wrong with the settings of a built-in algorithm, or with the rest for it. Others are asked by
    /// [`Suggesters::validate`].
    pub fn settings_errors(&self, experiment: &Experiment) -> Vec<FieldError> {
        let Some(algorithm) = &experiment.spec.algorithm else {
            return Vec::new();
        };
        if self.outside.get(&algorithm.algorithm_name).is_some() {
            return Vec::new();
        }
        let errors = service::setting_errors(experiment);
        if errors.is_empty() {
            return service::refusal(experiment).into_iter().collect();
        }
        service::field_errors("spec.algorithm", algorithm, errors)
    }

    /// Whether a built-in algorithm lets trials begin with what earlier ones left.
    pub fn continues(&self, experiment: &Experiment) -> bool {
        let algorithm = service::algorithm_of(experiment);
        self.outside(experiment).is_none()
            && algorithm.is_ok_and(|algorithm| algorithm.supports.contains(&Capability::Continues))
    }

    /// The settings that have no effect on a built-in algorithm.
    pub fn ignored_settings(&self, experiment: &Experiment) -> Vec<FieldError> {
        match self.outside(experiment) {
            None => service::ignored_settings(experiment),
            Some(_) => Vec::new(),
        }
    }

    /// Asks the algorithm whether it takes the experiment.
    pub async fn validate(&self, experiment: &Experiment) -> Result<(), SuggestionError> {
        match self.outside(experiment) {
            None => service::validate(experiment),
            Some(outside) => outside.remote(experiment).await?.validate(experiment).await,
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
            Some(outside) => {
                let remote = outside.remote(&request.experiment).await?;
                remote.suggest(&request).await
            }
        }
    }

    fn outside(&self, experiment: &Experiment) -> Option<Arc<Outside>> {
        self.outside
            .get(&experiment.spec.algorithm.as_ref()?.algorithm_name)
    }
}
