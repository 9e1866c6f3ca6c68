//! Algorithms of the configuration: at an endpoint, from a command that is started here, or in an
//! image that a cluster runs.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use diwan_api::Experiment;
use diwan_api::metadata::{ANNOTATION_SUGGESTION_TIMEOUT, service_name};
use tokio::sync::OnceCell;

use crate::command::Service;
use crate::config::{AlgorithmConfig, ServiceImage, Source};
use crate::place::Images;
use crate::remote::Remote;
use crate::service::SuggestionError;

/// So many connections to services in images are kept.
const CONNECTIONS: usize = 256;

/// The algorithms of a configuration by name.
#[derive(Debug, Default)]
pub(crate) struct Outsiders {
    by_name: RwLock<BTreeMap<String, Arc<Outside>>>,
    /// What is said of built-in algorithms, of which only the volume counts.
    volumes: RwLock<BTreeMap<String, ServiceImage>>,
    /// Where services in images are, where these can run.
    images: Option<Images>,
}

impl Outsiders {
    /// None yet; images run elsewhere.
    pub(crate) fn in_images(images: Images) -> Self {
        Self {
            images: Some(images),
            ..Self::default()
        }
    }

    /// Takes a configuration in place of the one before. An entry that names an image for a
    /// built-in algorithm changes nothing; one that is as before keeps its connection.
    pub(crate) fn configure(
        &self,
        configs: Vec<AlgorithmConfig>,
        base: &Path,
        is_built_in: impl Fn(&str) -> bool,
    ) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *by_name);
        let mut volumes = self.volumes.write().unwrap_or_else(PoisonError::into_inner);
        volumes.clear();
        for config in configs {
            if let Source::Image(image) = &config.source
                && is_built_in(&config.algorithm_name)
            {
                volumes.insert(config.algorithm_name, ServiceImage::clone(image));
                continue;
            }
            let name = config.algorithm_name.clone();
            let kept = before.get(&name).filter(|outside| outside.config == config);
            let outside = kept.cloned();
            let outside = outside
                .unwrap_or_else(|| Arc::new(Outside::new(config, base, self.images.clone())));
            by_name.insert(name, outside);
        }
    }

    /// The volume of a built-in algorithm.
    pub(crate) fn volume(&self, name: &str) -> Option<ServiceImage> {
        let volumes = self.volumes.read().unwrap_or_else(PoisonError::into_inner);
        volumes.get(name).cloned()
    }

    /// The names of those that can be asked.
    pub(crate) fn names(&self) -> Vec<String> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let asked = by_name.values().filter(|outside| outside.can_be_asked());
        asked
            .map(|outside| outside.config.algorithm_name.clone())
            .collect()
    }

    /// The algorithm of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Outside>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).cloned()
    }
}

/// An algorithm of the configuration. Its command, if it has one, ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Outside {
    config: AlgorithmConfig,
    /// Where commands run and relative folders begin.
    base: PathBuf,
    connection: OnceCell<Connection>,
    /// Where services in images are, where these can run.
    images: Option<Images>,
    /// Connections to services in images, by address: each experiment has its own.
    services: Mutex<HashMap<String, Remote>>,
}

#[derive(Debug)]
struct Connection {
    remote: Remote,
    command: Option<Service>,
}

impl Outside {
    fn new(config: AlgorithmConfig, base: &Path, images: Option<Images>) -> Self {
        Self {
            config,
            base: base.to_owned(),
            connection: OnceCell::new(),
            images,
            services: Mutex::default(),
        }
    }

    fn can_be_asked(&self) -> bool {
        self.images.is_some() || !matches!(self.config.source, Source::Image(_))
    }

    /// The image that serves it, where images run.
    pub(crate) fn image(&self) -> Option<&ServiceImage> {
        match &self.config.source {
            Source::Image(image) if self.images.is_some() => Some(image),
            _ => None,
        }
    }

    /// The service, which is started first where that is on us.
    pub(crate) async fn remote(&self, experiment: &Experiment) -> Result<Remote, SuggestionError> {
        let timeout = timeout(experiment)?.unwrap_or(self.config.timeout);
        if let (Source::Image(_), Some(images)) = (&self.config.source, &self.images) {
            return self.service(experiment, images, timeout);
        }
        let connection = self.connection.get_or_try_init(|| self.connect()).await?;
        if let Some(command) = &connection.command {
            command.ready(&connection.remote).await?;
        }
        Ok(connection.remote.clone().within(timeout))
    }

    fn service(
        &self,
        experiment: &Experiment,
        images: &Images,
        timeout: Duration,
    ) -> Result<Remote, SuggestionError> {
        let namespace = experiment.metadata.namespace.as_deref();
        let namespace = namespace.unwrap_or("default");
        let name = service_name(experiment);
        let Some(address) = images.address(namespace, &name) else {
            let text = format!("Service {name} of namespace {namespace} is not there yet");
            return Err(SuggestionError::Retry(text));
        };
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = services.get(&address) {
            return Ok(remote.clone().within(timeout));
        }
        if services.len() >= CONNECTIONS {
            services.clear();
        }
        let remote = Remote::new(&address, timeout)?;
        services.insert(address, remote.clone());
        Ok(remote)
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
                "algorithm {} is the image {}, which runs in a cluster only; give it an \
                 endpoint or a command in the configuration",
                self.config.algorithm_name,
                image.name()
            ))),
        }
    }
}

/// How long an answer may take, where the experiment says so: a number with s, m or h.
fn timeout(experiment: &Experiment) -> Result<Option<Duration>, SuggestionError> {
    let annotations = experiment.metadata.annotations.as_ref();
    let Some(text) = annotations.and_then(|a| a.get(ANNOTATION_SUGGESTION_TIMEOUT)) else {
        return Ok(None);
    };
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(seconds));
    let refusal = || {
        SuggestionError::Invalid(format!(
            "metadata.annotations[{ANNOTATION_SUGGESTION_TIMEOUT}] must be a time such as 90s, 5m or \
             1h, not {text:?}"
        ))
    };
    let seconds = seconds.filter(|seconds| *seconds > 0).ok_or_else(refusal)?;
    Ok(Some(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_says_how_long_an_answer_may_take() {
        let read = |text: &str| {
            let mut experiment = Experiment::default();
            let annotation = (ANNOTATION_SUGGESTION_TIMEOUT.to_owned(), text.to_owned());
            experiment.metadata.annotations = Some([annotation].into());
            timeout(&experiment)
        };
        assert_eq!(read("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(read("5m"), Ok(Some(Duration::from_mins(5))));
        for wrong in ["", "90", "s", "0s", "-1s", "1.5h", "1 m", "é"] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("such as 90s"), "{wrong:?}: {error}");
        }
        assert_eq!(timeout(&Experiment::default()), Ok(None));
    }
}
