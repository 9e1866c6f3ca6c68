//! The experiment, suggestion, trial and stopping controllers, and admission.
//!
//! Each controller is a pure planner (`plan.rs`) between thin steps: observe, plan, apply. What a
//! planner sees comes from shared caches, one list and watch per kind; what it returns is applied
//! through a [`kube::Client`], of which nothing here knows whether a cluster or this machine's
//! embedded API stands behind it. Names of trials come from the suggestion, so every action can be
//! repeated: a controller may be killed at any instant, and the next pass repairs the picture.

pub mod admission;
pub mod experiment;
pub mod leader;
pub mod metrics;
pub mod options;
pub mod port;
pub mod run;
pub mod stopping;
pub mod suggestion;
pub mod trial;

mod cache;
mod checkpoint;
mod event;
mod key;
mod merge_patch;
mod patience;
mod queue;
mod world;

#[cfg(test)]
mod simulation;

pub use metrics::Metrics;
pub use options::Options;
pub use port::{
    Chance, Clock, Curve, EarlyStopper, EarlyStopperError, MakeToken, Observations,
    ObservationsError, Ports, Rules, RulesRequest, ServiceImage, SuggestReply, SuggestRequest,
    Suggester, SuggesterError,
};
pub use run::run;
