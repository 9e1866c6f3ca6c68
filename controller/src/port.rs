//! What the controllers need beside the Kubernetes API: who suggests, who keeps observation logs,
//! what time it is, and chance.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_api::{
    AlgorithmSetting, EarlyStoppingRule, Experiment, MetricLog, ObjectiveSpec, Trial,
    TrialAssignment,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Proposes assignments. Implementations hold no state that a request does not carry, or can
/// rebuild it from the request.
#[async_trait]
pub trait Suggester: Send + Sync {
    /// Checks the algorithm's settings against the experiment.
    async fn validate(&self, experiment: &Experiment) -> Result<(), SuggesterError>;

    /// The image that serves the experiment's algorithm, if one has to run for it.
    fn image(&self, _experiment: &Experiment) -> Option<ServiceImage> {
        None
    }

    /// What the configuration says of the volume of an algorithm that is no image; only the fields
    /// of the volume are read.
    fn volume(&self, _experiment: &Experiment) -> Option<ServiceImage> {
        None
    }

    /// The trials, by name, whose checkpoints nobody will continue any more. The trials are those of
    /// a request.
    fn spent_checkpoints(&self, _experiment: &Experiment, _trials: &[Arc<Trial>]) -> Vec<String> {
        Vec::new()
    }

    /// Proposes up to `request.count` assignments; fewer are accepted.
    async fn suggest(&self, request: SuggestRequest) -> Result<SuggestReply, SuggesterError>;
}

/// A container that serves an algorithm, and what it needs.
#[derive(Clone, Debug, Default)]
pub struct ServiceImage {
    /// The core/v1 Container, but for its name.
    pub container: Map<String, Value>,
    /// The service account it runs as; the namespace's default when empty.
    pub service_account_name: String,
    /// Where the volume of resume policy FromVolume is mounted; Katib's place when empty.
    pub volume_mount_path: String,
    /// The PersistentVolumeClaimSpec of that volume.
    pub volume_claim: Option<Value>,
    /// The PersistentVolumeSpec, where the volume is to be made too.
    pub volume: Option<Value>,
    /// Labels of that volume.
    pub volume_labels: Map<String, Value>,
}

/// A request for assignments.
#[derive(Clone, Debug)]
pub struct SuggestRequest {
    /// The experiment.
    pub experiment: Arc<Experiment>,
    /// All trials that count for the algorithm, in the order in which they were suggested:
    /// finished, running, and those that are suggested but not made yet (these have no status).
    /// Those that ended without metrics are among them: their points were tried.
    pub trials: Vec<Arc<Trial>>,
    /// The algorithm's settings, with what it returned earlier laid over the user's.
    pub settings: Vec<AlgorithmSetting>,
    /// How many assignments are wanted now.
    pub count: usize,
    /// How many assignments are wanted in all, those given before included.
    pub total: usize,
}

/// What an algorithm proposes.
#[derive(Clone, Debug, Default)]
pub struct SuggestReply {
    /// At most `count` assignments. An empty name is replaced by a generated one.
    pub assignments: Vec<TrialAssignment>,
    /// Settings that the next request must carry.
    pub settings: Vec<AlgorithmSetting>,
    /// Whether the search space is exhausted: nothing will come after these.
    pub exhausted: bool,
    /// What people should be told about this answer; it becomes an event of the suggestion.
    pub note: Option<String>,
}

/// Why there are no assignments, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuggesterError {
    /// The settings are wrong; the experiment fails with this text.
    #[error("{0}")]
    Invalid(String),
    /// The algorithm can't be reached or is busy; it is asked again for a while.
    #[error("{0}")]
    Retry(String),
    /// The algorithm gave up; the experiment fails with this text.
    #[error("{0}")]
    Fatal(String),
}

/// Makes the rules under which trials are stopped early. Implementations keep nothing.
#[async_trait]
pub trait EarlyStopper: Send + Sync {
    /// The image that serves the experiment's early stopping, if one has to run for it.
    fn image(&self, _experiment: &Experiment) -> Option<ServiceImage> {
        None
    }

