//! Algorithms of the configuration: at an endpoint, or from a command that is started here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::command::Service;
use crate::config::{AlgorithmConfig, Source};
use crate::remote::Remote;
use crate::service::SuggestionError;

/// An algorithm of the configuration. Its command, if it has one, ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Outside {
    config: AlgorithmConfig,
    /// Where commands run and relative folders begin.
    base: PathBuf,
    connection: OnceCell<Connection>,
}

#[derive(Debug)]
struct Connection {
    remote: Remote,
    command: Option<Service>,
}

/// The algorithms of a configuration by name. An entry that names an image for a built-in algorithm
/// changes nothing.
pub(crate) fn by_name(
    configs: Vec<AlgorithmConfig>,
    base: &Path,
    is_built_in: impl Fn(&str) -> bool,
) -> BTreeMap<String, Outside> {
    configs
        .into_iter()
        .map(|config| Outside::new(config, base))
        .filter(|outside| outside.can_be_asked() || !is_built_in(outside.name()))
        .map(|outside| (outside.name().to_owned(), outside))
        .collect()
}

impl Outside {
    fn new(config: AlgorithmConfig, base: &Path) -> Self {
        Self {
            config,
            base: base.to_owned(),
            connection: OnceCell::new(),
        }
    }

    /// The algorithm's name.
    pub(crate) fn name(&self) -> &str {
        &self.config.algorithm_name
    }

    /// Whether it runs on this machine or at an endpoint.
    pub(crate) fn can_be_asked(&self) -> bool {
        !matches!(self.config.source, Source::Image(_))
    }

    /// The service, which is started first where that is on us.
    pub(crate) async fn remote(&self) -> Result<&Remote, SuggestionError> {
        let connection = self.connection.get_or_try_init(|| self.connect()).await?;
        if let Some(command) = &connection.command {
            command.ready(&connection.remote).await?;
        }
        Ok(&connection.remote)
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
