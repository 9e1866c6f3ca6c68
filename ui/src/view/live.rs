//! Changes as they are pushed to open pages.

use serde::Serialize;
use utoipa::ToSchema;

use super::{experiment::ExperimentSummary, trial::TrialRow};

/// What changed in one experiment since the last message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct LiveBatch {
    /// Namespace of the experiment.
    pub namespace: String,
    /// Name of the experiment.
    pub experiment: String,
    /// The latest state of each object that changed.
    pub changes: Vec<LiveChange>,
}

/// The latest state of an object that changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum LiveChange {
    /// The experiment is new or changed.
    Experiment {
        /// Its row.
        summary: Box<ExperimentSummary>,
    },
    /// The experiment is gone.
    ExperimentDeleted,
    /// A trial is new or changed.
    Trial {
        /// Its row.
        row: Box<TrialRow>,
    },
    /// A trial is gone.
    TrialDeleted {
        /// Its name.
        name: String,
    },
}

impl LiveChange {
    /// Whether it is about the experiment itself.
    pub(crate) fn is_experiment(&self) -> bool {
        matches!(self, Self::Experiment { .. } | Self::ExperimentDeleted)
    }

    /// Names the object within its experiment: nothing for the experiment, or the trial.
    pub(crate) fn trial(&self) -> Option<&str> {
        match self {
            Self::Experiment { .. } | Self::ExperimentDeleted => None,
            Self::Trial { row } => Some(&row.name),
            Self::TrialDeleted { name } => Some(name),
        }
    }
}
