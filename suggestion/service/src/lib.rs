//! Suggestions as a service: the built-in algorithms in process and over gRPC, and those that
//! others serve, at an endpoint or from a command that is started here.
//!
//! [`Suggesters`] is what a controller asks; [`serve`] is what `diwan suggestion` runs. Neither
//! keeps anything that a request does not carry, except to save work.

pub mod config;

mod command;
mod early_stoppers;
mod early_stopping;
mod encoded;
mod grpc;
mod history;
mod known;
mod outside;
mod place;
mod remote;
mod service;
mod suggesters;
mod wire;

pub use config::{AlgorithmConfig, ConfigError, KatibConfig, parse_katib_config};
pub use early_stoppers::{EarlyStoppers, RulesRequest};
pub use early_stopping::{
    Curves, EarlyStoppingService, StatusClient, StopError, StoppingRules, TrialStopper,
};
pub use encoded::SuggestionsServer;
pub use grpc::{Services, SuggestionService, serve};
pub use place::{Locate, by_name};
pub use service::{SuggestReply, SuggestRequest, SuggestionError, ignored_settings};
pub use suggesters::Suggesters;
