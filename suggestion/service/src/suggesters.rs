//! All algorithms by name: the built-in ones, and those of the configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use diwan_algorithms::{ALGORITHMS, find};
use diwan_api::{Experiment, FieldError};
use tokio::sync::OnceCell;

use crate::command::Service;
use crate::config::{Source, SuggestionConfig};
use crate::known::{Known, TrialSource};
use crate::remote::Remote;
use crate::service::{self, SuggestReply, SuggestRequest, SuggestionError};

/// Answers for every algorithm that can be served here. Commands are started when they are first
/// needed and end when this is dropped.
#[derive(Debug, Default)]
pub struct Suggesters {
    outside: BTreeMap<String, Outside>,
    known: Arc<Known>,
}

/// An algorithm of the configuration.
#[derive(Debug)]
struct Outside {
    config: SuggestionConfig,
    /// Where commands run and relative folders begin.
    base: PathBuf,
    connection: OnceCell<Connection>,
}

#[derive(Debug)]
struct Connection {
    remote: Remote,
    command: Option<Service>,
}

impl Suggesters {
    /// The built-in algorithms and those of a configuration, whose endpoints and commands take
    /// precedence. Commands run in the folder `base`, that of the configuration file. An entry
    /// that names an image for a built-in algorithm changes nothing.
    pub fn new(configs: Vec<SuggestionConfig>, base: &Path) -> Self {
        let needed = |config: &SuggestionConfig| {
            !matches!(config.source, Source::Image(_)) || find(&config.algorithm_name).is_none()
        };
        let outside = configs
            .into_iter()
            .filter(needed)
            .map(|config| {
                let name = config.algorithm_name.clone();
                (
                    name,
                    Outside {
                        config,
                        base: base.to_owned(),
                        connection: OnceCell::new(),
                    },
                )
            })
            .collect();
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
            .filter(|outside| !matches!(outside.config.source, Source::Image(_)))
            .map(|outside| outside.config.algorithm_name.clone());
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
            Some(outside) => {
                outside
                    .connection()
                    .await?
                    .remote
                    .validate(experiment)
                    .await
            }
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
            Some(outside) => outside.connection().await?.remote.suggest(&request).await,
        }
    }

    fn outside(&self, experiment: &Experiment) -> Option<&Outside> {
        self.outside
            .get(&experiment.spec.algorithm.as_ref()?.algorithm_name)
    }
}

impl Outside {
    /// The connection to the service, which is started first where that is on us.
    async fn connection(&self) -> Result<&Connection, SuggestionError> {
        let connection = self.connection.get_or_try_init(|| self.connect()).await?;
        if let Some(command) = &connection.command {
            command.ready(&connection.remote).await?;
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<Connection, SuggestionError> {
        let timeout = self.config.timeout;
        match &self.config.source {
            Source::Endpoint(address) => Ok(Connection {
                remote: Remote::new(address, timeout)?,
                command: None,
            }),
            Source::Command(line) => {
                let folder = self.base.join(&line.working_dir);
                let service = Service::start(line.clone(), folder)
                    .await
                    .map_err(|error| {
                        SuggestionError::Retry(format!("failed to find a free port: {error}"))
                    })?;
                let remote = Remote::new(&service.address(), timeout)?;
                Ok(Connection {
                    remote,
                    command: Some(service),
                })
            }
            Source::Image(image) => Err(SuggestionError::Invalid(format!(
                "algorithm {} is the image {image}, which runs in a cluster only; give it an \
                 endpoint or a command in the configuration",
                self.config.algorithm_name
            ))),
        }
    }
}