    /// Makes the rules that hold now.
    async fn rules(&self, request: RulesRequest) -> Result<Rules, EarlyStopperError>;
}

/// What a trial has reported of the objective, oldest first; NaN where it is no number.
pub type Curve = Vec<f64>;

/// What rules are made from.
#[derive(Clone, Debug)]
pub struct RulesRequest {
    /// The experiment.
    pub experiment: Arc<Experiment>,
    /// The trials that have succeeded, those that were stopped early and those that run.
    pub trials: Vec<Arc<Trial>>,
    /// The curves of trials that have succeeded.
    pub succeeded: Vec<Curve>,
    /// The curves of trials that were stopped early.
    pub stopped: Vec<Curve>,
    /// The curves of trials that run.
    pub running: Vec<Curve>,
}

/// The rules that hold now.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// For a trial that has not reported anything.
    pub fresh: Vec<EarlyStoppingRule>,
    /// For each trial that runs, in the order of the request.
    pub running: Vec<Vec<EarlyStoppingRule>>,
}

/// There are no rules.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct EarlyStopperError(pub String);

/// The observation logs of trials.
#[async_trait]
pub trait Observations: Send + Sync {
    /// The log of a trial: the rows of the objective metric, then of each additional one.
    async fn get(
        &self,
        namespace: &str,
        trial: &str,
        objective: &ObjectiveSpec,
    ) -> Result<Vec<MetricLog>, ObservationsError>;

    /// Adds rows to the log of a trial.
    async fn report(
        &self,
        namespace: &str,
        trial: &str,
        logs: Vec<MetricLog>,
    ) -> Result<(), ObservationsError>;

    /// Why a trial whose run has succeeded has no objective, if anybody knows.
    async fn absence(&self, _namespace: &str, _trial: &str) -> Option<String> {
        None
    }

    /// Deletes the log of a trial; there may be none.
    async fn delete(&self, namespace: &str, trial: &str) -> Result<(), ObservationsError>;
}

/// The observation logs can't be reached.
#[derive(Debug, thiserror::Error)]
#[error("observation log: {0}")]
pub struct ObservationsError(pub String);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Draws 64 random bits.
pub type Chance = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Makes the token of a trial of a namespace, with which its pods report.
pub type MakeToken = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// What the controllers are connected to.
#[derive(Clone)]
pub struct Ports {
    /// Who suggests.
    pub suggester: Arc<dyn Suggester>,
    /// Who makes the rules of early stopping.
    pub early_stopper: Arc<dyn EarlyStopper>,
    /// Who keeps observation logs.
    pub observations: Arc<dyn Observations>,
    /// Makes the tokens of trials, where they are asked for.
    pub make_token: Option<MakeToken>,
    /// The core/v1 Container, but for its name, arguments and volumes, that hands checkpoints on
    /// before a trial starts: it runs `diwan checkpoint`.
    pub checkpoints: Option<Map<String, Value>>,
    /// What time it is.
    pub clock: Clock,
    /// From what trial names are drawn.
    pub chance: Chance,
}

impl Ports {
    /// Ports with the machine's clock and random numbers.
    pub fn new(
        suggester: Arc<dyn Suggester>,
        early_stopper: Arc<dyn EarlyStopper>,
        observations: Arc<dyn Observations>,
    ) -> Self {
        Self {
            suggester,
            early_stopper,
            observations,
            make_token: None,
            checkpoints: None,
            clock: Arc::new(Timestamp::now),
            chance: Arc::new(rand::random::<u64>),
        }
    }

    /// The same, and pods of trials get tokens.
    #[must_use]
    pub fn with_tokens(mut self, make_token: MakeToken) -> Self {
        self.make_token = Some(make_token);
        self
    }

    /// The same, and trials find the checkpoints that they continue.
    #[must_use]
    pub fn with_checkpoints(mut self, container: Map<String, Value>) -> Self {
        self.checkpoints = Some(container);
        self
    }
}
