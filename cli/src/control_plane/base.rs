//! What is made before the parts that depend on each other are started: the API with admission, and
//! the suggesters that admission asks.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use diwan_db_manager::TrialTokens;
use diwan_embedded::{Api, Options};
use diwan_suggestion::{EarlyStoppers, Suggesters, parse_katib_config};
use kube::Client;

use super::admission::Admitter;
use crate::port::rules::Rules;

/// What is made before the parts that depend on each other are started.
pub(super) struct Base {
    pub(super) api: Api,
    pub(super) client: Client,
    pub(super) suggesters: Arc<Suggesters>,
    pub(super) early_stoppers: Arc<EarlyStoppers>,
    pub(super) tokens: Arc<TrialTokens>,
}

impl Base {
    /// Opens the API on a folder, with admission in place.
    pub(super) fn open(data: &Path, config: Option<&Path>) -> anyhow::Result<Self> {
        let (suggesters, early_stoppers) = algorithms(config)?;
        let suggesters = Arc::new(suggesters);
        let early_stoppers = Arc::new(early_stoppers);
        let api = Api::open(Options::new(data))?;
        let tokens = TrialTokens::open(&data.join("trial-tokens.key"));
        let tokens = Arc::new(tokens.context("can't prepare the tokens of trials")?);
        let admitter = Admitter {
            api: api.clone(),
            rules: Rules {
                suggesters: Arc::clone(&suggesters),
                early_stoppers: Arc::clone(&early_stoppers),
            },
        };
        api.set_admission(Arc::new(admitter));
        let client = Client::new(diwan_embedded::service(api.clone()), "default");
        Ok(Self {
            api,
            client,
            suggesters,
            early_stoppers,
            tokens,
        })
    }
}

/// The built-in algorithms and those of a KatibConfig file.
fn algorithms(config: Option<&Path>) -> anyhow::Result<(Suggesters, EarlyStoppers)> {
    let Some(file) = config else {
        return Ok(Default::default());
    };
    let describe = || format!("can't use the configuration {}", file.display());
    let text = std::fs::read_to_string(file).with_context(describe)?;
    let config = parse_katib_config(&text).with_context(describe)?;
    let folder = std::path::absolute(file).with_context(describe)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    Ok((
        Suggesters::new(config.suggestions, folder),
        EarlyStoppers::new(config.early_stoppings, folder),
    ))
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
        let client = Base::open(folder.path(), config)?.client;
        Ok(Self {
            client,
            _folder: folder,
        })
    }
}
