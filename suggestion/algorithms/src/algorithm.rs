//! What an algorithm is: a row that describes it and a [`Designer`] that does the work.

use diwan_api::search_space::Value;
use diwan_api::{AlgorithmSetting, ParameterAssignment};
use indexmap::IndexMap;

use crate::{Memo, Problem, Setting, Trial};

/// One row of the algorithm table.
pub struct Algorithm {
    /// Name in `spec.algorithm.algorithmName`.
    pub name: &'static str,
    /// Other names under which it is found.
    pub aliases: &'static [&'static str],
    /// One line for listings.
    pub summary: &'static str,
    /// The settings that users may give.
    pub settings: &'static [Setting],
    /// What becomes of settings that are not in `settings`.
    pub unknown_settings: UnknownSettings,
    /// What it can do beyond proposing points of a flat space.
    pub supports: &'static [Capability],
    /// Makes a designer for one request, or says why this algorithm can't serve the problem.
    pub build: fn(&Problem) -> Result<Box<dyn Designer>, Refusal>,
}

/// What an algorithm can do beyond proposing points of a flat space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Learns from the objective of completed trials.
    LearnsFromHistory,
    /// Takes running trials into account when it proposes several at a time.
    Parallel,
    /// Follows the distributions of the search space.
    Distributions,
    /// Ends when every point of a finite space was proposed.
    Exhausts,
    /// Gives most points little of a resource, and the best of them more.
    Fidelity,
    /// Fills the graph of `spec.nasConfig`.
    Architectures,
    /// Lets a trial begin with what an earlier one left.
    Continues,
}

/// What becomes of settings that an algorithm does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownSettings {
    /// The experiment is refused.
    Refused,
    /// They have no effect, as with Katib's service of the same name.
    Ignored,
    /// Trials get them.
    HandedOver,
}

impl Capability {
    /// The word for it in listings.
    pub fn name(self) -> &'static str {
        match self {
            Self::LearnsFromHistory => "learns",
            Self::Parallel => "parallel",
            Self::Distributions => "distributions",
            Self::Exhausts => "exhausts",
            Self::Fidelity => "fidelity",
            Self::Architectures => "architectures",
            Self::Continues => "continues",
        }
    }
}

/// Proposes assignments from the history of one experiment. It serves one request: it is built,
/// observes the history once and suggests once.
pub trait Designer: Send {
    /// Whether the history can change what is suggested. When not, callers may spare themselves
    /// the work of converting it.
    fn needs_history(&self) -> bool {
        true
    }

    /// Takes in the history: trials that have ended, and trials that have not.
    fn observe(&mut self, completed: &[Trial], active: &[Trial]);

    /// The same with what an earlier designer left, so that it costs what is new in the history.
    /// The answer is the same with any memo.
    fn observe_further(&mut self, completed: &[Trial], active: &[Trial], memo: &mut Memo) {
        let _ = memo;
        self.observe(completed, active);
    }

    /// Proposes up to `count` points; fewer when the space is exhausted, or when what comes next
    /// depends on trials that have not ended.
    fn suggest(&mut self, count: usize) -> Result<Suggested, Refusal>;

    /// Does the same as long as somebody waits for the answer; one that nobody waits for may hold
    /// fewer points. Algorithms whose points take long ask before each.
    fn suggest_while(
        &mut self,
        count: usize,
        _is_wanted: &dyn Fn() -> bool,
    ) -> Result<Suggested, Refusal> {
        self.suggest(count)
    }
}

/// What an algorithm gives for one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Suggested {
    /// The proposed points.
    pub proposals: Vec<Proposal>,
    /// Settings that come back with the next request: all the memory there is between calls.
    pub settings: Vec<AlgorithmSetting>,
    /// No further point will come.
    pub exhausted: bool,
    /// What people should be told about this answer.
    pub note: Option<String>,
}

/// One proposed point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// One value for each parameter, in the order of the search space.
    pub values: Vec<Value>,
    /// Name of the trial, where the algorithm must know it.
    pub trial_name: Option<String>,
    /// Labels that the trial gets and that come back in its history.
    pub labels: IndexMap<String, String>,
    /// Assignments beside those of the search space, such as an architecture; they come back in
    /// the history too.
    pub texts: Vec<ParameterAssignment>,
}

impl From<Vec<Value>> for Proposal {
    fn from(values: Vec<Value>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }
}

/// Why an algorithm can't serve a problem, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);
