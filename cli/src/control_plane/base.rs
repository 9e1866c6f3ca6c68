//! What is made before the parts that depend on each other are started: the API with admission, and
//! the suggesters that admission asks.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use diwan_db_manager::TrialTokens;
use diwan_embedded::resource::SERVICES;
use diwan_embedded::{Api, Options};
use diwan_node::Runtime;
use diwan_suggestion::{EarlyStoppers, Locate, Suggesters};
use kube::Client;

use super::admission::Admitter;
use crate::katib_config::{Collectors, ConfigFile, Configured, Place};
use crate::port::rules::Rules;

/// What is made before the parts that depend on each other are started.
pub(super) struct Base {
    pub(super) api: Api,
    pub(super) client: Client,
    pub(super) configured: Configured,
    pub(super) suggesters: Arc<Suggesters>,
    pub(super) early_stoppers: Arc<EarlyStoppers>,
    pub(super) tokens: Arc<TrialTokens>,
}

impl Base {
    /// Opens the API on a folder, with admission in place.
    pub(super) fn open(
        data: &Path,
        config: Option<&Path>,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let file = config
            .map(ConfigFile::read)
            .transpose()?
            .unwrap_or_default();
        let api = Api::open(Options::new(data))?;
        let rules = Rules {
            suggesters: Arc::new(Suggesters::with_images(by_address(api.clone()))),
            early_stoppers: Arc::new(EarlyStoppers::with_images(by_address(api.clone()))),
            hands_checkpoints: matches!(runtime, Runtime::Processes),
        };
        let tokens = TrialTokens::open(&data.join("trial-tokens.key"));
        let tokens = Arc::new(tokens.context("can't prepare the tokens of trials")?);
        let collectors = Collectors::default();
        let configured = Configured::new(Place::Machine, file, rules.clone(), collectors);
        let admitter = Admitter {
            api: api.clone(),
            rules: rules.clone(),
            configured: configured.clone(),
        };
        admitter.read_configuration();
        api.set_admission(Arc::new(admitter));
        let client = Client::new(diwan_embedded::service(api.clone()), "default");
        Ok(Self {
            api,
            client,
            configured,
            suggesters: rules.suggesters,
            early_stoppers: rules.early_stoppers,
            tokens,
        })
    }
}

/// The host of a Service: its address, since names mean something in pods only.
fn by_address(api: Api) -> Locate {
    Arc::new(move |namespace, name| {
        let service = api.get(&SERVICES, namespace, name)?;
        Some(service["spec"]["clusterIP"].as_str()?.to_owned())
    })
}

/// An API without anything that runs: enough to ask whether objects would be accepted.
pub(crate) struct Checker {
    /// The API, in process.
    pub(crate) client: Client,
    _folder: tempfile::TempDir,
}

impl Checker {
    /// Starts on a folder that goes with it.
    pub(crate) fn start(config: Option<&Path>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("diwan-").tempdir()?;
        let client = Base::open(folder.path(), config, &Runtime::Processes)?.client;
        Ok(Self {
            client,
            _folder: folder,
        })
    }
}
